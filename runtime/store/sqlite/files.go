package sqlite

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"capf/internal/filelock"
	"capf/runtime/capf"
)

const (
	folderMode = 0o700
	fileMode   = 0o600
)

// absolute gives a path that no change of the working folder can turn into another one.
func absolute(path string) string {
	if full, err := filepath.Abs(path); err == nil {
		return full
	}
	return path
}

// prepareFile sees that the file is there and for its owner only. SQLite gives the files that it makes
// beside it the same mode. A folder that exists keeps its mode: it may hold more than ours.
func prepareFile(options Options) error {
	if options.Create {
		if err := os.MkdirAll(filepath.Dir(options.Path), folderMode); err != nil {
			return fileError(options.Path, err)
		}
		if err := createFile(options.Path); err != nil {
			return fileError(options.Path, err)
		}
	}
	info, err := os.Stat(options.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return missing(options.Path)
	case err != nil:
		return fileError(options.Path, err)
	case !info.Mode().IsRegular():
		return notAStore(options.Path, nil)
	}
	if err := checkHeader(options.Path); err != nil {
		return err
	}
	if info.Mode().Perm()&^fileMode != 0 {
		if err := os.Chmod(options.Path, fileMode); err != nil {
			return fileError(options.Path, err)
		}
	}
	return nil
}

// header is how every SQLite file begins that is not empty.
const header = "SQLite format 3\x00"

// checkHeader refuses other files before SQLite sees them: it takes a short one for an empty database.
func checkHeader(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return fileError(path, err)
	}
	defer file.Close()
	first, err := io.ReadAll(io.LimitReader(file, int64(len(header))))
	if err != nil {
		return fileError(path, err)
	}
	if len(first) > 0 && string(first) != header {
		return notAStore(path, nil)
	}
	return nil
}

// createFile makes an empty file, unless there is one.
func createFile(path string) error {
	if err := createNew(path); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// createNew makes an empty file where there is none.
func createNew(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return err
	}
	return file.Close()
}

// removeFile removes a file that may be missing.
func removeFile(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// lockFolder lets one process at a time make or upgrade a store. The lock is on the folder itself, so
// that nothing stays behind, and ends with unlock or the process.
func lockFolder(path string) (unlock func() error, err error) {
	if unlock, err = filelock.LockFolder(filepath.Dir(path), math.MaxInt64); err != nil {
		return nil, fileError(path, err)
	}
	return unlock, nil
}

func missing(path string) error {
	return &capf.Error{Code: capf.CodeNotActivated, Message: "no store at " + path,
		Hint: "make one with `capf init`, or say with --data where it is"}
}

func notAStore(path string, cause error) error {
	return &capf.Error{Code: capf.CodeInvalid, Message: path + " is not a store of capf",
		Hint: "see that --data names the right folder, or move the file away", Err: cause}
}

func fileError(path string, err error) error {
	return &capf.Error{Code: capf.CodeUnavailable, Message: fmt.Sprintf("store %s", path),
		Hint: "see that the data directory is there, yours and has room", Err: err}
}
