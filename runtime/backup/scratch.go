package backup

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"capf/runtime/capf"
)

// scratchName is the folder in a data directory in which a backup is prepared.
const scratchName = ".backup"

// In a scratch folder lie a mark, by which it is known as ours, and what is being made.
const (
	markName  = "made-by-capf"
	imageName = "image"
)

// scratch is a folder of one process. What a process left there that was killed, the next one removes: the lock
// goes with the process, the name is always the same.
type scratch struct {
	path string
	lock *os.File // of the folder itself
}

// takeScratch makes the folder, mode 0700, with an empty image in it. While another process has it: CodeBusy. A
// folder of that name that is not ours: CodeConflict.
func takeScratch(path, busy string) (*scratch, error) {
	for {
		if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, folderError(path, err)
		}
		s, err := lockScratch(path, busy)
		if err != nil || s != nil {
			return s, err
		}
	}
}

// lockScratch gives nil where the folder was removed meanwhile by the one that had it before.
func lockScratch(path, busy string) (*scratch, error) {
	folder, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_DIRECTORY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, folderError(path, err)
	}
	if err := unix.Flock(int(folder.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		closed := folder.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, &capf.Error{Code: capf.CodeBusy, Message: busy, Hint: "try again when that has ended"}
		}
		return nil, folderError(path, errors.Join(err, closed))
	}
	if !isStill(folder, path) {
		return nil, folder.Close()
	}
	s := &scratch{path: path, lock: folder}
	if err := s.prepare(); err != nil {
		return nil, errors.Join(folderError(path, err), folder.Close())
	}
	return s, nil
}

// isStill reports whether a path leads to what is open.
func isStill(file *os.File, path string) bool {
	opened, err := file.Stat()
	if err != nil {
		return false
	}
	found, err := os.Lstat(path)
	return err == nil && os.SameFile(opened, found)
}

// prepare clears away what an earlier process left. The mark is there before anything else, and as long as it.
func (s *scratch) prepare() error {
	entries, err := os.ReadDir(s.path)
	if err != nil {
		return err
	}
	_, err = os.Lstat(filepath.Join(s.path, markName))
	if len(entries) > 0 && err != nil {
		return &capf.Error{Code: capf.CodeConflict, Message: s.path + " is there, and capf has not made it", Hint: "move it away"}
	}
	if err := os.Chmod(s.path, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.path, markName), nil, 0o600); err != nil {
		return err
	}
	if err := os.RemoveAll(s.image()); err != nil {
		return err
	}
	return os.Mkdir(s.image(), 0o700)
}

// image is the folder for what is being made.
func (s *scratch) image() string { return filepath.Join(s.path, imageName) }

// remove takes the folder away with all that is in it. Where it has got another name it leaves it alone.
func (s *scratch) remove() error {
	var err error
	if isStill(s.lock, s.path) {
		err = os.RemoveAll(s.path)
	}
	return errors.Join(err, s.lock.Close())
}

func folderError(path string, err error) error {
	if isTold(err) {
		return err
	}
	return &capf.Error{Code: capf.CodeUnavailable, Message: "folder " + path, Err: err, Hint: "see that the folder above it is there, yours and has room"}
}
