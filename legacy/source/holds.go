package source

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// mostLinks is how many symbolic links a path may lead through, as in the kernel.
const mostLinks = 40

// Holds tells whether what is written to a path would be written into a source: into its folder, or over the file that
// it is. Neither needs to be there: where the path is not, its parents tell. Symbolic links are followed, and folders are
// known by what they are, not by their names.
func (s Spec) Holds(path string) (bool, error) {
	source, err := os.Stat(s.Folder)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) { // below a file there is nothing
		return false, nil
	}
	if err != nil {
		return false, err
	}
	at, err := realPath(path)
	if err != nil {
		return false, err
	}
	for {
		if info, err := os.Stat(at); err == nil && os.SameFile(info, source) {
			return true, nil
		}
		parent := filepath.Dir(at)
		if parent == at {
			return false, nil
		}
		at = parent
	}
}

// realPath is where a path leads, link by link, as far as it is there; what is not there follows as it is written.
func realPath(path string) (string, error) {
	at, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	rest := ""
	for range mostLinks {
		real, err := filepath.EvalSymlinks(at)
		if err == nil {
			return filepath.Join(real, rest), nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		target, err := os.Readlink(at)
		if err != nil { // it is not there itself
			at, rest = filepath.Dir(at), filepath.Join(filepath.Base(at), rest)
			continue
		}
		if !filepath.IsAbs(target) {
			parent, err := filepath.EvalSymlinks(filepath.Dir(at))
			if err != nil {
				return "", err
			}
			target = filepath.Join(parent, target)
		}
		at = target
	}
	return "", fmt.Errorf("%s leads through too many links, or has too many folders that are not there", path)
}
