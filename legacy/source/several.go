package source

import (
	"fmt"
	"path/filepath"

	"capf/legacy"
)

// mostMachines is how many folders are looked into for machines: more than a cluster has servers.
const mostMachines = 100

// SeveralError says that a folder holds no files of a machine itself, but folders that do.
type SeveralError struct {
	Folder   string
	Machines []string // the paths of those folders, by name
}

// Error says what was found and what to do.
func (e *SeveralError) Error() string {
	return fmt.Sprintf("%s holds %s: give each as a source of its own", e.Folder, legacy.Counted(len(e.Machines), "machine"))
}

// machinesBelow finds the folders right below one that are machines; nil: there is none.
func machinesBelow(folder string, at *place) error {
	if !at.info.IsDir() {
		return nil
	}
	entries, err := at.tree.ReadDir(".")
	if err != nil {
		return err
	}
	out := &SeveralError{Folder: folder}
	for _, entry := range entries[:min(len(entries), mostMachines)] {
		if below := filepath.Join(folder, entry.Name()); entry.IsDir() && isMachine(below) {
			out.Machines = append(out.Machines, below)
		}
	}
	if len(out.Machines) == 0 {
		return nil
	}
	return out
}

// isMachine tells whether a folder has files of a machine.
func isMachine(folder string) bool {
	tree, err := openFolder(folder)
	if err != nil {
		return false
	}
	defer tree.Close()
	finder := finder{tree: tree, base: folder}
	return finder.search() == nil && len(finder.files) > 0
}
