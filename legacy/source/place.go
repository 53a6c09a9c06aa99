package source

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"capf/legacy"
)

// place is where a source is read: a folder, or the members of an archive.
type place struct {
	tree    fs.FS
	close   func() error
	info    fs.FileInfo // of the folder or file that was given
	base    string      // the name that a folder is judged by
	members []string    // of an archive, those that could be files of CAPF
	// only is the name of a file that is the whole source, with what belongs to it; kind is what it is.
	only     string
	kind     Kind
	findings legacy.Findings
}

// folder is a folder, read through os.Root: nothing outside of it is reached, and nothing is written. Names of files need
// not be UTF-8, as they must for os.Root.FS.
type folder struct{ *os.Root }

// ReadDir gives what lies in a folder.
func (f folder) ReadDir(path string) ([]fs.DirEntry, error) { return fs.ReadDir(f.FS(), path) }

// Open opens a file that is still a regular one: a pipe in its place would block, a device never end.
func (f folder) Open(path string) (fs.File, error) {
	info, err := f.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("is not a regular file any more")
	}
	return f.Root.Open(path)
}

// sqliteMagic begins a SQLite database (sqlite.org/fileformat.html, 1.3).
const sqliteMagic = "SQLite format 3\x00"

// openPlace opens what the administrator gave: a folder, an archive of one, a database or a list.
func openPlace(given string, bounds limits) (*place, error) {
	info, err := os.Stat(given)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("folder %s is not there: check the path", given)
	case err != nil:
		return nil, err
	case info.IsDir():
		return openFolder(given, place{info: info, base: given})
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a folder and not a file", given)
	}
	return openFile(given, info, bounds)
}

func openFolder(path string, at place) (*place, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	at.tree, at.close = folder{root}, root.Close
	return &at, nil
}

func openFile(given string, info fs.FileInfo, bounds limits) (*place, error) {
	file, err := os.Open(given)
	if err != nil {
		return nil, err
	}
	start := make([]byte, tarBlock)
	n, err := file.ReadAt(start, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, errors.Join(err, file.Close())
	}
	at, err := openArchive(file, start[:n], bounds)
	if at != nil {
		return at, nil
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	kind := kindOf(filepath.Base(given))
	switch {
	case strings.HasPrefix(string(start[:n]), sqliteMagic):
		kind = PhoneDatabase
	case strings.HasPrefix(string(start[:n]), ageMagic):
		return nil, fmt.Errorf("%s is encrypted by age; if it is a backup of capf, %s and --identity", given, restoreIt)
	case kind != PhoneList:
		return nil, fmt.Errorf("%s is not a folder, and neither a zip, tar or tar.gz file, nor a SQLite database, nor a CSV file: "+
			"give the folder that it lies in", given)
	}
	return openFolder(filepath.Dir(given), place{info: info, only: filepath.Base(given), kind: kind})
}

// checkTemporary refuses to work where temporary files would lie in the source: what is copied of a database would be new
// files there.
func (p *place) checkTemporary() error {
	if !p.info.IsDir() {
		return nil
	}
	for at, err := filepath.Abs(os.TempDir()); err == nil; at = filepath.Dir(at) {
		if info, failed := os.Stat(at); failed == nil && os.SameFile(info, p.info) {
			return fmt.Errorf("the folder for temporary files, %s, lies in the source: set TMPDIR to another", os.TempDir())
		}
		if at == filepath.Dir(at) {
			return nil
		}
	}
	return nil
}
