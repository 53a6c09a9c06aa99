// Package sqlite keeps the store in one SQLite file, `capf.db` in the data directory by custom.
//
// The file is in WAL mode with full synchronisation: an answer that says "written" has been flushed to
// disk. One connection writes, through the group commit of package store; a pool of others reads, beside
// it and beside other processes. Large sets of changes to phones are gathered in temporary tables on a
// connection of their own and written by a few statements, so that the write lock is held shortly. A migration waits in
// tables of its own, row by row, until one transaction makes all of it visible.
//
// The schema is in numbered files under migrations, which are only ever added to. How SQLite behaves is
// from its documentation, and where house-style.md (7) says so, measured with go-sqlite3: parameters are
// numbered `?1`, never `$1`, and pragmas stand in the DSN, since Exec reaches one pooled connection only.
// A parameter in a condition or limit is written `+?1`: SQLite prepares a statement anew before each run
// when its planner has looked at a bare parameter, and to read a phone then takes four times as long.
package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strconv"
	"time"

	"github.com/hashicorp/go-multierror"
	"github.com/mattn/go-sqlite3"

	"capf/runtime/capf"
	"capf/runtime/store"
)

// Options says which store is opened, and how.
type Options struct {
	Path    string           // of the file; its folder also holds the lock of the service
	Create  bool             // make the folder and the store where there is none
	Upgrade bool             // bring an older schema up to date, after a copy beside the file
	Clock   func() time.Time // nil: time.Now

	// BusyTimeout is how long to wait for another process that holds the write lock; 0: 7 s.
	BusyTimeout time.Duration

	inPlace func() error // of the store that opens connections; nil: it is not open yet
}

const (
	// defaultBusyTimeout is longer than the last step of a migration may take (5 s), so that a session does not fail for it,
	// and shorter than a session or a health check waits for the store, so that they tell what is wrong.
	defaultBusyTimeout = 7 * time.Second
	readers            = 4
)

// Store keeps phones, their operations and certificates, the cluster and its parameters in a SQLite file.
// All methods may be called from many goroutines. Their errors are *capf.Error; besides the codes that a
// method names, each can fail with CodeBusy (another process holds the write lock) and CodeUnavailable
// (the disk or the file).
type Store struct {
	path     string
	clock    func() time.Time
	random   io.Reader
	upgraded *Upgrade
	files    []openFile // see inPlace

	readPool  *sql.DB
	writePool *sql.DB // one connection for the writer
	bulkPool  *sql.DB // one connection with temporary tables, for large sets
	reads     *store.Statements
	writer    *store.Writer
}

// Open opens a store. Without Create a missing one is CodeNotActivated. A schema that is newer than this
// program, or older without Upgrade, is CodeRefused; a file that is something else CodeInvalid.
func Open(ctx context.Context, options Options) (*Store, error) {
	if options.Clock == nil {
		options.Clock = time.Now
	}
	if options.BusyTimeout == 0 {
		options.BusyTimeout = defaultBusyTimeout
	}
	upgraded, err := prepare(ctx, options)
	if err != nil {
		return nil, err
	}
	s := &Store{path: options.Path, upgraded: upgraded, clock: options.Clock, random: rand.Reader}
	options.inPlace = s.inPlace
	s.readPool, s.writePool, s.bulkPool = connect(options, readOnly, readers), connect(options, readWrite, 1), connect(options, readWrite, 1)
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(s.classify(err), s.closePools())
	}
	return s, nil
}

func (s *Store) start(ctx context.Context) error {
	connection, err := s.writePool.Conn(ctx)
	if err != nil {
		return err
	}
	if err := s.watch(ctx); err != nil {
		return errors.Join(err, connection.Close())
	}
	s.reads = store.NewStatements(s.readPool, s.classify)
	s.reads.InPlace = s.inPlace
	s.writer = store.NewWriter(connection, store.Dialect{
		Begin: "BEGIN IMMEDIATE", Commit: "COMMIT", Rollback: "ROLLBACK",
		Savepoint: "SAVEPOINT member", Release: "RELEASE member", RollbackTo: "ROLLBACK TO member",
		Classify: s.classify, InPlace: s.inPlace,
	})
	return nil
}

// Close ends what is being written and closes the file.
func (s *Store) Close() error {
	var failures *multierror.Error
	failures = multierror.Append(failures, s.writer.Close(), s.reads.Close(), s.closePools())
	if err := failures.ErrorOrNil(); err != nil {
		return s.classify(fmt.Errorf("close the store %s: %w", s.path, err))
	}
	return nil
}

func (s *Store) closePools() error {
	return errors.Join(s.readPool.Close(), s.writePool.Close(), s.bulkPool.Close())
}

// now is the time in whole seconds, as the columns hold it.
func (s *Store) now() time.Time { return store.WholeSeconds(s.clock()) }

// Moment gives the time of the store's clock and the service that runs on its folder, by which the status
// of a phone is read.
func (s *Store) Moment() (capf.Moment, error) {
	living, err := s.LivingInstance()
	return capf.Moment{Now: s.now(), Living: living}, err
}

// LivingInstance gives the instance of the service that runs on the store's folder, and "" for none.
func (s *Store) LivingInstance() (string, error) {
	return store.LivingInstance(filepath.Dir(s.path))
}

// Check reports whether the store can be read and written now. It commits a row as it was.
func (s *Store) Check(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var rows int64
	if _, err := s.reads.First(store.Into(&rows), `SELECT count(*) FROM parameters`); err != nil {
		return err
	}
	return s.writer.Do(ctx, func(tx *store.Statements) error {
		touched, err := tx.Exec(`UPDATE health SET id = id`)
		if err == nil && touched != 1 {
			err = &capf.Error{Code: capf.CodeUnavailable, Message: s.path + ": the row for health checks is missing",
				Hint: "restore the store from a backup"}
		}
		return err
	})
}

// Commits gives the number of transactions that the group commit has made; many writes can share one.
func (s *Store) Commits() int64 { return s.writer.Commits() }

// access is what a connection may do.
type access int

const (
	inspecting access = iota // looks at a file that may be anybody's, and must not change its mode
	readOnly
	readWrite
)

// connector opens connections; database/sql's own way needs a driver that is registered for the whole
// process, and has no place for a hook.
type connector struct {
	driver  *sqlite3.SQLiteDriver
	dsn     string
	inPlace func() error // nil: not asked
}

// Connect opens nothing beside a file that is away: SQLite would make another WAL in its place.
func (c connector) Connect(context.Context) (driver.Conn, error) {
	if c.inPlace != nil {
		if err := c.inPlace(); err != nil {
			return nil, err
		}
	}
	return c.driver.Open(c.dsn)
}

func (c connector) Driver() driver.Driver { return c.driver }

// connect gives a pool of so many connections, none of them open yet.
func connect(options Options, access access, most int) *sql.DB {
	pool := sql.OpenDB(connector{driver: &sqlite3.SQLiteDriver{ConnectHook: prepareConnection}, dsn: dsn(options, access), inPlace: options.inPlace})
	pool.SetMaxOpenConns(most)
	pool.SetMaxIdleConns(most)
	return pool
}

// prepareConnection sets what the DSN has no word for. Temporary tables hold authentication strings and
// must not reach a file.
func prepareConnection(connection *sqlite3.SQLiteConn) error {
	_, err := connection.Exec("PRAGMA temp_store = MEMORY", []driver.Value{})
	return err
}

// dsn never lets SQLite make the file: it has to be there, with the right mode. A string that is void is
// overwritten in its page, and so is a page that is given back whole (secure_delete; FAST would leave those as they
// are); the WAL keeps older pages until it begins anew.
func dsn(options Options, access access) string {
	values := url.Values{
		"mode":           {"rw"},
		"_mutex":         {"no"}, // database/sql never lets two goroutines into a connection
		"_busy_timeout":  {strconv.FormatInt(options.BusyTimeout.Milliseconds(), 10)},
		"_foreign_keys":  {"1"},
		"_synchronous":   {"FULL"},
		"_secure_delete": {"ON"},
		"_cache_size":    {"-8000"}, // KiB
		"_txlock":        {"immediate"},
	}
	if access != inspecting {
		values.Set("_journal_mode", "WAL")
	}
	if access < readWrite {
		values.Set("_query_only", "1")
		values.Set("_txlock", "deferred")
	}
	return (&url.URL{Scheme: "file", OmitHost: true, Path: absolute(options.Path), RawQuery: values.Encode()}).String()
}

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
