package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"capf/runtime/capf"
)

// runLockName is the file in the data directory whose lock is held by whoever migrates or takes a migration back. As
// with the lock of the service, the file stays and the system drops the lock with the process.
const runLockName = "migrate.lock"

// maxHolder is how many bytes are read of what the holder says of itself.
const maxHolder = 400

// RunLock is held by the one process that runs a migration on a data directory, or rolls one back.
type RunLock struct{ file *os.File }

// TakeRunLock takes the lock of a data directory for work such as "migrate run", in the name of by. While somebody else
// holds it, it gives CodeBusy and says who, what for and since when; it does not wait.
func TakeRunLock(directory, work, by string, now time.Time) (*RunLock, error) {
	path := filepath.Join(directory, runLockName)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, runLockError(path, err)
	}
	lock := &RunLock{file: file}
	if err := lock.take(directory, work, by, now); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return lock, nil
}

func (l *RunLock) take(directory, work, by string, now time.Time) error {
	whole := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	err := unix.FcntlFlock(l.file.Fd(), unix.F_OFD_SETLK, &whole)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return l.held(directory)
	}
	if err != nil {
		return runLockError(l.file.Name(), err)
	}
	if err := l.file.Truncate(0); err != nil {
		return runLockError(l.file.Name(), err)
	}
	holder := fmt.Sprintf("%s by %s, process %d, since %s\n", work, plainWords(by), os.Getpid(), capf.FormatTime(now))
	if _, err := l.file.WriteAt([]byte(holder), 0); err != nil {
		return runLockError(l.file.Name(), err)
	}
	return nil
}

// held says who holds the lock. Between taking it and saying so there is a moment in which nobody has.
func (l *RunLock) held(directory string) error {
	text, err := io.ReadAll(io.LimitReader(l.file, maxHolder))
	if err != nil {
		return runLockError(l.file.Name(), err)
	}
	holder := plainWords(strings.TrimSpace(string(text)))
	if holder == "" {
		holder = "another migration"
	}
	return &capf.Error{Code: capf.CodeBusy, Message: fmt.Sprintf("%s is being migrated: %s", directory, holder),
		Hint: "wait until that has ended; one migration or rollback goes on at a time"}
}

// plainWords keeps what a file or a user name says within a line.
func plainWords(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}

// Release gives the lock back.
func (l *RunLock) Release() error {
	if err := l.file.Close(); err != nil {
		return runLockError(l.file.Name(), err)
	}
	return nil
}

func runLockError(path string, err error) error {
	return &capf.Error{Code: capf.CodeUnavailable, Message: fmt.Sprintf("lock of the migration %s", path),
		Hint: "see that the data directory is there and yours", Err: err}
}
