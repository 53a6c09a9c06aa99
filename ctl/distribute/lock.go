package distribute

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
)

// LockFile is the file of a data directory that is locked while it distributes. It holds the instance and the
// process that had it last.
const LockFile = "distribute.lock"

// ErrLocked is what Lock returns while another process holds the lock.
var ErrLocked = errors.New("another run works on the nodes from this data directory")

// Locked is a held lock.
type Locked struct {
	Instance string // for Options: the same for every run from this directory
	file     *os.File
}

var instanceForm = regexp.MustCompile(`^[0-9a-f]{32}$`)

const maxLockFile = 128

// Lock sees to it that one process at a time writes to nodes from a data directory. It does not wait: ErrLocked
// where another has it. The lock ends with Unlock, or with the process.
func Lock(directory string) (*Locked, error) {
	name := filepath.Join(directory, LockFile)
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	instance, owner, err := holdLock(file)
	if err != nil {
		file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w (%s, process %s); wait until it ends", ErrLocked, name, owner)
		}
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	return &Locked{instance, file}, nil
}

// holdLock locks, and reads and renews what the file says. Owner is the process that has or had it.
func holdLock(file *os.File) (instance, owner string, err error) {
	locked := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	content, err := io.ReadAll(io.LimitReader(file, maxLockFile))
	if err != nil {
		return "", "", err
	}
	words := append(strings.Fields(string(content)), "", "")
	instance, owner = words[0], words[1]
	if locked != nil {
		if _, err := strconv.Atoi(owner); err != nil {
			owner = "unknown"
		}
		return "", owner, locked
	}
	if !instanceForm.MatchString(instance) {
		instance = newInstance()
	}
	if err := file.Truncate(0); err != nil {
		return "", "", err
	}
	_, err = file.WriteAt(fmt.Appendf(nil, "%s %d\n", instance, os.Getpid()), 0)
	return instance, owner, err
}

// Unlock lets others work. The file stays.
func (l *Locked) Unlock() error { return l.file.Close() }
