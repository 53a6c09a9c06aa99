// Package filelock lets one process at a time do something. The system gives a lock back when its process ends, however it
// ends, so a file that is left behind locks nobody out.
package filelock

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"capf/internal/plain"
)

// ErrHeld tells that somebody else has the lock.
var ErrHeld = errors.New("locked by another process")

// Lock locks an open file or folder until it is closed. It waits at most for so long, then it gives ErrHeld.
func Lock(file *os.File, wait time.Duration) error {
	const step = 10 * time.Millisecond
	for begin := time.Now(); ; time.Sleep(step) {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case errors.Is(err, unix.EINTR):
		case !errors.Is(err, unix.EWOULDBLOCK):
			return err
		case time.Since(begin) >= wait:
			return ErrHeld
		}
	}
}

// LockFolder locks a folder until unlock, waiting as Lock does. Nothing is written there.
func LockFolder(path string, wait time.Duration) (unlock func() error, err error) {
	folder, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := Lock(folder, wait); err != nil {
		return nil, errors.Join(err, folder.Close())
	}
	return folder.Close, nil
}

// mostSaid is how many bytes are read of what a holder says of itself.
const mostSaid = 400

// Claim is a lock on a file in which its holder says who it is. The file stays when the claim ends; only the lock counts.
type Claim struct{ file *os.File }

// Take claims a file, which it makes where there is none, without waiting. Say gives the line to be written there from
// the line that the holder before has left. While somebody holds it: ErrHeld, wrapped with what that one says.
func Take(path string, say func(before string) string) (*Claim, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := claim(file, say); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &Claim{file}, nil
}

// HeldError is ErrHeld with what the holder says of itself, a line; empty in the moment before it has said so.
type HeldError struct{ Holder string }

func (e *HeldError) Error() string { return fmt.Sprintf("%v: %s", ErrHeld, e.Holder) }
func (e *HeldError) Unwrap() error { return ErrHeld }

func claim(file *os.File, say func(before string) string) error {
	whole := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	locked := unix.FcntlFlock(file.Fd(), unix.F_OFD_SETLK, &whole)
	held := errors.Is(locked, unix.EAGAIN) || errors.Is(locked, unix.EACCES)
	if locked != nil && !held {
		return locked
	}
	before, err := said(file)
	if err != nil {
		return err
	}
	if held {
		return &HeldError{Holder: before}
	}
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err = file.WriteAt([]byte(plain.Line(say(before))+"\n"), 0)
	return err
}

func said(file *os.File) (string, error) {
	content, err := io.ReadAll(io.NewSectionReader(file, 0, mostSaid))
	return plain.Line(strings.TrimSpace(string(content))), err
}

// Say adds to what the holder says of itself. Whoever reads meanwhile finds what was there, or all of it.
func (c *Claim) Say(more string) error {
	before, err := said(c.file)
	if err != nil {
		return err
	}
	_, err = c.file.WriteAt([]byte(plain.Line(before+" "+more)+"\n"), 0)
	return err
}

// Release ends the claim.
func (c *Claim) Release() error { return c.file.Close() }

// Holder gives what the holder of a claim on a file says of itself, and whether there is one. It does not take the lock,
// so that it never stands in anybody's way.
func Holder(path string) (line string, held bool, err error) {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	defer file.Close()
	lock := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	if err := unix.FcntlFlock(file.Fd(), unix.F_OFD_GETLK, &lock); err != nil || lock.Type == unix.F_UNLCK {
		return "", false, err
	}
	line, err = said(file)
	return line, true, err
}
