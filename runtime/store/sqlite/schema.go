package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"

	"capf/runtime/capf"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// applicationID marks a SQLite file as ours: "CAPF".
const applicationID = 0x43415046

// schema is what a file says of itself.
type schema struct {
	empty       bool
	application int64
	version     int64
	mark        int64 // user_version, see way
}

// A file that is between two schemas says so in SQLite's user version: where it comes from, above this bit, and where it
// goes to. It comes from 0 while it is made.
const markShift = 16

// way gives that; 0 and 0 for a file that is not under way.
func (s schema) way() (from, to int64) { return s.mark >> markShift, s.mark & (1<<markShift - 1) }

// isStore tells whether the making of a store ever came to its end.
func (s schema) isStore() bool {
	from, to := s.way()
	return s.version != 0 && (from != 0 || s.version >= to)
}

// prepare sees that the file is a store with the schema that this program knows, and makes it so where
// that was asked for. It gives the copy of a store that it has upgraded, nil where it has not.
func prepare(ctx context.Context, options Options) (*Upgrade, error) {
	if err := prepareFile(options); err != nil {
		return nil, err
	}
	if options.Create || options.Upgrade {
		unlock, err := lockFolder(options.Path)
		if err != nil {
			return nil, err
		}
		defer unlock()
	}
	found, err := inspect(ctx, options)
	if err != nil {
		return nil, classify(options.Path, err)
	}
	known, err := knownVersion()
	if err != nil {
		return nil, err
	}
	switch {
	case !found.empty && found.application != applicationID:
		return nil, notAStore(options.Path, nil)
	case found.version > known:
		return nil, newerSchema(options.Path, found.version, known)
	case found.version == known:
		return nil, nil
	case !found.isStore() && !options.Create:
		return nil, missing(options.Path)
	case !found.isStore():
		return nil, classify(options.Path, migrateSchema(ctx, options, 0, known))
	case !options.Upgrade:
		return nil, &capf.Error{Code: capf.CodeRefused, Hint: "`capf init` (with --from too) or `capf migrate run` upgrades it, after a copy",
			Message: fmt.Sprintf("the store %s has schema %d; this program needs %d", options.Path, found.version, known)}
	}
	return upgrade(ctx, options, found, known)
}

// inspect reads the schema of a file without changing anything in it.
func inspect(ctx context.Context, options Options) (found schema, err error) {
	pool := connect(options, inspecting, 1)
	defer func() { err = errors.Join(err, pool.Close()) }()
	var tables int64
	if err := pool.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema`).Scan(&tables); err != nil {
		return found, err
	}
	if err := pool.QueryRowContext(ctx, `PRAGMA application_id`).Scan(&found.application); err != nil {
		return found, err
	}
	if err := pool.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&found.mark); err != nil {
		return found, err
	}
	found.empty = tables == 0
	var versions int64
	err = pool.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema WHERE name = +?1`, goose.DefaultTablename).Scan(&versions)
	if err != nil || versions == 0 || found.application != applicationID {
		return found, err
	}
	err = pool.QueryRowContext(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&found.version)
	return found, err
}

// migrateSchema brings the schema up to date, each step in a transaction of its own. The marks come first: a file that was
// left half made is then still known as ours, and as what it is.
func migrateSchema(ctx context.Context, options Options, from, to int64) (err error) {
	pool := connect(options, readWrite, 1)
	defer func() { err = errors.Join(err, pool.Close()) }()
	marks := fmt.Sprintf("PRAGMA user_version = %d; PRAGMA application_id = %d", from<<markShift|to, applicationID)
	if _, err := pool.ExecContext(ctx, marks); err != nil {
		return err
	}
	// Before the schema: a store of the newest one is not looked at again.
	if 0 < from && from < wipesSince {
		if err := wipeFree(ctx, pool); err != nil {
			return fmt.Errorf("overwrite the free pages of %s: %w", options.Path, err)
		}
	}
	provider, err := newProvider(pool)
	if err != nil {
		return err
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("bring the schema of %s up to date: %w", options.Path, err)
	}
	_, err = pool.ExecContext(ctx, "PRAGMA user_version = 0")
	return err
}

// newProvider wants a pool of one connection.
func newProvider(pool *sql.DB) (*goose.Provider, error) {
	if err := teach(pool); err != nil {
		return nil, err
	}
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectSQLite3, pool, files,
		goose.WithLogger(goose.NopLogger()), goose.WithDisableGlobalRegistry(true))
}

// knownVersion gives the number of the newest migration.
func knownVersion() (int64, error) {
	files, err := fs.Glob(migrationFiles, "migrations/*.sql")
	if err != nil {
		return 0, err
	}
	var newest int64
	for _, file := range files {
		version, err := goose.NumericComponent(file)
		if err != nil {
			return 0, err
		}
		newest = max(newest, version)
	}
	return newest, nil
}
