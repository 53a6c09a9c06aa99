package store

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"capf/runtime/capf"
)

// lockName is the file in the data directory whose lock the running service holds. The file stays; only
// the lock counts, and the system drops it with the process, however that ends.
const lockName = "serve.lock"

const instanceBytes = 16 // of randomness in an instance ID

// ServeLock is held by the one service that runs on a data directory.
type ServeLock struct {
	file     *os.File
	instance string
}

// TakeServeLock makes the caller the service of a data directory, under a new instance ID: 32 hex digits.
// While another service runs there it gives CodeBusy.
func TakeServeLock(directory string) (*ServeLock, error) {
	path := filepath.Join(directory, lockName)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, lockError(path, err)
	}
	lock := &ServeLock{file: file}
	if err := lock.take(directory); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return lock, nil
}

func (l *ServeLock) take(directory string) error {
	whole := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	err := unix.FcntlFlock(l.file.Fd(), unix.F_OFD_SETLK, &whole)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return &capf.Error{Code: capf.CodeBusy, Message: "another service runs on " + directory,
			Hint: "stop it first, or give another --data"}
	}
	if err != nil {
		return lockError(l.file.Name(), err)
	}
	random := make([]byte, instanceBytes)
	if _, err := rand.Read(random); err != nil {
		return lockError(l.file.Name(), err)
	}
	l.instance = hex.EncodeToString(random)
	if err := l.file.Truncate(0); err != nil {
		return lockError(l.file.Name(), err)
	}
	if _, err := l.file.WriteAt([]byte(l.instance+"\n"), 0); err != nil {
		return lockError(l.file.Name(), err)
	}
	return nil
}

// Instance gives the ID under which sessions of this service stand in the store.
func (l *ServeLock) Instance() string { return l.instance }

// Release ends the service's claim.
func (l *ServeLock) Release() error {
	if err := l.file.Close(); err != nil {
		return lockError(l.file.Name(), err)
	}
	return nil
}

// LivingInstance gives the ID of the service that runs on a data directory, and "" where none does. It
// asks for the lock without taking it, so that no reader ever stands in a service's way.
func LivingInstance(directory string) (string, error) {
	path := filepath.Join(directory, lockName)
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", lockError(path, err)
	}
	defer file.Close()
	held := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	if err := unix.FcntlFlock(file.Fd(), unix.F_OFD_GETLK, &held); err != nil {
		return "", lockError(path, err)
	}
	if held.Type == unix.F_UNLCK {
		return "", nil
	}
	text, err := io.ReadAll(io.LimitReader(file, 2*instanceBytes))
	if err != nil {
		return "", lockError(path, err)
	}
	return strings.TrimSpace(string(text)), nil
}

func lockError(path string, err error) error {
	return &capf.Error{Code: capf.CodeUnavailable, Message: fmt.Sprintf("lock of the service %s", path),
		Hint: "see that the data directory is there and yours", Err: err}
}
