package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"capf/runtime/capf"
)

// Snapshot writes the store at a path, as it is at one moment, into a new file: compact, without what was
// deleted, and without a WAL beside it. It takes no lock that a writer waits for. A store of an older schema is
// copied as it is; what is no store, or one of a newer schema, is refused as by CheckFile, and so is a file that
// exists. Where it fails the file is to be thrown away.
func Snapshot(ctx context.Context, path, into string) (err error) {
	options := Options{Path: path, BusyTimeout: defaultBusyTimeout}
	if err := prepareFile(options); err != nil {
		return err
	}
	if _, err := schemaOf(ctx, options); err != nil {
		return err
	}
	pool := connect(options, readWrite, 1)
	defer func() { err = errors.Join(err, pool.Close()) }()
	if err := createNew(into); err != nil {
		return fileError(into, err)
	}
	if _, err := pool.ExecContext(ctx, `VACUUM INTO ?1`, into); err != nil {
		return classify(path, fmt.Errorf("copy the store to %s: %w", into, err))
	}
	return nil
}

// CheckFile gives the schema of a store that nobody has open, after SQLite has found all of its pages sound. No
// store is CodeNotActivated, something else CodeInvalid, a schema newer than this program CodeRefused, damage
// CodeUnavailable. An older schema is no error. Nothing in the file or beside it is changed.
func CheckFile(ctx context.Context, path string) (schema int64, err error) {
	options := Options{Path: path, BusyTimeout: defaultBusyTimeout}
	if err := prepareFile(options); err != nil {
		return 0, err
	}
	if schema, err = schemaOf(ctx, options); err != nil {
		return 0, err
	}
	pool := connect(options, inspecting, 1)
	defer func() { err = errors.Join(err, pool.Close()) }()
	return schema, checkPages(ctx, pool, path)
}

func checkPages(ctx context.Context, pool *sql.DB, path string) error {
	var verdict string
	if err := pool.QueryRowContext(ctx, `PRAGMA quick_check(1)`).Scan(&verdict); err != nil {
		return classify(path, err)
	}
	if verdict != "ok" {
		return &capf.Error{Code: capf.CodeUnavailable, Message: fmt.Sprintf("the store %s is damaged", path),
			Hint: "keep a copy of it and restore a backup", Err: errors.New(verdict)}
	}
	return nil
}

// KnownSchema gives the schema that this program works with.
func KnownSchema() (int64, error) { return knownVersion() }

// schemaOf gives the schema of a file that is a store of this program or of an older one.
func schemaOf(ctx context.Context, options Options) (int64, error) {
	found, err := inspect(ctx, options)
	if err != nil {
		return 0, classify(options.Path, err)
	}
	known, err := knownVersion()
	if err != nil {
		return 0, err
	}
	switch {
	case !found.empty && found.application != applicationID:
		return 0, notAStore(options.Path, nil)
	case !found.isStore():
		return 0, missing(options.Path)
	case found.version > known:
		return 0, newerSchema(options.Path, found.version, known)
	}
	return found.version, nil
}

func newerSchema(path string, found, known int64) error {
	return &capf.Error{Code: capf.CodeRefused, Hint: "use the capf that wrote it, or a newer one",
		Message: fmt.Sprintf("the store %s has schema %d; this program knows schemas up to %d", path, found, known)}
}
