package backup

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"capf/internal/durable"
	"capf/internal/filelock"
	"capf/runtime/capf"
)

// partSuffix is behind the name of a file until it is whole.
const partSuffix = ".part"

// WriteNew has a new file written that is whole and on disk under its name, mode 0600, or not there. One that
// is there is never replaced: CodeConflict. Until it is whole it is called `<path>.part`; what a process left
// of a backup under that name that was killed, the next one overwrites.
func WriteNew(path string, write func(io.Writer) error) error {
	if _, err := os.Lstat(path); err == nil {
		return isThere(path)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fileError(path, err)
	}
	part, err := openPart(path + partSuffix)
	if err != nil {
		return err
	}
	err = write(part)
	if err == nil {
		err = part.Sync()
	}
	if err == nil {
		err = renameNew(part.Name(), path)
	}
	if err != nil {
		// While it is locked: nobody else has begun to write there.
		err = errors.Join(err, os.Remove(part.Name()))
	}
	if err := errors.Join(err, part.Close()); err != nil {
		return fileError(path, err)
	}
	if err := durable.SyncFolder(filepath.Dir(path)); err != nil {
		return fileError(path, err)
	}
	return nil
}

// openPart opens the file for this process alone, and empties it.
func openPart(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fileError(path, err)
	}
	err = filelock.Lock(file, 0)
	if errors.Is(err, filelock.ErrHeld) || err == nil && !isStill(file, path) {
		return nil, errors.Join(&capf.Error{Code: capf.CodeBusy, Message: path + " is being written", Hint: "try again when that has ended"}, file.Close())
	}
	for _, step := range []func() error{func() error { return isPart(file) }, func() error { return file.Chmod(0o600) }, func() error { return file.Truncate(0) }} {
		if err == nil {
			err = step()
		}
	}
	if err != nil {
		return nil, errors.Join(fileError(path, err), file.Close())
	}
	return file, nil
}

// isPart lets nothing be overwritten but the beginning of a backup.
func isPart(file *os.File) error {
	first, err := io.ReadAll(io.LimitReader(file, block))
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	text := string(first)
	if err == nil && text != "" && !strings.HasPrefix(text, ageBegin) && !strings.HasPrefix(text, manifestName+"\x00") {
		err = &capf.Error{Code: capf.CodeConflict, Message: file.Name() + " is there, and is no part of a backup", Hint: "move it away"}
	}
	return err
}

// renameNew gives a file a name that nothing has. Some file systems cannot do that in one step: there the name
// is looked up first.
func renameNew(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.ENOTSUP) {
		if _, err = os.Lstat(to); errors.Is(err, fs.ErrNotExist) {
			return os.Rename(from, to)
		} else if err == nil {
			err = unix.EEXIST
		}
	}
	if errors.Is(err, unix.EEXIST) {
		return isThere(to)
	}
	return err
}

func isThere(path string) error {
	return &capf.Error{Code: capf.CodeConflict, Message: path + " is there already", Hint: "a backup replaces nothing: give another name, or - for standard output"}
}

func fileError(path string, err error) error {
	return explained(err, "write "+path, "check space and permissions")
}

func folderError(path string, err error) error {
	return explained(err, "folder "+path, "see that the folder above it is there, yours and has room")
}

// explained gives an error words for a person, unless it has them.
func explained(err error, what, hint string) error {
	if isTold(err) {
		return err
	}
	return &capf.Error{Code: capf.CodeUnavailable, Message: what, Err: err, Hint: hint}
}

// isTold reports whether an error needs no other words: it has them, or somebody has interrupted the work.
func isTold(err error) bool {
	known := new(capf.Error)
	return errors.As(err, &known) || errors.Is(err, context.Canceled)
}

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
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, folderError(path, err)
	}
	folder, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, folderError(path, err)
	}
	s := &scratch{path: path, lock: folder}
	err = filelock.Lock(folder, 0)
	if errors.Is(err, filelock.ErrHeld) || err == nil && !isStill(folder, path) { // the other one has just ended
		err = &capf.Error{Code: capf.CodeBusy, Message: busy, Hint: "try again when that has ended"}
	}
	if err == nil {
		err = s.prepare()
	}
	if err != nil {
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
