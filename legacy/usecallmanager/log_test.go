package usecallmanager_test

import (
	"os"
	"strings"
	"testing"

	"capf/legacy"
	"capf/legacy/usecallmanager"
)

// TestTornLog: SQLite passes over what is torn of a log without a word.
func TestTornLog(t *testing.T) {
	d := newDaemon(t, "WAL", newest, "INSERT INTO devices (device_name, operation) VALUES ('SEP001122334401', 'none')",
		"PRAGMA wal_checkpoint(TRUNCATE)", "INSERT INTO devices (device_name, operation) VALUES ('SEP001122334402', 'install')")
	database, log := contentOf(t, d.path), contentOf(t, d.path+"-wal")
	noMagic := append([]byte{1}, log[1:]...)
	for name, test := range map[string]struct {
		log   []byte
		rows  int
		whole bool
	}{
		"whole":           {log, 2, true},
		"empty":           {nil, 1, true},
		"cut in a page":   {log[:len(log)-1], 1, false},
		"cut in a header": {log[:20], 1, false},
		"no magic":        {noMagic, 1, false},
	} {
		file, err := usecallmanager.Open(legacy.BytesInput("capf.db", database), []legacy.Input{legacy.BytesInput("capf.db-wal", test.log)})
		if err != nil {
			t.Fatal(name, err)
		}
		if got, _ := items(t, file); len(got) != test.rows {
			t.Errorf("%s: %q", name, got)
		}
		told := len(file.Findings) == 1 && file.Findings[0].File == "capf.db-wal" && strings.Contains(file.Findings[0].Reason, "not whole")
		if told == test.whole {
			t.Errorf("%s: found %v", name, file.Findings)
		}
	}
}

func contentOf(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
