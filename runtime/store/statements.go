package store

import (
	"context"
	"database/sql"
	"errors"
	"sync"
)

// Preparer is a pool or one connection of database/sql.
type Preparer interface {
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}

// Scanner is the row under the cursor.
type Scanner interface {
	Scan(into ...any) error
}

// Statements runs SQL through statements that are prepared once and kept by their text. On a pool it may
// be used by many goroutines. Statements are not interrupted: each is short, and an interrupted write
// would leave its caller without an honest answer.
type Statements struct {
	// InPlace is asked before each of them, and its error is theirs; nil: it is not.
	InPlace func() error

	preparer Preparer
	classify func(error) error

	mu   sync.RWMutex
	kept map[string]*sql.Stmt
}

// NewStatements prepares on a pool or connection; classify turns the driver's errors into those of the
// domain and gets no nil.
func NewStatements(preparer Preparer, classify func(error) error) *Statements {
	return &Statements{preparer: preparer, classify: classify, kept: make(map[string]*sql.Stmt)}
}

func (s *Statements) prepare(query string) (*sql.Stmt, error) {
	if s.InPlace != nil {
		if err := s.InPlace(); err != nil {
			return nil, err
		}
	}
	s.mu.RLock()
	statement, known := s.kept[query]
	s.mu.RUnlock()
	if known {
		return statement, nil
	}
	statement, err := s.preparer.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if first, known := s.kept[query]; known {
		return first, statement.Close()
	}
	s.kept[query] = statement
	return statement, nil
}

func (s *Statements) execute(query string, arguments []any) (sql.Result, error) {
	statement, err := s.prepare(query)
	if err != nil {
		return nil, s.classify(err)
	}
	result, err := statement.Exec(arguments...)
	if err != nil {
		return nil, s.classify(err)
	}
	return result, nil
}

// Exec runs a statement and gives the number of rows that it touched.
func (s *Statements) Exec(query string, arguments ...any) (int64, error) {
	result, err := s.execute(query, arguments)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// Insert runs an INSERT of one row and gives its ID.
func (s *Statements) Insert(query string, arguments ...any) (int64, error) {
	result, err := s.execute(query, arguments)
	if err != nil {
		return 0, err
	}
	return result.LastInsertId()
}

// First reads the first row by scan, and reports whether there is one.
func (s *Statements) First(scan func(Scanner) error, query string, arguments ...any) (bool, error) {
	statement, err := s.prepare(query)
	if err != nil {
		return false, s.classify(err)
	}
	err = scan(statement.QueryRow(arguments...))
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, s.classify(err)
	}
	return true, nil
}

// Each reads every row by scan and stops at its first error. The statement is open until it returns, so
// that scan only collects.
func (s *Statements) Each(scan func(Scanner) error, query string, arguments ...any) (err error) {
	statement, err := s.prepare(query)
	if err != nil {
		return s.classify(err)
	}
	rows, err := statement.Query(arguments...)
	if err != nil {
		return s.classify(err)
	}
	defer func() {
		if closed := rows.Close(); err == nil && closed != nil {
			err = s.classify(closed)
		}
	}()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return s.classify(err)
		}
	}
	if err := rows.Err(); err != nil {
		return s.classify(err)
	}
	return nil
}

// Into gives a scan for First that fills these.
func Into(targets ...any) func(Scanner) error {
	return func(row Scanner) error { return row.Scan(targets...) }
}

// Collect gives every row that the query finds.
func Collect[T any](s *Statements, scan func(Scanner) (T, error), query string, arguments ...any) ([]T, error) {
	var all []T
	err := s.Each(func(row Scanner) error {
		one, err := scan(row)
		all = append(all, one)
		return err
	}, query, arguments...)
	if err != nil {
		return nil, err
	}
	return all, nil
}

// Close closes the statements, not the pool or connection.
func (s *Statements) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var failures []error
	for query, statement := range s.kept {
		failures = append(failures, statement.Close())
		delete(s.kept, query)
	}
	return errors.Join(failures...)
}
