package machine_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"capf/legacy/machine"
	"capf/legacy/source"
)

func TestDatabasesAndLists(t *testing.T) {
	var got []string
	for _, name := range []string{"usecallmanager", "usecallmanager/capf.db", "lists", "lists/capf-report.csv"} {
		made := readMachine(t, samples+name, machine.Options{Now: now})
		for _, file := range made.Further {
			got = append(got, fmt.Sprintf("%s: %s, %s, %s, %q", name, file.Path, file.Reader, file.Encoding, file.Columns))
		}
		got = append(got, fmt.Sprintf("%s: %d records, kept %q, %d certificates", name, len(made.records), made.kept, len(made.Certificates)))
	}
	reboot := `["13 column \"operation\": \"reboot\" is not none, install, fetch or delete"]`
	const export = `"Description, Certificate Operation, Authentication Mode, Key Order, RSA Key Size (Bits), EC Key Size (Bits)"`
	const report = `"Device Description, Certificate Operation, Certificate Operation Status, Authentication Mode, Authentication String, ` +
		`Key Size (Bits), Operation Completes By"`
	want := []string{
		`usecallmanager: capf.db, usecallmanager database, SQLite, ""`,
		"usecallmanager: 12 records, kept " + reboot + ", 5 certificates",
		`usecallmanager/capf.db: capf.db, usecallmanager database, SQLite, ""`,
		"usecallmanager/capf.db: 12 records, kept " + reboot + ", 4 certificates",
		"lists: bulk-export.csv, list of phones, utf-8, " + export,
		"lists: capf-report.csv, list of phones, windows-1252, " + report,
		`lists: 10 records, kept ["10 operation: \"Renew\" is not an operation"], 0 certificates`,
		"lists/capf-report.csv: capf-report.csv, list of phones, windows-1252, " + report,
		`lists/capf-report.csv: 8 records, kept ["10 operation: \"Renew\" is not an operation"], 0 certificates`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A file that cannot be read by what it is names itself, alone or among others.
func TestOddFurtherFiles(t *testing.T) {
	folder := t.TempDir()
	for name, content := range map[string]string{
		"CAPF.cfg": "KeySize=1024\n", "torn.db": "SQLite format 3\x00" + strings.Repeat("x", 100), "stock.csv": "Part,Number\n",
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{"": "torn.db: ", "torn.db": "it is damaged, or encrypted; copy it again", "stock.csv": "stock.csv is no list of phones"} {
		opened, err := source.Open(source.Spec{Name: "m", Folder: filepath.Join(folder, name)})
		if err != nil {
			t.Fatal(err)
		}
		_, err = machine.Read(opened, machine.Options{})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: got %v", name, err)
		}
		if err := opened.Close(); err != nil {
			t.Error(err)
		}
	}
}
