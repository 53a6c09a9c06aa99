package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"capf/runtime/capf"
)

// SQLite goes on with files that were removed or replaced under it: what it writes then nobody finds again, so that a
// certificate would leave that is in no store. So a store is good for as long as its files lie where it opened them.
// It looks before each read and each transaction, and again when a transaction is committed, before anybody hears of it.
// A file that is put back is taken up again.
//
// The files beside the store are there for as long as a connection is open: SQLite makes them with the first, empties
// and refills them as they are, and only the last connection of all processes takes them away (sqlite.org/wal.html,
// "The WAL File"; sqlite.org/tempfiles.html, 2.2 and 2.3). In their place another file is not of SQLite's making.

// besides are the names of the files beside the store, as they continue its own: the write-ahead log and its index.
var besides = []string{"-wal", "-shm"}

// openFile is a file of the store as it was when the store was opened.
type openFile struct {
	path   string
	opened fs.FileInfo
	hint   string // where it is gone
}

// watch notes which files the store has open. A read has SQLite open all of them.
func (s *Store) watch(ctx context.Context) error {
	var tables int64
	if err := s.readPool.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema`).Scan(&tables); err != nil {
		return err
	}
	files := []openFile{{path: s.path, hint: "put it back, or stop the service and restore a backup"}}
	for _, name := range besides {
		files = append(files, openFile{path: s.path + name, hint: "put it back as it was, or have the service end, which saves what is in it, and start it again"})
	}
	for i := range files {
		found, err := os.Stat(files[i].path)
		if err != nil {
			return files[i].gone(err)
		}
		files[i].opened = found
	}
	s.files = files
	return nil
}

// inPlace reports, with CodeUnavailable, that a file of the store is not where it was.
func (s *Store) inPlace() error {
	for i := range s.files {
		file := &s.files[i]
		found, err := os.Stat(file.path)
		if err != nil {
			return file.gone(err)
		}
		if !os.SameFile(file.opened, found) {
			return &capf.Error{Code: capf.CodeUnavailable, Message: fmt.Sprintf("store %s is another file than the one that the service has open", file.path),
				Hint: "restart the service, or put back the one that was there"}
		}
	}
	return nil
}

func (f *openFile) gone(err error) error {
	message := fmt.Sprintf("store %s is gone", f.path)
	if !errors.Is(err, fs.ErrNotExist) {
		message = fmt.Sprintf("store %s cannot be seen", f.path)
	}
	return &capf.Error{Code: capf.CodeUnavailable, Message: message, Err: err, Hint: f.hint}
}
