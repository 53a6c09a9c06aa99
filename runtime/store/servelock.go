package store

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"path/filepath"
	"strings"

	"capf/internal/filelock"
	"capf/runtime/capf"
)

// lockName is the file in the data directory that the running service has locked.
const lockName = "serve.lock"

const instanceBytes = 16 // of randomness in an instance ID

// ServeLock is held by the one service that runs on a data directory.
type ServeLock struct {
	claim          *filelock.Claim
	path, instance string
}

// TakeServeLock makes the caller the service of a data directory, under a new instance ID: 32 hex digits.
// While another service runs there it gives CodeBusy.
func TakeServeLock(directory string) (*ServeLock, error) {
	random := make([]byte, instanceBytes)
	_, _ = rand.Read(random) // never fails
	lock := &ServeLock{path: filepath.Join(directory, lockName), instance: hex.EncodeToString(random)}
	var err error
	lock.claim, err = filelock.Take(lock.path, func(string) string { return lock.instance })
	if errors.Is(err, filelock.ErrHeld) {
		return nil, &capf.Error{Code: capf.CodeBusy, Message: "another service runs on " + directory,
			Hint: "stop it first, or give another --data"}
	}
	if err != nil {
		return nil, lockError("service", lock.path, err)
	}
	return lock, nil
}

// Instance gives the ID under which sessions of this service stand in the store.
func (l *ServeLock) Instance() string { return l.instance }

// TellFiles lets commands know which files of the store the service has open.
func (l *ServeLock) TellFiles(files string) error {
	if err := l.claim.Say(files); err != nil {
		return lockError("service", l.path, err)
	}
	return nil
}

// Release ends the service's claim.
func (l *ServeLock) Release() error {
	if err := l.claim.Release(); err != nil {
		return lockError("service", l.path, err)
	}
	return nil
}

// LivingInstance gives the ID of the service that runs on a data directory, and "" where none does. It
// asks for the lock without taking it, so that no reader ever stands in a service's way.
func LivingInstance(directory string) (string, error) {
	instance, _, err := Living(directory)
	return instance, err
}

// Living is LivingInstance with the files that the service has told of, empty before it has.
func Living(directory string) (instance, files string, err error) {
	path := filepath.Join(directory, lockName)
	line, _, err := filelock.Holder(path)
	if err != nil {
		return "", "", lockError("service", path, err)
	}
	instance, files, _ = strings.Cut(line, " ")
	return instance, files, nil
}
