package sqlite

import (
	"errors"
	"fmt"

	"github.com/mattn/go-sqlite3"

	"capf/runtime/capf"
)

// classify turns an error of SQLite into one of the domain. What is one already stays as it is.
func (s *Store) classify(err error) error { return classify(s.path, err) }

func classify(path string, err error) error {
	var known *capf.Error
	var engine sqlite3.Error
	switch {
	case err == nil || errors.As(err, &known):
		return err
	case !errors.As(err, &engine):
		return &capf.Error{Code: capf.CodeInternal, Message: "store " + path, Err: err}
	}
	switch engine.Code {
	case sqlite3.ErrBusy, sqlite3.ErrLocked:
		return &capf.Error{Code: capf.CodeBusy, Message: fmt.Sprintf("the store %s is being written by another process", path),
			Hint: "try again when that has ended", Err: err}
	case sqlite3.ErrNotADB:
		return notAStore(path, err)
	case sqlite3.ErrCorrupt:
		return &capf.Error{Code: capf.CodeUnavailable, Message: fmt.Sprintf("the store %s is damaged", path),
			Hint: "keep a copy of it and restore a backup", Err: err}
	case sqlite3.ErrFull, sqlite3.ErrIoErr, sqlite3.ErrCantOpen, sqlite3.ErrReadonly, sqlite3.ErrPerm, sqlite3.ErrNomem:
		return fileError(path, err)
	case sqlite3.ErrConstraint:
		return &capf.Error{Code: capf.CodeConflict, Message: "store " + path + " refuses what contradicts it", Err: err}
	}
	return &capf.Error{Code: capf.CodeInternal, Message: "store " + path, Err: err}
}

// isUnique reports whether err says that there is such a row already.
func isUnique(err error) bool {
	var engine sqlite3.Error
	return errors.As(err, &engine) &&
		(engine.ExtendedCode == sqlite3.ErrConstraintUnique || engine.ExtendedCode == sqlite3.ErrConstraintPrimaryKey)
}
