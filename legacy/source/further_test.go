package source

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func folderWith(t testing.TB, name string, files map[string]string) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), name)
	for path, content := range files {
		path = filepath.Join(folder, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// database begins like one.
const database = sqliteMagic + "…"

func TestDatabasesAndLists(t *testing.T) {
	folder := folderWith(t, "etc", map[string]string{
		"capf.db": database, "capf.db-wal": "log", "capf.db-shm": "x", "thumbs.db": "no database", "lost.sqlite3-journal": "x", "empty.db": "",
		"CAPF.PEM": "identity", "Phones.CSV": "Device", "x.0": "x",
	})
	got, err := opened(t, folder, usualLimits)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`CAPF.PEM identity CAPF "identity"`, `Phones.CSV phone-list CAPF "Device"`, `capf.db phone-database CAPF "SQLite format 3\x00…"`,
		`capf.db-wal database-log CAPF "log"`, `x.0 certificates CAPF "x"`,
	}
	if diff := cmp.Diff(want, holds(t, got)); diff != "" {
		t.Error(diff)
	}
	logs := got.Of(PhoneDatabase)[0].Logs
	if len(logs) != 1 || logs[0].Path != "capf.db-wal" || logs[0].SHA256 != got.Of(DatabaseLog)[0].SHA256 || logs[0].Size != 3 {
		t.Errorf("logs %+v", logs)
	}
	found := says(got)
	for _, finding := range []string{
		"thumbs.db: note: is none of the files of CAPF", "empty.db: note: is none of", "capf.db-shm: note: is none of",
		"lost.sqlite3-journal: warning: belongs to a database that is not there", "count as lying in CAPF: it holds a database of phones",
	} {
		if !strings.Contains(found, finding) {
			t.Errorf("%q is not in\n%s", finding, found)
		}
	}
	without := got.Digest()
	if err := os.WriteFile(filepath.Join(folder, "capf.db-wal"), []byte("more"), 0o600); err != nil {
		t.Fatal(err)
	}
	if again, err := opened(t, folder, usualLimits); err != nil || again.Digest() == without {
		t.Errorf("another log has the same digest, %v", err)
	}
}

func TestSingleFiles(t *testing.T) {
	folder := folderWith(t, "x", map[string]string{"Capf.SQLite": database, "Capf.SQLite-wal": "log", "odd-name": database, "list.csv": "Device", "y.0": "y"})
	for name, want := range map[string][]string{
		"Capf.SQLite": {"Capf.SQLite", "Capf.SQLite-wal"}, "odd-name": {"odd-name"}, "list.csv": {"list.csv"},
	} {
		got, err := opened(t, filepath.Join(folder, name), usualLimits)
		if err != nil || !got.Single {
			t.Fatalf("%s: %v, %v", name, got, err)
		}
		var paths []string
		for _, one := range got.Files {
			paths = append(paths, one.Path)
		}
		if !slices.Equal(paths, want) || !strings.EqualFold(got.Name, stem(name)) {
			t.Errorf("%s is %s with %q", name, got.Name, paths)
		}
	}
	_, err := OpenAll([]Spec{{"a", filepath.Join(folder, "list.csv")}, {"b", filepath.Join(folder, "list.csv")}})
	if err == nil || !strings.Contains(err.Error(), "are the same file") {
		t.Errorf("got %v", err)
	}
}

// What is copied of a database must not lie in the source.
func TestTemporaryFolderInTheSource(t *testing.T) {
	folder := folderWith(t, "x", map[string]string{"capf.db": database, "tmp/x": ""})
	t.Setenv("TMPDIR", filepath.Join(folder, "tmp"))
	if _, err := opened(t, folder, usualLimits); err == nil || !strings.Contains(err.Error(), "lies in the source: set TMPDIR to another") {
		t.Errorf("got %v", err)
	}
}

func TestStem(t *testing.T) {
	for name, want := range map[string]string{
		"publisher.zip": "publisher", "publisher.tar.gz": "publisher", "PUB.TGZ": "PUB", "a.tar": "a", "capf.db": "capf", ".zip": ".zip", "sub.1": "sub.1",
	} {
		if got := stem(name); got != want {
			t.Errorf("stem(%q) = %q", name, got)
		}
	}
}
