package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"

	"capf/runtime/store"
)

// onBulk has work use the connection for large sets.
func (s *Store) onBulk(ctx context.Context, work func(*store.Statements) error) (err error) {
	connection, err := s.bulkPool.Conn(ctx)
	if err != nil {
		return s.classify(err)
	}
	statements := store.NewStatements(connection, s.classify)
	defer func() {
		_ = connection.Raw(checksAgain) // says only that the connection is given up
		err = errors.Join(err, statements.Close(), connection.Close())
	}()
	return work(statements)
}

// writeUnchecked does work in one transaction, as the only one who writes, while SQLite looks at nothing but unique
// indexes.
//
// For every row that is deleted it would look through the tables that may refer to it: they have no index for that, and
// 10,000 operations times 10,000 phones takes minutes. To look at the words in the columns takes longer than to write them
// (stagecheck.go). What a run writes was looked at when it was staged, what a rollback writes was in the store, and what
// it deletes was chosen so that nothing refers to it.
func (s *Store) writeUnchecked(ctx context.Context, tx *store.Statements, work func() error) error {
	return s.writer.Alone(ctx, func() error {
		for _, pragma := range []string{`PRAGMA foreign_keys = OFF`, `PRAGMA ignore_check_constraints = ON`} {
			if _, err := tx.Exec(pragma); err != nil {
				return err
			}
		}
		return inTransaction(tx, work)
	})
}

// checksAgain has a connection check again what is written, or gives it up.
func checksAgain(connection any) error {
	c := connection.(interface {
		driver.ExecerContext
		driver.QueryerContext
	})
	_, err := c.ExecContext(context.Background(), `PRAGMA foreign_keys = ON; PRAGMA ignore_check_constraints = OFF`, nil)
	if err != nil || pragma(c, `PRAGMA foreign_keys`) != int64(1) || pragma(c, `PRAGMA ignore_check_constraints`) != int64(0) {
		return driver.ErrBadConn
	}
	return nil
}

// pragma gives the value of a setting, nil where it cannot be read.
func pragma(connection driver.QueryerContext, query string) driver.Value {
	rows, err := connection.QueryContext(context.Background(), query, nil)
	if err != nil {
		return nil
	}
	row := make([]driver.Value, 1)
	if errors.Join(rows.Next(row), rows.Close()) != nil {
		return nil
	}
	return row[0]
}
