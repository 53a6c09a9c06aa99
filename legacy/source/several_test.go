package source

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestMachinesBelow: folders of machines below the one that is given are named, disks in them too.
func TestMachinesBelow(t *testing.T) {
	for _, test := range []struct {
		files []string
		want  []Spec // with paths below the folder
	}{
		{[]string{"pub/CAPF.phone", "sub 1/Cisco/CAPF/CAPF.phone", "other/readme.txt"}, []Spec{{"pub", "pub"}, {"sub 1", "sub 1"}}},
		{[]string{"pub/C/Program Files/Cisco/CAPF/CAPF.phone", "sub/c/CAPF.cfg", "sub/d/CAPF.phone"},
			[]Spec{{"pub", "pub/C"}, {"sub-c", "sub/c"}, {"sub-d", "sub/d"}}},
		{[]string{"copies/pub/CAPF.phone"}, []Spec{{"copies", "copies/pub"}}},
		{[]string{"a/b/c/CAPF.phone", "readme.txt"}, nil},
	} {
		folder := t.TempDir()
		for _, file := range test.files {
			path := filepath.Join(folder, filepath.FromSlash(file))
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte("x\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for i := range test.want {
			test.want[i].Folder = filepath.Join(folder, filepath.FromSlash(test.want[i].Folder))
		}
		opened, err := Open(Spec{Name: "all", Folder: folder})
		if err == nil {
			t.Errorf("%q: opened: %v", test.files, opened.Close())
			continue
		}
		var got []Spec
		if several := new(SeveralError); errors.As(err, &several) {
			got = several.Machines
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%q: %v\n%s", test.files, err, diff)
		}
	}
}
