package usecallmanager

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	_ "github.com/mattn/go-sqlite3" // the driver "sqlite3"

	"capf/legacy"
)

// copied is a copy of a database, open.
type copied struct {
	pool *sql.DB
	conn *sql.Conn
}

// openCopy copies a database with what belongs to it, opens the copy and removes its files: SQLite goes on with the
// open ones.
func openCopy(ctx context.Context, database legacy.Input, logs []legacy.Input) (_ *copied, err error) {
	folder, err := os.MkdirTemp("", "capf-database-*") // mode 0700
	if err != nil {
		return nil, fmt.Errorf("private folder for a copy of %s: %w: set TMPDIR to a folder that can be written", database.File, err)
	}
	defer func() {
		if failed := os.RemoveAll(folder); err == nil && failed != nil {
			err = failed
		}
	}()
	path := filepath.Join(folder, "database")
	if err := copyFile(database, path); err != nil {
		return nil, err
	}
	for _, log := range logs {
		ending := writeAheadName
		if strings.HasSuffix(strings.ToLower(log.File), journalEnding) {
			ending = journalEnding
		}
		if err := copyFile(log, path+ending); err != nil {
			return nil, err
		}
	}
	out, err := connect(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: it is damaged, or encrypted; copy it again, or mend a copy with `sqlite3 COPY .recover`",
			legacy.Position{File: database.File}, err)
	}
	return out, nil
}

func copyFile(from legacy.Input, path string) error {
	source, err := from.Open()
	if err != nil {
		return err
	}
	defer source.Close()
	into, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(into, source)
	if err = errors.Join(err, into.Close()); err != nil {
		return fmt.Errorf("copy of %s: %w", from.File, err)
	}
	return nil
}

// connect opens the copy for this process alone, so that no index of the log is made on disk, and reads it once, so
// that the log, or a journal of what was cut off, has been taken in.
func connect(ctx context.Context, path string) (*copied, error) {
	name := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: "mode=rw&_locking_mode=EXCLUSIVE&_busy_timeout=0"}
	pool, err := sql.Open("sqlite3", name.String())
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(1)
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	out := &copied{pool: pool, conn: conn}
	// What the schema of a foreign database calls must not run, and nothing more is to be written to disk.
	for _, statement := range []string{"PRAGMA trusted_schema = OFF", "PRAGMA cell_size_check = ON", "PRAGMA ignore_check_constraints = ON",
		"PRAGMA temp_store = MEMORY",
		"SELECT count(*) FROM sqlite_schema", "PRAGMA query_only = ON"} {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return nil, errors.Join(err, out.close())
		}
	}
	return out, nil
}

func (c *copied) close() error { return errors.Join(c.conn.Close(), c.pool.Close()) }
