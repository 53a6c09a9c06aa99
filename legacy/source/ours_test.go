package source

import (
	"strings"
	"testing"
)

// storeHeader is the beginning of a database with an application ID.
func storeHeader(mark string) string {
	return sqliteMagic + strings.Repeat("\x01", storeMarkAt-len(sqliteMagic)) + mark + strings.Repeat("\x00", 28)
}

// TestOurs: what this program made is refused in every form with what to do, old files beside it are read.
func TestOurs(t *testing.T) {
	data := []thing{file("capf.db", storeHeader("CAPF")), file("CAPF.cer", "x"), file("CAPF-1.0", "x"), file("keys/capf.pem", "x")}
	for _, test := range []struct {
		name   string
		things []thing
		want   string // in the error; empty: none
	}{
		{"a data directory", data, "capf.db is the store of a data directory of capf, which is no source: go on with it by --data (`capf init`"},
		{"old files beside one", append([]thing{file("CAPF.phone", "x")}, data...), ""},
		{"the database of another program", []thing{file("capf.db", storeHeader("FPAC"))}, ""},
		{"a torn database", []thing{file("capf.db", sqliteMagic), file("CAPF.cer", "x")}, ""},
		{"a backup", []thing{file("capf-backup.json", "{}"), file("capf.db", "x"), file("CAPF.cer", "x")}, "is a backup of capf, which is no source: make a data directory of it with `capf --data NEW restore FILE`"},
		{"something of that name elsewhere", []thing{file("x/capf-backup.json", "{}"), file("x/CAPF.cer", "x")}, ""},
	} {
		for ending, content := range archives(t, test.things) {
			_, err := opened(t, written(t, "copy"+ending, content), usualLimits)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("%s, %s: %v", test.name, ending, err)
			}
		}
	}
	for name, content := range map[string]string{"capf.db": storeHeader("CAPF"), "x.sqlite": storeHeader("CAPF")} {
		if _, err := opened(t, written(t, name, []byte(content)), usualLimits); err == nil || !strings.Contains(err.Error(), "capf init") {
			t.Errorf("%s alone: %v", name, err)
		}
	}
	if _, err := opened(t, written(t, "backup.age", []byte("age-encryption.org/v1\n-> X25519 x\n")), usualLimits); err == nil ||
		!strings.Contains(err.Error(), "is encrypted by age; if it is a backup of capf") || !strings.Contains(err.Error(), "restore FILE` and --identity") {
		t.Errorf("an encrypted backup: %v", err)
	}
}
