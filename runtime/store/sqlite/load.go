package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"strings"
	"time"

	"github.com/mattn/go-sqlite3"

	"capf/runtime/capf"
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
	restTime       = 2 * time.Millisecond
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

// load opens a loader, has it used and closes it. While it is used the writer writes nothing.
func (s *Store) load(ctx context.Context, use func(*loader) error) (err error) {
	connection, err := s.stagePool.Conn(ctx)
	if err != nil {
		return s.classify(err)
	}
	l := newLoader(s, connection)
	if living, err := s.LivingInstance(); err != nil || living != "" {
		l.rest = restForService
	}
	defer func() { err = errors.Join(err, l.rows.close(), l.checks.Close(), connection.Close()) }()
	return use(l)
}

func newLoader(s *Store, connection *sql.Conn) *loader {
	return &loader{rest: restTime, connection: connection, checks: store.NewStatements(connection, s.classify),
		rows: &rawStatements{classify: s.classify, kept: map[prepared]driver.StmtExecContext{}, gathered: map[string]*gathered{}}}
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
func inBatches[T any](ctx context.Context, s *Store, run int64, rows []T, begin func(*store.Statements) error, write func(*rawStatements, T) error) error {
	if len(rows) == 0 {
		return nil
	}
	return s.load(ctx, func(l *loader) error {
		return s.inTurns(ctx, l, func() (bool, error) {
			if err := checkStaged(l.checks, run); err != nil {
				return false, err
			}
			if err := begin(l.checks); err != nil {
				return false, err
			}
			written, err := l.writeSome(len(rows), func(n int) error { return write(l.rows, rows[n]) })
			rows = rows[written:]
			return len(rows) > 0, err
		})
	})
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

// rawStatements insert rows through the driver, many with one statement: that takes a third of the time. They work
// inside loader.writeSome only.
type rawStatements struct {
	classify   func(error) error
	connection *sqlite3.SQLiteConn
	kept       map[prepared]driver.StmtExecContext
	gathered   map[string]*gathered // by the statement that they are for
}

// gathered are rows that are not written yet.
type gathered struct {
	columns int
	values  []driver.NamedValue
}

// insert adds a row to those that an INSERT of one row writes, with many `?` and other constants. Values are of the kinds
// that drivers know. The error may be that of rows before.
func (r *rawStatements) insert(query string, values ...driver.Value) error {
	rows := r.gathered[query]
	if rows == nil {
		rows = &gathered{columns: len(values), values: make([]driver.NamedValue, 0, rowsAtOnce*len(values))}
		r.gathered[query] = rows
	}
	for _, value := range values {
		rows.values = append(rows.values, driver.NamedValue{Ordinal: len(rows.values) + 1, Value: value})
	}
	if len(rows.values) < cap(rows.values) {
		return nil
	}
	return r.write(query, rows)
}

// flush writes all that is gathered.
func (r *rawStatements) flush() error {
	for query, rows := range r.gathered {
		if err := r.write(query, rows); err != nil {
			return err
		}
	}
	return nil
}

func (r *rawStatements) write(query string, rows *gathered) error {
	if len(rows.values) == 0 {
		return nil
	}
	statement, err := r.prepare(query, len(rows.values)/rows.columns)
	if err == nil {
		_, err = statement.ExecContext(context.Background(), rows.values)
	}
	rows.values = rows.values[:0]
	if isUnique(err) {
		// Which of the rows it is, SQLite does not say.
		return &capf.Error{Code: capf.CodeConflict, Message: "a phone comes from two records of the run", Err: err}
	}
	if err != nil {
		return r.classify(err)
	}
	return nil
}

// prepare gives the statement for so many rows.
func (r *rawStatements) prepare(query string, rows int) (driver.StmtExecContext, error) {
	key := prepared{query, rows}
	if statement, ok := r.kept[key]; ok {
		return statement, nil
	}
	const mark = "VALUES "
	row := query[strings.Index(query, mark)+len(mark):]
	made, err := r.connection.Prepare(query + strings.Repeat(", "+row, rows-1))
	if err != nil {
		return nil, err
	}
	statement := made.(driver.StmtExecContext)
	r.kept[key] = statement
	return statement, nil
}

// prepared is what a statement is kept by.
type prepared struct {
	query string
	rows  int
}

func (r *rawStatements) close() error {
	var failures []error
	for _, statement := range r.kept {
		failures = append(failures, statement.(driver.Stmt).Close())
	}
	return errors.Join(failures...)
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
