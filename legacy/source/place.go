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

// place is where a source is read.
type place struct {
	tree tree
	info fs.FileInfo // of the folder or file that was given
	base string      // the name that a folder is judged by
	// only is the name of a file that is the whole source, with what belongs to it; kind is what it is.
	only     string
	kind     Kind
	findings []legacy.Finding
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
		folder, err := openFolder(given)
		return &place{tree: folder, info: info, base: given}, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a folder and not a file", given)
	}
	return openFile(given, info, bounds)
}

func openFile(given string, info fs.FileInfo, bounds limits) (*place, error) {
	file, err := os.Open(given)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	start := make([]byte, tarBlock)
	n, err := io.ReadFull(file, start)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %w", given, err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("%s: %w", given, err)
	}
	kind := kindOf(filepath.Base(given))
	switch archive := archiveOf(start[:n]); {
	case archive != "":
		return openArchive(file, archive, bounds)
	case strings.HasPrefix(string(start[:n]), sqliteMagic):
		kind = PhoneDatabase
	case strings.HasPrefix(string(start[:n]), ageMagic):
		return nil, fmt.Errorf("%s is encrypted by age; if it is a backup of capf, %s and --identity", given, restoreIt)
	case kind != PhoneList:
		return nil, fmt.Errorf("%s is not a folder, and neither a zip, tar or tar.gz file, nor a SQLite database, nor a CSV file: "+
			"give the folder that it lies in", given)
	}
	folder, err := openFolder(filepath.Dir(given))
	return &place{tree: folder, info: info, only: filepath.Base(given), kind: kind}, err
}

// checkTemporary refuses to work where temporary files would lie in the source: what is copied of a database would be new
// files there.
func (p *place) checkTemporary() error {
	if _, folder := p.tree.(folderTree); !folder || p.only != "" {
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
