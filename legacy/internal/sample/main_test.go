package main

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const committed = "../../../testdata/legacy"

// The data that are committed are those that the program makes, but for keys and what is signed with them.
func TestCommittedDataAreCurrent(t *testing.T) {
	folder := t.TempDir()
	if err := run(folder); err != nil {
		t.Fatal(err)
	}
	want, got := load(t, folder), load(t, committed)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); diff != "" {
		t.Fatalf("run go generate: %s", diff)
	}
	for path := range want {
		made := slices.Contains([]string{".0", ".cer", ".pem", ".db"}, strings.ToLower(filepath.Ext(path)))
		if !made && want[path] != got[path] {
			t.Errorf("%s differs: run go generate", path)
		}
	}
}

// What was in the folders before does not stay; what is beside them does.
func TestRunReplaces(t *testing.T) {
	folder := t.TempDir()
	for _, path := range []string{"cluster/old/CAPF.phone", "other/CAPF.phone"} {
		path = filepath.Join(folder, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := run(folder); err != nil {
		t.Fatal(err)
	}
	files := load(t, folder)
	if _, ok := files["cluster/old/CAPF.phone"]; ok {
		t.Error("an old file is still there")
	}
	if _, ok := files["other/CAPF.phone"]; !ok {
		t.Error("a file beside the folders is gone")
	}
}

func load(t *testing.T, folder string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := fs.WalkDir(os.DirFS(folder), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() == ".gitattributes" {
			return err
		}
		content, err := os.ReadFile(filepath.Join(folder, path))
		out[path] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
