package source

import (
	"os"
	"path/filepath"
	"testing"
)

// TestHolds: whatever way a path leads into a source, it is found out; beside it, it is not.
func TestHolds(t *testing.T) {
	top := t.TempDir()
	at := func(names ...string) string { return filepath.Join(append([]string{top}, names...)...) }
	for _, folder := range []string{at("copy", "CAPF"), at("copy-2"), at("other")} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{at("disk.zip"), at("other", "plain")} {
		if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{
		at("link"): "copy/CAPF", at("other", "up"): "../copy", at("dangling"): "copy/CAPF/new.html", at("again"): "dangling",
		at("alias"): "copy", at("round"): "round-2", at("round-2"): "round", at("zip"): "disk.zip",
	} {
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(at("disk.zip"), at("hard.zip")); err != nil {
		t.Fatal(err)
	}
	t.Chdir(at("copy"))
	for _, test := range []struct {
		source, path string
		want         bool
	}{
		{at("copy"), at("copy"), true}, {at("copy"), at("copy", "x"), true}, {at("copy"), at("copy", "a", "b", "c"), true},
		{at("copy"), "x", true}, {at("copy"), ".", true}, {".", "CAPF/data", true}, {".", at("copy", "CAPF"), true},
		{at("copy"), at("link", "x"), true}, {at("copy"), at("other", "up", "x", "y"), true}, {at("alias"), at("copy", "x"), true},
		{at("copy"), at("dangling"), true}, {at("copy"), at("again"), true}, {at("copy"), at("again", "x"), true},
		{at("disk.zip"), at("disk.zip"), true}, {at("disk.zip"), at("zip"), true}, {at("disk.zip"), at("hard.zip"), true},
		{at("copy"), at("copy-2", "x"), false}, {at("copy"), at("other", "x"), false}, {at("copy"), top, false}, {at("copy"), "..", false},
		{at("copy", "CAPF"), at("copy", "x"), false}, {at("disk.zip"), at("disk.zip.html"), false}, {at("disk.zip"), at("other", "plain"), false},
		{at("nowhere"), at("nowhere", "x"), false}, {at("disk.zip", "x"), at("other", "x"), false}, {".", "../other/x", false},
	} {
		got, err := Spec{Name: "a", Folder: test.source}.Holds(test.path)
		if err != nil || got != test.want {
			t.Errorf("%s holds %s: %v, %v", test.source, test.path, got, err)
		}
	}
	if _, err := (Spec{Name: "a", Folder: at("copy")}).Holds(at("round")); err == nil {
		t.Error("a link that leads nowhere is taken")
	}
}
