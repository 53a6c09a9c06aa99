// A certificate with a 512-bit key is among the data:
//go:debug rsa1024min=0

// Command sample makes the test data in testdata/legacy: machines that ran CAPF 1.0(1), as copied disks; the folder of a
// usecallmanager daemon; lists of phones; machines of other countries.
//
// The folders are those of legacy-layout.md; the line formats are not public, so the files are in the built-in
// dialects. Phones, times and strings are the same each time; keys and certificates are really made and differ. The
// private keys are thrown away, but for the one in the daemon's capf.pem.
//
// usage: sample FOLDER    writes FOLDER/cluster, conflict, usecallmanager, lists and abroad
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: sample FOLDER")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "sample:", err)
		os.Exit(1)
	}
}

func run(folder string) error {
	files := tree{}
	if err := cluster(files); err != nil {
		return err
	}
	conflict(files)
	if err := daemon(files); err != nil {
		return err
	}
	lists(files)
	if err := abroad(files); err != nil {
		return err
	}
	for _, made := range []string{"cluster", "conflict", "usecallmanager", "lists", "abroad"} {
		if err := os.RemoveAll(filepath.Join(folder, made)); err != nil {
			return err
		}
	}
	return files.write(folder)
}

// tree is the content of files by their path.
type tree map[string][]byte

func (t tree) write(folder string) error {
	for path, content := range t {
		path = filepath.Join(folder, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
