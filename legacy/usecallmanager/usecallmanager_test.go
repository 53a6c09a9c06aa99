package usecallmanager_test

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"capf/legacy"
	"capf/legacy/phonefile"
	"capf/legacy/source/sourcetest"
	"capf/legacy/usecallmanager"
)

func (d *daemon) open() *usecallmanager.File {
	d.t.Helper()
	read, err := usecallmanager.Open(fileInput(d.path), d.logs())
	if err != nil {
		d.t.Fatal(err)
	}
	return read
}

// items reads a database through and describes what it gives, a line each.
func items(t testing.TB, file *usecallmanager.File) (out []string, records []phonefile.Record) {
	t.Helper()
	for item, err := range file.Items() {
		if err != nil {
			t.Fatal(err)
		}
		switch item.Kind {
		case phonefile.KindRecord:
			r := item.Record
			records = append(records, *r)
			out = append(out, strings.Join(strings.Fields(fmt.Sprint(r.Line, " ", r.Device, " ", r.Operation, " ", r.State, " ", r.AuthenticationMode, " ",
				r.AuthenticationString.Reveal(), " ", r.KeySize, " ", r.Curve)), " "))
		case phonefile.KindKept:
			out = append(out, fmt.Sprint(item.Kept.Line, " kept: ", item.Kept.Reason))
		case phonefile.KindFinding:
			out = append(out, fmt.Sprint(item.Finding.Line, " finding: ", item.Finding.Reason))
		}
	}
	return out, records
}

func TestForms(t *testing.T) {
	tests := []struct {
		name, form string
		rows, want []string
	}{
		{"newest", newest, []string{
			"'SEP001122334401', 'none', 'no password', NULL, 2048, NULL, NULL, NULL, NULL, NULL",
			"'SEP001122334402', 'install', 'password', '0042', 4096, '', NULL, NULL, NULL, NULL",
			"'00:11:22:33:44:03', 'fetch', 'certificate', '', 0, 'secp384r1', NULL, NULL, NULL, NULL",
			"'CSFALICE', 'delete', 'no password', NULL, NULL, 'secp521r1', NULL, NULL, NULL, NULL",
			"'SEP001122334405', 'install', NULL, '12345678', 1024, 'secp256r1', NULL, NULL, NULL, NULL",
			"'SEP001122334406', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL",
			"'SEP001122334407', 'install', 'password', '1234', 2048, 'secp256k1', NULL, NULL, NULL, NULL",
		}, []string{
			"1 SEP001122334401 none none null-string 2048",
			"2 SEP001122334402 install pending authentication-string 0042 4096",
			"3 SEP001122334403 troubleshoot pending existing-certificate-lsc 0 p384",
			"4 CSFALICE delete pending null-string 0 p521",
			"5 SEP001122334405 install pending authentication-string 12345678 1024",
			"6 SEP001122334406 none 0",
			`7 kept: column "curve_name": "secp256k1" is not a curve that is known`,
		}},
		{"curve without authentication", withCurve, []string{
			"'SEP001122334401', 'install', '1234', NULL, 'secp256k1', NULL",
			"'SEP001122334402', 'fetch', NULL, NULL, 'secp384p1', NULL",
			"'SEP001122334403', 'none', '', 2048, 'secp521r1', NULL",
		}, []string{
			"1 SEP001122334401 install pending authentication-string 1234 0 p256",
			"2 SEP001122334402 troubleshoot pending null-string 0 p384",
			"3 SEP001122334403 none none null-string 2048",
		}},
		{"words with a capital", oldest, []string{
			"'SEP001122334401', 'Install', 'Password', '1234', 2048, NULL",
			"'SEP001122334402', 'Delete', 'No password', NULL, 2048, NULL",
			"'SEP001122334403', 'None', 'Certificate', NULL, 2048, NULL",
		}, []string{
			"1 SEP001122334401 install pending authentication-string 1234 2048",
			"2 SEP001122334402 delete pending null-string 2048",
			"3 SEP001122334403 none none existing-certificate-lsc 2048",
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := newDaemon(t, "DELETE", test.form)
			for _, row := range test.rows {
				d.exec("INSERT INTO devices VALUES (" + row + ")")
			}
			got, _ := items(t, d.open())
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhatIsNotUnderstoodIsKept(t *testing.T) {
	d := newDaemon(t, "DELETE", strings.Replace(newest, "not_valid_after DATETIME", "not_valid_after DATETIME, colour TEXT, pin TEXT", 1))
	for _, row := range []string{
		"'no device at all', 'none', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL",
		"'SEP001122334402', 'upgrade', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL",
		"'SEP001122334403', 'install', 'biometric', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL",
		"'SEP001122334404', 'install', 'password', 'geheim', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL",
		"'SEP001122334405', 'install', 'password', NULL, 1000, NULL, NULL, NULL, NULL, NULL, NULL, NULL",
		"'SEP001122334406', 'none', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'blue', '4711'",
		"x'ff00', 'none', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL",
		"'SEP001122334408', 'none', NULL, NULL, NULL, NULL, CAST(zeroblob(1048577) AS TEXT), NULL, NULL, NULL, NULL, NULL",
	} {
		d.exec("INSERT INTO devices VALUES (" + row + ")")
	}
	file := d.open()
	if diff := cmp.Diff([]string{"colour", "pin"}, file.Unknown); diff != "" {
		t.Error(diff)
	}
	got, records := items(t, file)
	want := []string{
		`1 kept: column "device_name": "no device at all" is not the name of a device`,
		`2 kept: column "operation": "upgrade" is not none, install, fetch or delete`,
		`3 kept: column "authentication": "biometric" is not no password, password or certificate`,
		`4 kept: column "password": is not 4 to 10 digits`,
		`5 kept: column "key_size": "********" is not 512, 1024, 2048, 3072 or 4096`,
		"6 SEP001122334406 none none 0",
		`7 kept: column "device_name": "ÿ" is not the name of a device`,
		`8 kept: column "certificate" has 1048577 bytes, more than 1048576, or with the columns before more than 4194304: not kept`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if extra := fmt.Sprint(records[0].Extra); extra != "[colour=blue pin=********]" {
		t.Errorf("got %s", extra)
	}
}

// The bytes of a row hold every value as it is, and no key.
func TestBytesOfARow(t *testing.T) {
	d := newDaemon(t, "DELETE", `CREATE TABLE devices (device_name, operation, password, a, b, c, "d""e")`)
	key := keyText(t)
	d.exec(`INSERT INTO devices VALUES ('SEP001122334401', 'none', '0042', 7, 1.5, x'0102ff', 'Jörg <&> "x"')`)
	d.exec(`INSERT INTO devices VALUES ('SEP001122334402', 'none', NULL, ?, CAST(x'ff41' AS TEXT), NULL, '')`, key)
	file := d.open()
	_, records := items(t, file)
	want := `{"device_name":"SEP001122334401","operation":"none","password":"0042","a":7,"b":{"real":"1.5"},"c":{"blob":"0102ff"},"d\"e":"Jörg <&> \"x\""}` + "\n"
	if got := string(records[0].Bytes); got != want {
		t.Errorf("got %swant %s", got, want)
	}
	for _, record := range records {
		if !json.Valid(record.Bytes) || bytes.Contains(record.Bytes, []byte("PRIVATE")) {
			t.Errorf("got %s", record.Bytes)
		}
	}
	if got := string(records[1].Bytes); !strings.Contains(got, `"a":{"private-key-sha256":"`) || !strings.Contains(got, `"b":{"text":"ff41"},"c":null,"d\"e":""`) {
		t.Errorf("got %s", got)
	}
}

func TestRowOfManyLargeValues(t *testing.T) {
	d := newDaemon(t, "DELETE", "CREATE TABLE devices (device_name, operation, a, b, c, d, e, f)")
	d.exec("INSERT INTO devices SELECT 'SEP001122334401', 'none', z, z, z, z, z, z FROM (SELECT zeroblob(1000000) AS z)")
	for item, err := range d.open().Items() {
		if err != nil || item.Kept == nil || !strings.HasPrefix(item.Kept.Reason, `column "e" has 1000000 bytes`) ||
			!bytes.Contains(item.Kept.Bytes, []byte(`"f":{"bytes-too-many":1000000}`)) {
			t.Errorf("got %+v, %v", item, err)
		}
	}
}

func TestCertificates(t *testing.T) {
	d := newDaemon(t, "DELETE", newest)
	first, second := certificateOf(t, "SEP001122334401", 0x1234), certificateOf(t, "SEP001122334402", 99)
	const insert = "INSERT INTO devices VALUES (?, 'none', 'certificate', NULL, 2048, NULL, ?, ?, ?, ?)"
	d.exec(insert, "SEP001122334401", first, "1234", "2020-01-02 03:04:05", "2030-01-02T03:04:05Z")
	d.exec(insert, "SEP001122334402", []byte(second), "100", "2020-01-02 03:04:06", "2030-01-02 03:04:05")
	d.exec(insert, "SEP001122334403", "no certificate", nil, nil, nil)
	d.exec(insert, "SEP001122334404", keyText(t)+"\n"+first, nil, nil, nil)
	inDER, _ := pem.Decode([]byte(keyText(t)))
	d.exec(insert, "SEP001122334405", inDER.Bytes, nil, nil, nil)
	torn := strings.Join(strings.Split(keyText(t), "\n")[:2], "\r\n")
	d.exec(insert, "SEP001122334406", "a note\r\n"+torn, nil, nil, nil)
	file := d.open()
	var got []string
	for _, c := range file.Certificates {
		got = append(got, fmt.Sprint(c.Position, " ", c.Row, " ", c.CommonName, " ", c.InCAPFFolder))
	}
	want := []string{"capf.db:1 SEP001122334401 SEP001122334401 false", "capf.db:2 SEP001122334402 SEP001122334402 false",
		"capf.db:4 SEP001122334404 SEP001122334401 false"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	got = nil
	for _, finding := range file.Findings {
		got = append(got, finding.String())
	}
	want = []string{"capf.db:2: warning: serial_number is not that of the certificate beside it",
		"capf.db:2: warning: not_valid_before is not that of the certificate beside it",
		"capf.db:3: warning: column certificate holds none that can be read",
		"capf.db:5: warning: column certificate holds none that can be read", "capf.db:6: warning: column certificate holds none that can be read"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	lines, _ := items(t, file)
	want = []string{`4 kept: private key in column "certificate", not kept`, "4 finding: " + legacy.PrivateKeyAdvice, "4 SEP001122334404 none none existing-certificate-lsc 2048",
		`5 kept: private key in column "certificate", not kept`, "5 finding: " + legacy.PrivateKeyAdvice, "5 SEP001122334405 none none existing-certificate-lsc 2048",
		`6 kept: private key in column "certificate", not kept`, "6 finding: " + legacy.PrivateKeyAdvice, "6 SEP001122334406 none none existing-certificate-lsc 2048"}
	if diff := cmp.Diff(want, lines[3:]); diff != "" {
		t.Error(diff)
	}
}

// Rows that are only in the log are read, what was cut off is not, and nothing changes beside a database that is open.
func TestLiveLog(t *testing.T) {
	d := newDaemon(t, "WAL", newest, "INSERT INTO devices (device_name, operation) VALUES ('SEP001122334401', 'none')",
		"PRAGMA wal_checkpoint(TRUNCATE)", "INSERT INTO devices (device_name, operation) VALUES ('SEP001122334402', 'install')",
		"BEGIN", "INSERT INTO devices (device_name, operation) VALUES ('SEP001122334403', 'install')")
	before := sourcetest.Footprint(t, filepath.Dir(d.path))
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	file := d.open()
	for item, err := range file.Items() {
		if err != nil {
			t.Fatal(err)
		}
		if left, err := os.ReadDir(temporary); err != nil || len(left) != 0 {
			t.Errorf("while %s is read there is %v in the folder for temporary files, %v", item.Record.Device, left, err)
		}
	}
	got, _ := items(t, file)
	if want := []string{"1 SEP001122334401 none none 0", "2 SEP001122334402 install pending 0"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if diff := cmp.Diff(before, sourcetest.Footprint(t, filepath.Dir(d.path))); diff != "" {
		t.Error(diff)
	}
	alone, err := usecallmanager.Open(fileInput(d.path), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := items(t, alone); len(got) != 1 {
		t.Errorf("without its log: %q", got)
	}
	if len(file.Findings) != 0 || len(alone.Findings) != 1 || !strings.Contains(alone.Findings[0].Reason, "its newest rows are missing") {
		t.Errorf("found %v with its log, %v without", file.Findings, alone.Findings)
	}
}

// A journal beside a database that was copied in the middle of a write takes the write back.
func TestHotJournal(t *testing.T) {
	d := newDaemon(t, "DELETE", newest, "INSERT INTO devices (device_name, operation) VALUES ('SEP001122334401', 'none')", "PRAGMA cache_size = 1",
		"PRAGMA cache_spill = 1", "BEGIN", "UPDATE devices SET operation = 'install'")
	d.exec(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
		INSERT INTO devices (device_name, operation) SELECT printf('SEP0000000%05d', i), 'delete' FROM n`)
	if len(d.logs()) != 1 {
		t.Fatal("there is no journal")
	}
	if got, _ := items(t, d.open()); !slices.Equal(got, []string{"1 SEP001122334401 none none 0"}) {
		t.Errorf("got %d rows: %.200q", len(got), got)
	}
}

func TestOtherDatabases(t *testing.T) {
	for want, statements := range map[string][]string{
		"without a table devices":  {"CREATE TABLE x (y)"},
		"has no columns":           {"CREATE TABLE devices (y)"},
		"without a table devices ": {"CREATE VIEW devices AS SELECT 'SEP001122334401' AS device_name, 'none' AS operation"},
		"a store of capf itself":   {"CREATE TABLE phones (x)", "CREATE TABLE migration_runs (x)"},
		"no database":              {"CREATE VIRTUAL TABLE devices USING rtree(device_name, operation, b)"},
	} {
		d := newDaemon(t, "DELETE", statements...)
		_, err := usecallmanager.Open(fileInput(d.path), nil)
		var other *usecallmanager.OtherError
		if !errors.As(err, &other) || !strings.Contains(other.Reason, strings.TrimSpace(want)) {
			t.Errorf("%v: got %v", statements, err)
		}
	}
}

func TestDamage(t *testing.T) {
	d := newDaemon(t, "DELETE", newest, "BEGIN")
	for i := range 500 {
		d.exec("INSERT INTO devices (device_name, operation, certificate) VALUES (?, 'none', ?)", fmt.Sprintf("SEP%012d", i), strings.Repeat("x", 500))
	}
	d.exec("COMMIT")
	whole, err := os.ReadFile(d.path)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"torn": whole[:len(whole)/2], "header only": whole[:100], "nothing behind the magic": append([]byte("SQLite format 3\x00"), make([]byte, 4096)...),
		"overwritten": append(slices.Clone(whole[:8192]), bytes.Repeat([]byte{0xff}, len(whole)-8192)...),
	} {
		read, err := usecallmanager.Open(legacy.BytesInput("capf.db", content), nil)
		if err == nil || !strings.Contains(err.Error(), "capf.db: ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, %v", name, read, err)
		}
	}
	gone := legacy.Input{File: "gone.db", Open: func() (io.ReadCloser, error) { return nil, os.ErrNotExist }}
	if _, err := usecallmanager.Open(gone, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "absent"))
	if _, err := usecallmanager.Open(legacy.BytesInput("capf.db", whole), nil); err == nil || !strings.Contains(err.Error(), "set TMPDIR") {
		t.Errorf("got %v", err)
	}
}

// SQLite fills up the page that a torn copy ends in, and gives rows without values for what is not there.
func TestTornLastPage(t *testing.T) {
	d := newDaemon(t, "DELETE", strings.Replace(newest, "VARCHAR(16) PRIMARY KEY", "VARCHAR(16)", 1))
	for i := range 16 {
		d.exec("INSERT INTO devices (device_name, operation) VALUES (?, 'none')", fmt.Sprintf("SEP%012d", i))
	}
	whole, err := os.ReadFile(d.path)
	if err != nil {
		t.Fatal(err)
	}
	read, err := usecallmanager.Open(legacy.BytesInput("capf.db", whole[:len(whole)-2000]), nil)
	if err == nil || !strings.Contains(err.Error(), "capf.db: table devices: ") || !strings.Contains(err.Error(), ".recover") || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v, %v", read, err)
	}
}

// What a daemon should not have stored is no damage.
func TestValuesAgainstTheSchemaAreNoDamage(t *testing.T) {
	d := newDaemon(t, "DELETE", "CREATE TABLE devices (device_name TEXT NOT NULL, operation TEXT CHECK (operation <> 'none'), password TEXT NOT NULL)",
		"PRAGMA ignore_check_constraints = ON", "INSERT INTO devices VALUES ('SEP001122334401', 'none', '')", "PRAGMA writable_schema = ON",
		"UPDATE sqlite_schema SET sql = replace(sql, 'password TEXT NOT NULL', 'password TEXT')", "PRAGMA schema_version = 77",
		"INSERT INTO devices VALUES ('SEP001122334402', 'none', NULL)",
		"UPDATE sqlite_schema SET sql = replace(sql, 'password TEXT', 'password TEXT NOT NULL')", "PRAGMA schema_version = 78")
	if got, _ := items(t, d.open()); len(got) != 2 {
		t.Errorf("got %q", got)
	}
}

// Whatever the bytes are, reading ends, gives every row as a record or kept aside, and no key comes out.
func FuzzOpen(f *testing.F) {
	d := newDaemon(f, "WAL", newest)
	d.exec("INSERT INTO devices VALUES ('SEP001122334401', 'install', 'password', '0042', 2048, NULL, ?, '1', NULL, NULL)", keyText(f))
	d.exec("PRAGMA wal_checkpoint(TRUNCATE)")
	database, err := os.ReadFile(d.path)
	if err != nil {
		f.Fatal(err)
	}
	d.exec("INSERT INTO devices (device_name, operation) VALUES ('SEP001122334402', 'none')")
	log, err := os.ReadFile(d.path + "-wal")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(database, []byte{})
	f.Add(database, log)
	f.Fuzz(func(t *testing.T, database, log []byte) {
		file, err := usecallmanager.Open(legacy.BytesInput("capf.db", database), []legacy.Input{legacy.BytesInput("capf.db-wal", log)})
		if err != nil {
			return
		}
		for item, err := range file.Items() {
			if err != nil {
				return
			}
			if r := item.Record; r != nil && (r.Device == "" || !json.Valid(r.Bytes) || bytes.Contains(r.Bytes, []byte("BEGIN PRIVATE KEY"))) {
				t.Errorf("record %v with %q", r, r.Bytes)
			}
			if k := item.Kept; k != nil && bytes.Contains(k.Bytes, []byte("BEGIN PRIVATE KEY")) {
				t.Errorf("a key is kept: %v", k)
			}
		}
	})
}
