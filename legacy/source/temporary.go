package source

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// temporaryName begins the names of temporary folders.
const temporaryName = "capf-source-"

// newTemporary makes a folder of this process that members of an archive are unpacked into. Private keys may be among
// them, so nobody else can read it, and the next run removes one that was left behind: a process that ends gives up its
// lock.
func newTemporary() (_ *os.Root, remove func() error, err error) {
	for {
		path, err := os.MkdirTemp("", temporaryName) // mode 0700
		if err != nil {
			return nil, nil, fmt.Errorf("temporary folder for what is unpacked: %w: set TMPDIR to a folder that can be written", err)
		}
		lock, err := lockFolder(path)
		if errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, os.ErrNotExist) {
			continue // another process has taken it for one that was left behind
		}
		root, failed := os.OpenRoot(path)
		remove := func() error { return errors.Join(root.Close(), os.RemoveAll(path), lock.Close()) }
		if err = errors.Join(err, failed); err != nil {
			return nil, nil, err
		}
		return root, remove, nil
	}
}

// clearTemporary removes the folders of processes that are gone. What cannot be removed is left for the next run.
func clearTemporary() {
	entries, _ := os.ReadDir(os.TempDir())
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), temporaryName) {
			continue
		}
		path := filepath.Join(os.TempDir(), entry.Name())
		if lock, err := lockFolder(path); err == nil {
			_ = os.RemoveAll(path)
			lock.Close()
		}
	}
}

// lockFolder locks a folder that nobody else has locked, as long as it is open.
func lockFolder(path string) (*os.File, error) {
	folder, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	if err = syscall.Flock(int(folder.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
		_, err = os.Lstat(path) // it may be gone since
	}
	if err != nil {
		folder.Close()
	}
	return folder, err
}
