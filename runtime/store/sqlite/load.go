package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"slices"
	"time"

	"github.com/mattn/go-sqlite3"

	"capf/runtime/store"
)

const (
	// holdTime is for how long rows are written before the write lock is given back. The flush and the check of
	// the run come on top; cli.md calls 50 ms much.
	holdTime = 20 * time.Millisecond
	// rowsAtOnce is how many rows a statement inserts, and after how many the clock is looked at.
	rowsAtOnce = 64
	// restTime is for how long nobody of us asks for the lock then. SQLite has no queue: whoever waits for the lock
	// tries again after a while, and would hardly ever meet it free. While a service runs its sessions wait, which try
	// later and later: then it is free for as long as it is held.
	restTime       = time.Millisecond
	restForService = holdTime
)

// loader writes many rows of a staged run, on the connection for that. Its statements go to the driver directly:
// database/sql takes as long for a row as SQLite does.
type loader struct {
	connection *sql.Conn
	checks     *store.Statements // on the same connection
	rows       *rawStatements
	rest       time.Duration // between transactions
}

// load has a loader used, the one of the time before where there is one: its statements are long, and SQLite takes a while
// to read them. While it is used the writer writes nothing.
func (s *Store) load(ctx context.Context, use func(*loader) error) error {
	s.loading.Lock()
	defer s.loading.Unlock()
	if s.loader == nil {
		connection, err := s.stagePool.Conn(ctx)
		if err != nil {
			return s.classify(err)
		}
		s.loader = newLoader(s, connection)
	}
	s.loader.rest = restTime
	if living, err := s.LivingInstance(); err != nil || living != "" {
		s.loader.rest = restForService
	}
	err := use(s.loader)
	if err != nil {
		err = errors.Join(err, s.closeLoader()) // it may hold rows that were not written
	}
	return err
}

// endLoading closes the loader, if there is one.
func (s *Store) endLoading() error {
	s.loading.Lock()
	defer s.loading.Unlock()
	return s.closeLoader()
}

func (s *Store) closeLoader() error {
	if s.loader == nil {
		return nil
	}
	l := s.loader
	s.loader = nil
	return errors.Join(l.rows.close(), l.checks.Close(), l.connection.Close())
}

func newLoader(s *Store, connection *sql.Conn) *loader {
	return &loader{rest: restTime, connection: connection, checks: store.NewStatements(connection, s.classify),
		rows: &rawStatements{classify: s.classify, kept: map[prepared]driver.StmtQueryContext{}, gathered: map[string]*gathered{}}}
}

// inTurns does work in short transactions, until it says that none is left. It gives the lock back in between.
func (s *Store) inTurns(ctx context.Context, l *loader, work func() (left bool, err error)) error {
	for left := true; left; {
		time.Sleep(min(l.rest, l.rest-time.Since(time.Unix(0, s.turned.Load()))))
		err := s.writer.Alone(ctx, func() error {
			return inTransaction(l.checks, func() (err error) {
				left, err = work()
				return err
			})
		})
		s.turned.Store(time.Now().UnixNano())
		if err != nil {
			return err
		}
		s.checkpoints.written()
	}
	return nil
}

// inBatches writes rows of a run, as many in a transaction as there is time for. Begin is called at the beginning of each.
// What is written of a row is made before, beside those that are being written.
func inBatches[T, R any](ctx context.Context, s *Store, run int64, rows []T, begin func(*store.Statements) error,
	made func(*T) (R, error), write func(*rawStatements, R) error) error {
	if len(rows) == 0 {
		return nil
	}
	next, wait := ahead(rows, made)
	defer wait()
	left := len(rows)
	return s.load(ctx, func(l *loader) error {
		return s.inTurns(ctx, l, func() (bool, error) {
			if err := checkStaged(l.checks, run); err != nil {
				return false, err
			}
			if err := begin(l.checks); err != nil {
				return false, err
			}
			written, err := l.writeSome(left, func(int) error {
				row, err := next()
				if err != nil {
					return err
				}
				return write(l.rows, row)
			})
			left -= written
			return left > 0, err
		})
	})
}

// ahead makes something of each row, beside whoever takes it. Next is called as often as there are rows, or until its
// first error; wait in the end: nothing looks at the rows any more then.
func ahead[T, R any](rows []T, one func(*T) (R, error)) (next func() (R, error), wait func()) {
	type part struct {
		made []R
		err  error
	}
	parts, done := make(chan part, 2+len(rows)/rowsAtOnce), make(chan struct{}) // room for all: nobody waits for who takes them
	go func() {
		defer close(done)
		for some := range slices.Chunk(rows, rowsAtOnce) {
			made, err := makeSome(some, one)
			if len(made) > 0 {
				parts <- part{made: made}
			}
			if err != nil {
				parts <- part{err: err}
				return
			}
		}
	}()
	var now part
	next = func() (row R, err error) {
		if len(now.made) == 0 && now.err == nil {
			now = <-parts
		}
		if now.err != nil {
			return row, now.err
		}
		row, now.made = now.made[0], now.made[1:]
		return row, nil
	}
	return next, func() { <-done }
}

func makeSome[T, R any](rows []T, one func(*T) (R, error)) ([]R, error) {
	out := make([]R, 0, len(rows))
	for i := range rows {
		made, err := one(&rows[i])
		if err != nil {
			return out, err
		}
		out = append(out, made)
	}
	return out, nil
}

// writeSome calls write for rows until time is up, and gives how many that were.
func (l *loader) writeSome(count int, write func(n int) error) (written int, err error) {
	until := time.Now().Add(holdTime)
	err = l.connection.Raw(func(connection any) error {
		l.rows.connection = connection.(*sqlite3.SQLiteConn)
		for written < count {
			if err := write(written); err != nil {
				return err
			}
			if written++; written%rowsAtOnce == 0 && time.Now().After(until) {
				break
			}
		}
		return l.rows.flush()
	})
	return written, err
}

// sequence numbers the rows of a table as SQLite would. It is read anew in each transaction.
type sequence struct {
	table string
	last  int64
}

func (q *sequence) read(tx *store.Statements) error {
	q.last = 0
	_, err := tx.First(store.Into(&q.last), `SELECT seq FROM sqlite_sequence WHERE name = +?1`, q.table)
	return err
}

func (q *sequence) next() int64 {
	q.last++
	return q.last
}
