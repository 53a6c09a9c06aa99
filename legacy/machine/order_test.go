package machine_test

import (
	"fmt"
	"slices"
	"testing"

	"capf/legacy/machine"
)

// TestOrderOfFiles: what is found stands in the order of the files, whichever of them were read beside each other.
func TestOrderOfFiles(t *testing.T) {
	files := map[string]string{"CAPF.phone": "", "CAPF.cfg": ""}
	for n := range 40 {
		files[fmt.Sprintf("%02d.0", n)] = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"
	}
	opened := openSource(t, write(t, files))
	read, err := machine.Read(opened, machine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var wanted, kept, found []string
	for _, file := range opened.Files {
		wanted = append(wanted, file.Path)
	}
	for _, line := range read.Kept {
		kept = append(kept, line.File)
	}
	for _, finding := range read.Findings {
		found = append(found, finding.Position.File)
	}
	all := append(slices.Compact(slices.Clone(kept)), slices.Compact(slices.Clone(found))...)
	slices.Sort(all)
	if all = slices.Compact(all); len(all) < 40 {
		t.Fatalf("only %q are mentioned: %q, %q", all, kept, found)
	}
	byFile := func(a, b string) int { return slices.Index(wanted, a) - slices.Index(wanted, b) }
	if !slices.IsSortedFunc(kept, byFile) {
		t.Errorf("lines kept aside are those of %q", kept)
	}
	if !slices.IsSortedFunc(found, byFile) {
		t.Errorf("findings are those of %q", found)
	}
}
