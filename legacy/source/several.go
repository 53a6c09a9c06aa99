package source

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

// mostMachines is how many folders are looked into for machines: more than a cluster has servers.
const mostMachines = 100

// SeveralError says that a folder holds no files of a machine itself, but folders that do.
type SeveralError struct {
	Folder   string
	Machines []Spec // by folder; each has a name of its own
}

// Error says what was found and what to do.
func (e *SeveralError) Error() string {
	if len(e.Machines) == 1 {
		return fmt.Sprintf("%s holds the files of a machine in %s: give that", e.Folder, e.Machines[0].Folder)
	}
	return fmt.Sprintf("%s holds %d machines: give each as a source of its own", e.Folder, len(e.Machines))
}

// machinesBelow finds the machines in the folders below one, or where a disk was copied by its letter (pub/C), one further
// down; nil: there is none.
func machinesBelow(folder string, at *place) error {
	if !at.info.IsDir() {
		return nil
	}
	out := &SeveralError{Folder: folder}
	for _, name := range foldersIn(at.tree, ".") {
		paths := machinesAt(folder, at.tree, name)
		for _, path := range paths {
			machine := Spec{Name: name, Folder: filepath.Join(folder, filepath.FromSlash(path))}
			if len(paths) > 1 {
				machine.Name = strings.ReplaceAll(path, "/", "-")
			}
			out.Machines = append(out.Machines, machine)
		}
	}
	if len(out.Machines) == 0 {
		return nil
	}
	return out
}

// machinesAt gives the path of a folder that is a machine, else those of the machines in it.
func machinesAt(folder string, tree fs.FS, name string) (paths []string) {
	if isMachine(filepath.Join(folder, name)) {
		return []string{name}
	}
	for _, disk := range foldersIn(tree, name) {
		if isMachine(filepath.Join(folder, name, disk)) {
			paths = append(paths, name+"/"+disk)
		}
	}
	return paths
}

// foldersIn names the first folders in one; none where it cannot be read, since this only looks for what to advise.
func foldersIn(tree fs.FS, path string) (out []string) {
	entries, err := fs.ReadDir(tree, path)
	if err != nil {
		return nil
	}
	for _, entry := range entries {
		if entry.IsDir() && len(out) < mostMachines {
			out = append(out, entry.Name())
		}
	}
	return out
}

// isMachine tells whether a folder has files of a machine.
func isMachine(folder string) bool {
	at, err := openFolder(folder, place{})
	if err != nil {
		return false
	}
	defer at.close()
	finder := finder{tree: at.tree, base: folder}
	return finder.search() == nil && len(finder.files) > 0
}
