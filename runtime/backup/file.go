package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

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
	if err := syncFolder(filepath.Dir(path)); err != nil {
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
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) || err == nil && !isStill(file, path) {
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
	if isTold(err) {
		return err
	}
	return &capf.Error{Code: capf.CodeUnavailable, Message: fmt.Sprintf("write %s", path), Err: err, Hint: "check space and permissions"}
}

// isTold reports whether an error needs no other words: it has them, or somebody has interrupted the work.
func isTold(err error) bool {
	known := new(capf.Error)
	return errors.As(err, &known) || errors.Is(err, context.Canceled)
}

// syncFolder makes the names in a folder last.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
