package source

import (
	"errors"
	"io"
	"io/fs"
	"os"
)

// tree is what files are looked for and read in: a folder, or the members of an archive. Paths are slash separated,
// "." is the top.
type tree interface {
	ReadDir(path string) ([]fs.DirEntry, error)
	Stat(path string) (fs.FileInfo, error)
	Open(path string) (io.ReadCloser, error)
	Close() error
}

// folderTree is a folder, read through os.Root: nothing outside of it is reached, and nothing is written.
type folderTree struct{ root *os.Root }

func openFolder(path string) (folderTree, error) {
	root, err := os.OpenRoot(path)
	return folderTree{root}, err
}

func (f folderTree) ReadDir(path string) ([]fs.DirEntry, error) { return fs.ReadDir(f.root.FS(), path) }

func (f folderTree) Stat(path string) (fs.FileInfo, error) { return f.root.Stat(path) }

// Open opens a file that is still a regular one: a pipe in its place would block, a device never end.
func (f folderTree) Open(path string) (io.ReadCloser, error) {
	info, err := f.root.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("is not a regular file any more")
	}
	return f.root.Open(path)
}

func (f folderTree) Close() error { return f.root.Close() }
