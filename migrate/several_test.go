package migrate

import (
	"path/filepath"
	"strings"
	"testing"

	"capf/legacy/source"
	"capf/runtime/capf"
)

// TestSeveralMachines: a folder with two machines below it is refused with the command that gives each.
func TestSeveralMachines(t *testing.T) {
	folder := filepath.Dir(phoneFolders(t, map[string][]string{"a": {row("2005-01-01 10:00:00", "x")}, "b": {row("2005-01-01 10:00:00", "y")}})[0].Folder)
	specs := []source.Spec{{Name: "all", Folder: folder}}
	want := []string{"holds 2 machines: give each as a source of its own", "capf migrate plan " + capf.ShellWord("a="+filepath.Join(folder, "a")) + " "}
	_, err := NewPlan(t.Context(), specs, testOptions(), newMemoryStore())
	found, inspected := Inspect(t.Context(), specs, testOptions(), Masked)
	if inspected != nil || err == nil {
		t.Fatal(err, inspected)
	}
	for _, said := range []string{err.Error(), strings.Join(found.Problems, "\n")} {
		for _, one := range want {
			if !strings.Contains(said, one) {
				t.Errorf("%s: want %s", said, one)
			}
		}
	}
}
