package distribute

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// sftpTarget is a folder of a server. Each request has its deadline; one that is late ends the connection, since
// SFTP can take none back.
type sftpTarget struct {
	conn  *ssh.Client
	files *sftp.Client
	base  string // to which the folder of the URL leads
	limit time.Duration
	late  atomic.Bool

	replaces bool // posix-rename@openssh.com
	flushes  bool // fsync@openssh.com
	counts   bool // statvfs@openssh.com

	mu      sync.Mutex
	folders map[string]string // where those below the base lead, as far as the server was asked

	closing sync.WaitGroup // handles whose closing nobody waits for
}

func newSFTPTarget(conn *ssh.Client, files *sftp.Client, base string, limit time.Duration) *sftpTarget {
	has := func(extension, version string) bool {
		data, ok := files.HasExtension(extension)
		return ok && data == version
	}
	return &sftpTarget{conn: conn, files: files, base: base, limit: limit, folders: map[string]string{},
		replaces: has("posix-rename@openssh.com", "1"), flushes: has("fsync@openssh.com", "1"), counts: has("statvfs@openssh.com", "2")}
}

// Pipelined is true: each request takes a round trip.
func (t *sftpTarget) Pipelined() bool { return true }

// do makes a request, and says of one that failed what it was.
func (t *sftpTarget) do(what, name string, request func(full string) error) error {
	timer := time.AfterFunc(t.limit, func() {
		t.late.Store(true)
		t.conn.Close()
	})
	full, err := t.whole(name)
	if err == nil {
		err = request(full)
	}
	timer.Stop()
	switch {
	case err == nil:
		return nil
	case t.late.Load():
		err = fmt.Errorf("no answer within %s", t.limit)
	case errors.Is(err, sftp.ErrSSHFxConnectionLost), errors.Is(err, io.EOF):
		err = errors.New("the connection to the server was lost")
	case errors.Is(err, errLeadsOut):
	default:
		err = plainError(err)
	}
	return &fs.PathError{Op: what, Path: name, Err: err}
}

func (t *sftpTarget) checkBase() error {
	return t.do("target folder", t.base, func(string) error {
		var asking sync.WaitGroup
		var leads string
		var leadsErr error
		asking.Go(func() { leads, leadsErr = t.files.RealPath(t.base) })
		info, err := t.files.Stat(t.base)
		asking.Wait()
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("%w; make it, or mount what belongs there", err)
		case err == nil && !info.IsDir():
			return syscall.ENOTDIR
		case cmp.Or(err, leadsErr) != nil:
			return cmp.Or(err, leadsErr)
		}
		t.base = leads
		return nil
	})
}

// MakeFolder makes the folders between as well, and those that it makes readable for everyone whatever the umask there:
// the TFTP server runs as someone else.
func (t *sftpTarget) MakeFolder(folder string) error {
	all := withParents(folder)
	there, err := t.alreadyThere(all)
	if err != nil {
		return err
	}
	for _, made := range all[there:] {
		if err := t.do("make folder", made, t.makeFolder); err != nil {
			return err
		}
		if err := t.do("look at", made, func(string) error { return t.again(made) }); err != nil {
			return err
		}
	}
	return nil
}

// alreadyThere tells how many of these folders are there, the outermost first, and sees that the last of those leads
// nowhere else.
func (t *sftpTarget) alreadyThere(all []string) (there int, err error) {
	for there = len(all); there > 0; there-- {
		folder, found := all[there-1], false
		err := t.do("look at", folder, func(string) error {
			var asking sync.WaitGroup
			var leadsErr error
			asking.Go(func() { leadsErr = t.again(folder) })
			info, err := t.files.Stat(path.Join(t.base, folder))
			asking.Wait()
			switch found = !errors.Is(err, fs.ErrNotExist); {
			case !found:
				return nil
			case err == nil && !info.IsDir():
				return syscall.ENOTDIR
			}
			return cmp.Or(err, leadsErr)
		})
		if err != nil || found {
			return there, err
		}
	}
	return 0, nil
}

func (t *sftpTarget) makeFolder(full string) error {
	if err := t.files.Mkdir(full); err != nil {
		if info, problem := t.files.Lstat(full); problem == nil && info.IsDir() {
			return nil // made for another file at the same time
		}
		return err
	}
	return supported(t.files.Chmod(full, 0o755))
}

// Exists looks at the name itself, not at what a link points to.
func (t *sftpTarget) Exists(name string) (there bool, err error) {
	err = t.do("look at", name, func(full string) error {
		_, err := t.files.Lstat(full)
		there = err == nil
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	return there, err
}

// Read takes the size that the server names for no more than a wish: it must be below the limit, and right.
func (t *sftpTarget) Read(name string, limit int64) (data []byte, err error) {
	err = t.do("read", name, func(full string) error {
		// Before it is opened: opening a named pipe would have the server wait.
		info, err := t.files.Lstat(full)
		if err == nil && info.Mode()&fs.ModeSymlink != 0 {
			if full, err = t.leads(full); err == nil {
				info, err = t.files.Lstat(full)
			}
		}
		switch {
		case err != nil:
			return err
		case !info.Mode().IsRegular():
			return errors.New("is no regular file")
		case info.Size() < 0 || info.Size() > limit:
			return ErrTooLarge
		}
		file, err := t.files.Open(full)
		if err != nil {
			return err
		}
		defer t.closing.Go(func() { _ = file.Close() })
		data, err = readExactly(file, int(info.Size()))
		return err
	})
	return data, err
}

// readExactly reads a file that must have this size. What may follow is asked for at the same time.
func readExactly(file io.ReaderAt, size int) ([]byte, error) {
	data := make([]byte, size)
	var more sync.WaitGroup
	var after int
	var afterErr error
	more.Go(func() { after, afterErr = file.ReadAt(make([]byte, 1), int64(size)) })
	var err error
	if size > 0 {
		_, err = file.ReadAt(data, 0)
	}
	more.Wait()
	if errors.Is(afterErr, io.EOF) {
		afterErr = nil
	}
	switch {
	case errors.Is(err, io.EOF), err == nil && after > 0:
		return nil, errors.New("changed while it was read")
	case cmp.Or(err, afterErr) != nil:
		return nil, cmp.Or(err, afterErr)
	}
	return data, nil
}

// Write makes the file readable for everyone: the TFTP server runs as someone else. A server that has no
// permissions is content without.
func (t *sftpTarget) Write(name string, data []byte) error {
	err := t.do("write", name, func(full string) error {
		file, err := t.files.OpenFile(full, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
		if err != nil {
			return err
		}
		var permitting sync.WaitGroup
		var modeErr error
		permitting.Go(func() { modeErr = supported(file.Chmod(0o644)) })
		_, err = file.WriteAt(data, 0)
		permitting.Wait()
		if err = cmp.Or(err, modeErr); err == nil && t.flushes {
			err = file.Sync()
		}
		return cmp.Or(err, file.Close())
	})
	return t.explain(err, path.Dir(name), len(data))
}

// supported takes it for no error that a server does not know what was asked.
func supported(err error) error {
	var status *sftp.StatusError
	if errors.As(err, &status) && status.FxCode() == sftp.ErrSSHFxOpUnsupported {
		return nil
	}
	return err
}

// explain finds out whether a write failed for want of space: version 3 of the protocol has no word for it.
func (t *sftpTarget) explain(err error, folder string, needed int) error {
	if err == nil || t.late.Load() || !t.counts {
		return err
	}
	free, known, problem := t.Free(folder)
	if problem == nil && known && free < uint64(needed) {
		return fmt.Errorf("%w: %w (%d bytes are free); make room", err, syscall.ENOSPC, free)
	}
	return err
}

// Rename replaces in one step where the server can. Where it cannot, what has the name is moved aside first and
// put back if the file cannot take its place; see Recover.
func (t *sftpTarget) Rename(from, to string) error {
	// Some servers cannot rename what is still open.
	t.closing.Wait()
	return t.do("rename", to, func(full string) error {
		before, err := t.whole(from)
		if err != nil {
			return err
		}
		if t.replaces {
			return t.files.PosixRename(before, full)
		}
		return t.renameInSteps(before, full)
	})
}

func (t *sftpTarget) renameInSteps(from, to string) error {
	if _, err := t.files.Lstat(to); errors.Is(err, fs.ErrNotExist) {
		return t.files.Rename(from, to)
	} else if err != nil {
		return err
	}
	aside := temporary("", kindAside, to)
	if err := t.files.Rename(to, aside); err != nil {
		return fmt.Errorf("move the file aside: %w", err)
	}
	if err := t.files.Rename(from, to); err != nil {
		if back := t.files.Rename(aside, to); back != nil {
			return fmt.Errorf("%w, and the file that was there is now %s: %w", err, aside, back)
		}
		return err
	}
	_ = t.files.Remove(aside) // the file is in place; Recover takes away what may be left
	return nil
}

// Recover gives a file its name back that was left aside, or takes away the one whose place is filled.
func (t *sftpTarget) Recover(name string) error {
	if t.replaces {
		return nil
	}
	return t.do("put back", name, func(full string) error {
		aside := temporary("", kindAside, full)
		if _, err := t.files.Lstat(aside); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		_, err := t.files.Lstat(full)
		if errors.Is(err, fs.ErrNotExist) {
			return t.files.Rename(aside, full)
		}
		return cmp.Or(err, t.files.Remove(aside))
	})
}

// Remove takes a file away.
func (t *sftpTarget) Remove(name string) error { return t.do("remove", name, t.files.Remove) }

// Free gives what is left for us, which may be less than what is left for the administrator there.
func (t *sftpTarget) Free(folder string) (free uint64, known bool, err error) {
	if !t.counts {
		return 0, false, nil
	}
	err = t.do("free space of", folder, func(full string) error {
		space, err := t.files.StatVFS(full)
		if err == nil {
			free = space.Bavail * space.Frsize
		}
		return err
	})
	return free, err == nil, err
}

// Modified gives a time in whole seconds: the protocol has no finer one.
func (t *sftpTarget) Modified(name string) (at time.Time, err error) {
	err = t.do("look at", name, func(full string) error {
		info, err := t.files.Lstat(full)
		if err == nil {
			at = info.ModTime()
		}
		return err
	})
	return at, err
}

// Close ends the connection. Nothing is lost by that: all that was written has been flushed and compared.
func (t *sftpTarget) Close() error {
	t.conn.Close()
	t.closing.Wait()
	t.files.Close()
	return nil
}

// The target itself may be a link, or lie behind one: the administrator has named it. Below it links are followed only
// where they stay below it, as in folders of this machine: whoever may write there could otherwise have us write, or copy
// what we may read, elsewhere. SFTP can only be asked where a path leads: it is asked once, and what it says is gone to
// from then on, so that a link that is changed later changes nothing. A server that resolves no links is not held to this.

// errLeadsOut is for a link that is not followed, and says what to do.
var errLeadsOut = errors.New("a link there leads out of the target folder, and is not followed; have the target begin above both, " +
	"or put a folder in the link's place")

// whole gives the path of a file or folder on the server, for all that does not follow a link in its last part.
func (t *sftpTarget) whole(name string) (string, error) {
	if path.Dir(name) == "." || path.IsAbs(name) {
		return path.Join(t.base, name), nil
	}
	folder, err := t.inside(path.Dir(name))
	return path.Join(folder, path.Base(name)), err
}

// inside gives the path to which a folder leads; one that is not there leads nowhere else.
func (t *sftpTarget) inside(folder string) (string, error) {
	t.mu.Lock()
	known, ok := t.folders[folder]
	t.mu.Unlock()
	if ok {
		return known, nil
	}
	leads, err := t.leads(path.Join(t.base, folder))
	if errors.Is(err, fs.ErrNotExist) {
		return path.Join(t.base, folder), nil
	}
	if err != nil {
		return "", err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.folders[folder] = leads
	return leads, nil
}

// again asks anew where a folder leads: it may have been made, or come into its place, since it was asked.
func (t *sftpTarget) again(folder string) error {
	t.mu.Lock()
	delete(t.folders, folder)
	t.mu.Unlock()
	_, err := t.inside(folder)
	return err
}

// leads gives the path to which another one leads, if that lies below the target.
func (t *sftpTarget) leads(full string) (string, error) {
	leads, err := t.files.RealPath(full)
	if err != nil {
		return "", err
	}
	if leads != t.base && !strings.HasPrefix(leads, strings.TrimSuffix(t.base, "/")+"/") {
		return "", errLeadsOut
	}
	return leads, nil
}
