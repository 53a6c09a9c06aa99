package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"capf/internal/filelock"
	"capf/runtime/capf"
)

// runLockName is the file in the data directory that is locked by whoever migrates or takes a migration back.
const runLockName = "migrate.lock"

// RunLock is held by the one process that runs a migration on a data directory, or rolls one back.
type RunLock struct {
	claim *filelock.Claim
	path  string
}

// TakeRunLock takes the lock of a data directory for work such as "migrate run", in the name of by. While somebody else
// holds it, it gives CodeBusy and says who, what for and since when; it does not wait.
func TakeRunLock(directory, work, by string, now time.Time) (*RunLock, error) {
	path := filepath.Join(directory, runLockName)
	claim, err := filelock.Take(path, func(string) string {
		return fmt.Sprintf("%s by %s, process %d, since %s", work, by, os.Getpid(), capf.FormatTime(now))
	})
	if held, ok := errors.AsType[*filelock.HeldError](err); ok {
		holder := held.Holder
		if holder == "" {
			holder = "another migration"
		}
		return nil, &capf.Error{Code: capf.CodeBusy, Message: fmt.Sprintf("%s is being migrated: %s", directory, holder),
			Hint: "wait until that has ended; one migration or rollback goes on at a time"}
	}
	if err != nil {
		return nil, lockError("migration", path, err)
	}
	return &RunLock{claim, path}, nil
}

// Release gives the lock back.
func (l *RunLock) Release() error {
	if err := l.claim.Release(); err != nil {
		return lockError("migration", l.path, err)
	}
	return nil
}

func lockError(of, path string, err error) error {
	return &capf.Error{Code: capf.CodeUnavailable, Message: fmt.Sprintf("lock of the %s %s", of, path),
		Hint: "see that the data directory is there and yours", Err: err}
}
