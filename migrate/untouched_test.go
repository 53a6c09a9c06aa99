package migrate

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"context"
	"database/sql"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	_ "github.com/mattn/go-sqlite3"

	"capf/legacy/source"
	"capf/legacy/source/sourcetest"
)

// packed writes the content of a folder to an archive, by the ending of its name, with a folder in front of its names.
func packed(t *testing.T, folder, path, top string) {
	t.Helper()
	into, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer into.Close()
	switch filepath.Ext(path) {
	case ".zip":
		pack(t, folder, top, zip.NewWriter(into))
	case ".tgz":
		compressed := gzip.NewWriter(into)
		pack(t, folder, top, tar.NewWriter(compressed))
		if err := compressed.Close(); err != nil {
			t.Fatal(err)
		}
	default:
		pack(t, folder, top, tar.NewWriter(into))
	}
}

type packer interface {
	AddFS(fs.FS) error
	Close() error
}

func pack(t *testing.T, folder, top string, into packer) {
	t.Helper()
	content := os.DirFS(folder)
	if top != "" {
		moved := filepath.Join(t.TempDir(), "moved")
		if err := os.CopyFS(filepath.Join(moved, top), content); err != nil {
			t.Fatal(err)
		}
		content = os.DirFS(moved)
	}
	if err := into.AddFS(content); err != nil {
		t.Fatal(err)
	}
	if err := into.Close(); err != nil {
		t.Fatal(err)
	}
}

// liveDatabase copies the sample's database into a folder, opens it as the daemon does, and changes a row, which is in
// the log then.
func liveDatabase(t *testing.T, folder string) *sql.DB {
	t.Helper()
	if err := os.CopyFS(folder, os.DirFS("../testdata/legacy/usecallmanager")); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, "capf.db")
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	pool, err := sql.Open("sqlite3", path+"?_journal_mode=WAL")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close() })
	pool.SetMaxOpenConns(1)
	if _, err := pool.Exec(`INSERT INTO devices (device_name, operation) VALUES ('SEP0019E8FFFFFF', 'install')`); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + "-wal"); err != nil {
		t.Fatal(err)
	}
	return pool
}

// TestSourcesAreNeverWritten goes through every command on every form of source.
func TestSourcesAreNeverWritten(t *testing.T) {
	root, temporary := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", temporary)
	folder := filepath.Join(root, "subscriber-1")
	if err := os.CopyFS(folder, os.DirFS("../testdata/legacy/cluster/subscriber-1")); err != nil {
		t.Fatal(err)
	}
	liveDatabase(t, filepath.Join(root, "daemon"))
	packed(t, "../testdata/legacy/cluster/subscriber-2", filepath.Join(root, "subscriber-2.tgz"), "")
	packed(t, "../testdata/legacy/cluster/publisher", filepath.Join(root, "publisher.zip"), "")
	packed(t, filepath.Join(root, "daemon"), filepath.Join(root, "daemon-too.tar"), "")
	if err := os.CopyFS(root, os.DirFS("../testdata/legacy/lists")); err != nil {
		t.Fatal(err)
	}
	var specs []source.Spec
	for _, name := range []string{"subscriber-1", "subscriber-2.tgz", "publisher.zip", "daemon", "daemon-too.tar", "capf-report.csv", "daemon/capf.db"} {
		specs = append(specs, source.Spec{Name: strings.NewReplacer(".", "-", "/", "-").Replace(name), Folder: filepath.Join(root, name)})
	}
	before := sourcetest.Footprint(t, root)
	store := newMemoryStore()
	for name, step := range map[string]func() error{
		"inspect": func() error { _, err := Inspect(context.Background(), specs, testOptions(), Masked); return err },
		"plan":    func() error { _, err := NewPlan(context.Background(), specs, testOptions(), store); return err },
	} {
		if err := step(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	report := mustRun(t, specs, testOptions(), store)
	if v := mustVerify(t, store, report.Run); !v.OK() || v.Records != report.Counts.Records {
		t.Errorf("verification %+v of %+v", v, report.Counts)
	}
	if again := mustRun(t, specs, testOptions(), store); !again.Already {
		t.Errorf("the same again: %+v", again)
	}
	if diff := cmp.Diff(before, sourcetest.Footprint(t, root)); diff != "" {
		t.Error(diff)
	}
	if left := sourcetest.Footprint(t, temporary); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
	if store.phones["SEP0019E8FFFFFF"] == nil {
		t.Error("the phone that is only in the log is missing")
	}
}
