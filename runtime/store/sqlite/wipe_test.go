package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"capf/runtime/capf"
)

// dirtied makes a store of an older schema, out of which so many phones with strings were thrown as older programs did it.
func dirtied(t testing.TB, path string, phones int) {
	t.Helper()
	atVersion(t, path, 17)
	execute(t, path, fmt.Sprintf(`PRAGMA secure_delete = OFF;
			CREATE TABLE gone (device TEXT PRIMARY KEY, auth_string TEXT, rest BLOB) WITHOUT ROWID;
			WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
			INSERT INTO gone SELECT printf('SEP%%012X', i), printf('73104%%05d', i %% 100000), zeroblob(200) FROM n;
			DROP TABLE gone`, phones))
}

// stringsIn counts strings of phones in the files of a store.
func stringsIn(t *testing.T, path string) (found int) {
	t.Helper()
	names, err := filepath.Glob(path + "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		found += strings.Count(string(content), "73104")
	}
	return found
}

// TestUpgradeWipesFreePages: strings of before are in no file any more, the copy among them, also where the upgrade was cut
// and goes on. Pages that were wiped already are wiped again without harm.
func TestUpgradeWipesFreePages(t *testing.T) {
	path := filepath.Join(t.TempDir(), "capf.db")
	const phones = 3000
	dirtied(t, path, phones)
	if found := stringsIn(t, path); found < phones/2 {
		t.Fatalf("%d strings are in the file to begin with", found)
	}
	execute(t, path, `CREATE TABLE staged_endings (in_the_way INTEGER)`)
	_, err := Open(t.Context(), Options{Path: path, Upgrade: true})
	wantCode(t, err, capf.CodeUnavailable, "was not upgraded")
	execute(t, path, `DROP TABLE staged_endings`)
	s, err := Open(t.Context(), Options{Path: path, Upgrade: true})
	if err != nil {
		t.Fatal(err)
	}
	checkWhole(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if found := stringsIn(t, path); found > 0 {
		t.Errorf("%d strings are in the files after the upgrade", found)
	}
	s = openAt(t, path, nil)
	if tables := texts(t, s.readPool, `SELECT name FROM sqlite_schema WHERE name = 'wiped'`); len(tables) > 0 {
		t.Errorf("left are %q", tables)
	}
	if err := wipeFree(t.Context(), s.bulkPool); err != nil {
		t.Error(err)
	}
	checkWhole(t, s)
}

// BenchmarkWipeFree overwrites the pages that 200,000 phones leave, and reports how long it has the write lock.
func BenchmarkWipeFree(b *testing.B) {
	for b.Loop() {
		path := filepath.Join(b.TempDir(), "capf.db")
		dirtied(b, path, 200_000)
		pool := connect(Options{Path: path, BusyTimeout: time.Second}, readWrite, 1)
		begin := time.Now()
		if err := errors.Join(wipeFree(b.Context(), pool), pool.Close()); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(time.Since(begin).Milliseconds()), "lock-ms")
		info, err := os.Stat(path)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(info.Size()>>20), "file-MiB")
	}
}
