package distribute

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"capf/internal/filelock"
)

// LockFile is the file of a data directory that is locked while it distributes. It holds the instance and the
// process that had it last.
const LockFile = "distribute.lock"

// ErrLocked is what Lock returns while another process holds the lock.
var ErrLocked = errors.New("another run works on the nodes from this data directory")

// Locked is a held lock.
type Locked struct {
	Instance string // for Options: the same for every run from this directory
	claim    *filelock.Claim
}

var instanceForm = regexp.MustCompile(`^[0-9a-f]{32}$`)

// Lock sees to it that one process at a time writes to nodes from a data directory. It does not wait: ErrLocked
// where another has it. The lock ends with Unlock, or with the process.
func Lock(directory string) (*Locked, error) {
	name := filepath.Join(directory, LockFile)
	lock := &Locked{}
	var err error
	lock.claim, err = filelock.Take(name, func(before string) string {
		if lock.Instance, _, _ = strings.Cut(before, " "); !instanceForm.MatchString(lock.Instance) {
			lock.Instance = newInstance()
		}
		return fmt.Sprintf("%s %d", lock.Instance, os.Getpid())
	})
	if held, ok := errors.AsType[*filelock.HeldError](err); ok {
		_, owner, _ := strings.Cut(held.Holder, " ")
		if _, err := strconv.Atoi(owner); err != nil {
			owner = "unknown"
		}
		return nil, fmt.Errorf("%w (%s, process %s); wait until it ends", ErrLocked, name, owner)
	}
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	return lock, nil
}

// Unlock lets others work. The file stays.
func (l *Locked) Unlock() error { return l.claim.Release() }
