package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/pressly/goose/v3"

	"capf/runtime/capf"
)

func wantCode(t *testing.T, err error, code capf.Code, words ...string) {
	t.Helper()
	if !capf.HasCode(err, code) {
		t.Fatalf("got error %v, want one with code %s", err, code)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the error lacks %q: %v", word, err)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("the error has more than one line: %q", err)
	}
}

func operation(device string) capf.PhoneChange {
	install := capf.OperationInstall
	return capf.PhoneChange{Device: device, Operation: &install}
}

func apply(t testing.TB, s *Store, changes ...capf.PhoneChange) []capf.Changed {
	t.Helper()
	changed, err := s.ApplyChanges(context.Background(), capf.ApplyUpsert, changes, capf.ChangeContext{Actor: "tester"})
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

// TestModes makes a store under a mask that hides nothing: modes must not depend on the caller's.
func TestModes(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	folder := filepath.Join(t.TempDir(), "a", "data")
	s := openAt(t, filepath.Join(folder, "capf.db"), nil)
	apply(t, s, operation("SEP000000000001"))
	want := map[string]fs.FileMode{".": fs.ModeDir | 0o700, "capf.db": 0o600, "capf.db-wal": 0o600, "capf.db-shm": 0o600}
	for name, mode := range want {
		info, err := os.Stat(filepath.Join(folder, name))
		if err != nil {
			t.Error(err)
			continue
		}
		if info.Mode() != mode {
			t.Errorf("%s has mode %s, want %s", name, info.Mode(), mode)
		}
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != len(want)-1 {
		t.Errorf("files in the data directory: %v", entries)
	}
}

func TestWideModeIsTightened(t *testing.T) {
	path := filepath.Join(t.TempDir(), "capf.db")
	openAt(t, path, nil)
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	openAt(t, path, nil)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %o, want 600", info.Mode().Perm())
	}
}

func TestOpenWhatIsNoStore(t *testing.T) {
	folder := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	foreign := filepath.Join(folder, "foreign.db")
	execute(t, foreign, `CREATE TABLE notes (text TEXT)`)
	for _, test := range []struct {
		name, path string
		create     bool
		code       capf.Code
	}{
		{"missing", filepath.Join(folder, "missing", "capf.db"), false, capf.CodeNotActivated},
		{"empty", write("empty.db", ""), false, capf.CodeNotActivated},
		{"text", write("text.db", strings.Repeat("no database ", 1000)), true, capf.CodeInvalid},
		{"short text", write("short.db", "x"), true, capf.CodeInvalid},
		{"folder", folder, true, capf.CodeInvalid},
		{"database of another program", foreign, true, capf.CodeInvalid},
		{"below a file", filepath.Join(foreign, "capf.db"), true, capf.CodeUnavailable},
	} {
		t.Run(test.name, func(t *testing.T) {
			before, _ := os.ReadFile(test.path)
			_, err := Open(t.Context(), Options{Path: test.path, Create: test.create, Upgrade: test.create})
			wantCode(t, err, test.code, test.path)
			if test.code == capf.CodeNotActivated && !strings.Contains(err.Error(), "capf init") {
				t.Errorf("no way out: %v", err)
			}
			after, _ := os.ReadFile(test.path)
			if string(before) != string(after) {
				t.Error("a file that is not ours was changed")
			}
		})
	}
	if _, err := os.Stat(filepath.Join(folder, "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a folder was made by looking for a store")
	}
}

// execute runs SQL on a file, past the store.
func execute(t testing.TB, path string, queries ...string) {
	t.Helper()
	pool, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	for _, query := range queries {
		if _, err := pool.Exec(query); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDamagedStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "capf.db")
	s, err := Open(t.Context(), Options{Path: path, Create: true})
	if err != nil {
		t.Fatal(err)
	}
	var changes []capf.PhoneChange
	for n := range 500 {
		changes = append(changes, operation(deviceName(n)))
	}
	apply(t, s, changes...)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := len(content) / 2; i < len(content); i++ {
		content[i] = 0xff
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err = Open(t.Context(), Options{Path: path})
	if err == nil {
		defer s.Close()
		err = s.Phones(t.Context(), capf.PhoneFilter{}, func(capf.Phone) error { return nil })
	}
	wantCode(t, err, capf.CodeUnavailable, path, "damaged")
}

func TestPathWithMarks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b?c#d%20é", "capf.db")
	s := openAt(t, path, nil)
	apply(t, s, operation("SEP000000000001"))
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "capf.db")
	openAt(t, path, nil)
	execute(t, path, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)`)
	for _, options := range []Options{{Path: path}, {Path: path, Create: true, Upgrade: true}} {
		_, err := Open(t.Context(), options)
		wantCode(t, err, capf.CodeRefused, path, "9999")
	}
}

// atVersion makes a store as an older program would have left it.
func atVersion(t testing.TB, path string, version int64) {
	t.Helper()
	if err := createFile(path); err != nil {
		t.Fatal(err)
	}
	execute(t, path, `PRAGMA application_id = 1128353862`)
	pool, err := sql.Open("sqlite3", path+"?_journal_mode=WAL")
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	pool.SetMaxOpenConns(1)
	provider, err := newProvider(pool)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.GetDBVersion(t.Context()); err != nil {
		t.Fatal(err)
	}
	if version == 0 {
		return
	}
	if _, err := provider.UpTo(t.Context(), version); err != nil {
		t.Fatal(err)
	}
}

func TestUpgrade(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "capf.db")
	atVersion(t, path, 1)
	execute(t, path, `INSERT INTO parameters VALUES ('key-size', '2048', 0, 'older')`)
	_, err := Open(t.Context(), Options{Path: path, Create: true})
	wantCode(t, err, capf.CodeRefused, path, "schema 1", "capf init")

	s, err := Open(t.Context(), Options{Path: path, Upgrade: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	apply(t, s, operation("SEP000000000001"))
	parameters, err := s.Parameters(t.Context())
	if err != nil || parameters[capf.ParamKeySize] != "2048" {
		t.Errorf("parameters %v, %v", parameters, err)
	}
	copied := path + ".schema-1"
	info, err := os.Stat(copied)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o600 {
		t.Errorf("the copy has mode %s, want 0600", info.Mode())
	}
	_, err = Open(t.Context(), Options{Path: copied})
	wantCode(t, err, capf.CodeRefused, "schema 1")
}

// TestHalfMadeStore begins with a file that a program left when it was killed while it made the store.
func TestHalfMadeStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "capf.db")
	atVersion(t, path, 0)
	_, err := Open(t.Context(), Options{Path: path})
	wantCode(t, err, capf.CodeNotActivated)
	openAt(t, path, nil)
}

func TestManyMakeTheSameStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "capf.db")
	var group sync.WaitGroup
	failures := make([]error, 8)
	for n := range failures {
		group.Go(func() {
			s, err := Open(t.Context(), Options{Path: path, Create: true, Upgrade: true})
			if err == nil {
				err = s.Close()
			}
			failures[n] = err
		})
	}
	group.Wait()
	if err := errors.Join(failures...); err != nil {
		t.Fatal(err)
	}
	openAt(t, path, nil)
}

// TestMigrationsAreNumbered keeps the files in order and without a way back: schemas only grow.
func TestMigrationsAreNumbered(t *testing.T) {
	files, err := fs.Glob(migrationFiles, "migrations/*")
	if err != nil {
		t.Fatal(err)
	}
	for i, file := range files {
		version, err := goose.NumericComponent(file)
		if err != nil || version != int64(i+1) {
			t.Errorf("%s is number %d: %v", file, version, err)
		}
		content, err := fs.ReadFile(migrationFiles, file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(content), "-- +goose Up\n") || strings.Contains(string(content), "+goose Down") {
			t.Errorf("%s goes another way than up", file)
		}
	}
	known, err := knownVersion()
	if err != nil || known != int64(len(files)) {
		t.Errorf("known version %d, %v; want %d", known, err, len(files))
	}
}
