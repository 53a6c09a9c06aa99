package sqlite

import (
	"context"
	"errors"

	"capf/runtime/store"
)

// onBulk has work use the connection for large sets: with temporary tables of its own, and not behind what others write.
func (s *Store) onBulk(ctx context.Context, work func(*store.Statements) error) (err error) {
	connection, err := s.bulkPool.Conn(ctx)
	if err != nil {
		return s.classify(err)
	}
	statements := store.NewStatements(connection, s.classify)
	defer func() { err = errors.Join(err, statements.Close(), connection.Close()) }()
	return work(statements)
}

// writeBulk does work in one transaction on the connection for large sets, while the writer writes nothing.
func (s *Store) writeBulk(ctx context.Context, tx *store.Statements, work func() error) error {
	return s.writer.Alone(ctx, func() error { return inTransaction(tx, work) })
}

// inTransaction runs work between BEGIN IMMEDIATE and COMMIT.
func inTransaction(tx *store.Statements, work func() error) error {
	if _, err := tx.Exec(`BEGIN IMMEDIATE`); err != nil {
		return err
	}
	err := work()
	if err == nil {
		_, err = tx.Exec(`COMMIT`)
	}
	if err != nil {
		// After a full disk SQLite has rolled back by itself; then this fails, and there is nothing to undo.
		_, _ = tx.Exec(`ROLLBACK`)
	}
	return err
}

// inSnapshot runs work on one state of the store, of which it changes nothing but temporary tables. It holds no lock.
func inSnapshot(tx *store.Statements, work func() error) error {
	if _, err := tx.Exec(`BEGIN`); err != nil {
		return err
	}
	err := work()
	_, ended := tx.Exec(`ROLLBACK`)
	return errors.Join(err, ended)
}

// step is one of several statements that are executed in their order.
type step struct {
	query     string
	arguments []any
}

func executeAll(tx *store.Statements, steps []step) error {
	for _, step := range steps {
		if _, err := tx.Exec(step.query, step.arguments...); err != nil {
			return err
		}
	}
	return nil
}
