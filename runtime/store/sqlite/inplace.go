package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"capf/runtime/capf"
	"capf/runtime/store"
)

// SQLite goes on with files that were removed or replaced under it: what it writes then nobody finds again, so that a
// certificate would leave that is in no store. So a store is good for as long as its files lie where it opened them.
// It looks before each read and each transaction, and again when a transaction is committed, before anybody hears of it.
// A file that is put back is taken up again.
//
// The files beside the store are there for as long as a connection is open: SQLite makes them with the first, empties
// and refills them as they are, and only the last connection of all processes takes them away (sqlite.org/wal.html,
// "The WAL File"; sqlite.org/tempfiles.html, 2.2 and 2.3). In their place another file is not of SQLite's making.

// openFile is a file of the store as it was when the store was opened.
type openFile struct {
	path   string
	opened fileID
	hint   string // where it is gone
}

// fileID is what makes a file the same one.
type fileID struct{ device, inode uint64 }

// lookAt gives the file that lies at a path now. It is asked many times in a session, and os.Stat takes twice as long.
func lookAt(path string) (fileID, error) {
	var found unix.Stat_t
	err := unix.Stat(path, &found)
	return fileID{found.Dev, found.Ino}, err
}

// filesOf are the files of an open store: its own, its write-ahead log, and the index of that.
func filesOf(path string) []openFile {
	const end = "put it back as it was, or have the service end, which saves what is in it, and start it again"
	return []openFile{{path: path, hint: "put it back, or stop the service and restore a backup"}, {path: path + "-wal", hint: end}, {path: path + "-shm", hint: end}}
}

// watch notes which files the store has open. A read has SQLite open all of them.
func (s *Store) watch(ctx context.Context) error {
	var tables int64
	if err := s.readPool.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema`).Scan(&tables); err != nil {
		return err
	}
	files := filesOf(s.path)
	for i := range files {
		var err error
		if files[i].opened, err = lookAt(files[i].path); err != nil {
			return files[i].gone(err)
		}
	}
	s.files = files
	return nil
}

// A service that starts or ends has its lock for a moment without the files.
const (
	besideWithin = 2 * time.Second
	besideStep   = 20 * time.Millisecond
)

// Files names the files that the store has open, for CheckBeside of other processes.
func (s *Store) Files() string {
	var names []string
	for _, file := range s.files {
		names = append(names, file.opened.String())
	}
	return strings.Join(names, " ")
}

func (f fileID) String() string { return fmt.Sprintf("%d:%d", f.device, f.inode) }

// CheckBeside reports, with CodeUnavailable, that a service runs on the store and a file of it is gone or replaced. Whoever
// opened the store then would have SQLite make another one, and what he writes there would be lost when the service ends;
// a file of the service's with one that is not would be damaged.
func CheckBeside(ctx context.Context, path string) error {
	for left := besideWithin; ; left -= besideStep {
		living, opened, err := store.Living(filepath.Dir(path))
		if err != nil || living == "" {
			return err
		}
		problem := checkOpened(path, strings.Fields(opened))
		if problem == nil || left <= 0 {
			return problem
		}
		if err := capf.Wait(ctx, besideStep); err != nil {
			return err
		}
	}
}

// checkOpened looks at the files of a store where a service has them open, which may not have told yet which they are.
func checkOpened(path string, opened []string) error {
	for i, file := range filesOf(path) {
		found, err := lookAt(file.path)
		if err != nil {
			return file.gone(err)
		}
		if i < len(opened) && found.String() != opened[i] {
			return file.replaced()
		}
	}
	return nil
}

// inPlace reports, with CodeUnavailable, that a file of the store is not where it was.
func (s *Store) inPlace() error {
	for i := range s.files {
		file := &s.files[i]
		found, err := lookAt(file.path)
		if err != nil {
			return file.gone(err)
		}
		if found != file.opened {
			return file.replaced()
		}
	}
	return nil
}

func (f *openFile) replaced() error {
	return &capf.Error{Code: capf.CodeUnavailable, Message: fmt.Sprintf("store %s is another file than the one that the service has open", f.path),
		Hint: "restart the service, or put back the one that was there"}
}

func (f *openFile) gone(err error) error {
	message := fmt.Sprintf("store %s is gone", f.path)
	if !errors.Is(err, fs.ErrNotExist) {
		message = fmt.Sprintf("store %s cannot be seen", f.path)
	}
	return &capf.Error{Code: capf.CodeUnavailable, Message: message, Err: err, Hint: f.hint}
}
