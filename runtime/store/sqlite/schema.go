package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"github.com/mattn/go-sqlite3"
	"github.com/pressly/goose/v3"

	"capf/internal/filelock"
	"capf/runtime/capf"
	"capf/runtime/store"
)

// The file of a store: how it is made, known as ours, and brought to the newest schema.

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

const (
	folderMode = 0o700
	fileMode   = 0o600
)

// absolute gives a path that no change of the working folder can turn into another one.
func absolute(path string) string {
	if full, err := filepath.Abs(path); err == nil {
		return full
	}
	return path
}

// prepareFile sees that the file is there and for its owner only. SQLite gives the files that it makes
// beside it the same mode. A folder that exists keeps its mode: it may hold more than ours.
func prepareFile(options Options) error {
	if options.Create {
		if err := os.MkdirAll(filepath.Dir(options.Path), folderMode); err != nil {
			return fileError(options.Path, err)
		}
		if err := createFile(options.Path); err != nil {
			return fileError(options.Path, err)
		}
	}
	info, err := os.Stat(options.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return missing(options.Path)
	case err != nil:
		return fileError(options.Path, err)
	case !info.Mode().IsRegular():
		return notAStore(options.Path, nil)
	}
	if err := checkHeader(options.Path); err != nil {
		return err
	}
	if info.Mode().Perm()&^fileMode != 0 {
		if err := os.Chmod(options.Path, fileMode); err != nil {
			return fileError(options.Path, err)
		}
	}
	return nil
}

// header is how every SQLite file begins that is not empty.
const header = "SQLite format 3\x00"

// checkHeader refuses other files before SQLite sees them: it takes a short one for an empty database.
func checkHeader(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return fileError(path, err)
	}
	defer file.Close()
	first, err := io.ReadAll(io.LimitReader(file, int64(len(header))))
	if err != nil {
		return fileError(path, err)
	}
	if len(first) > 0 && string(first) != header {
		return notAStore(path, nil)
	}
	return nil
}

// createFile makes an empty file, unless there is one.
func createFile(path string) error {
	if err := createNew(path); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// createNew makes an empty file where there is none.
func createNew(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return err
	}
	return file.Close()
}

// removeFile removes a file that may be missing.
func removeFile(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// lockFolder lets one process at a time make or upgrade a store. The lock is on the folder itself, so
// that nothing stays behind, and ends with unlock or the process.
func lockFolder(path string) (unlock func() error, err error) {
	if unlock, err = filelock.LockFolder(filepath.Dir(path), math.MaxInt64); err != nil {
		return nil, fileError(path, err)
	}
	return unlock, nil
}

func missing(path string) error {
	return &capf.Error{Code: capf.CodeNotActivated, Message: "no store at " + path,
		Hint: "make one with `capf init`, or say with --data where it is"}
}

func notAStore(path string, cause error) error {
	return &capf.Error{Code: capf.CodeInvalid, Message: path + " is not a store of capf",
		Hint: "see that --data names the right folder, or move the file away", Err: cause}
}

func fileError(path string, err error) error {
	return &capf.Error{Code: capf.CodeUnavailable, Message: fmt.Sprintf("store %s", path),
		Hint: "see that the data directory is there, yours and has room", Err: err}
}

// Upgrade tells of a store whose schema was brought up to date.
type Upgrade struct {
	From, To int64  // numbers of the schemas
	Copy     string // path of the store as it was before: to go back, it takes the place of the store
}

// Upgraded gives what opening the store has upgraded, nil where nothing was.
func (s *Store) Upgraded() *Upgrade { return s.upgraded }

// upgrade brings an older store up to date, after a copy. While a service runs on it that is refused with CodeBusy: it
// was started by the older program, and no service starts meanwhile. An upgrade that was cut is gone on with: the copy is
// there then, and nobody could use the store since.
func upgrade(ctx context.Context, options Options, found schema, to int64) (_ *Upgrade, err error) {
	lock, err := store.TakeServeLock(filepath.Dir(options.Path))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	done := &Upgrade{From: found.version, To: to}
	if from, of := found.way(); of == to && checkCopy(ctx, copyName(options, from), from) == nil {
		done.From, done.Copy = from, copyName(options, from)
	} else {
		done.Copy = copyName(options, found.version)
		if err := copyStore(ctx, options, done.Copy, found.version); err != nil {
			return nil, err
		}
	}
	if err := migrateSchema(ctx, options, done.From, to); err != nil {
		return nil, inPart(ctx, options, done, err)
	}
	return done, nil
}

func copyName(options Options, version int64) string {
	return fmt.Sprintf("%s.schema-%d", options.Path, version)
}

// inPart says what has become of a store whose upgrade failed: each step of the schema is a transaction of its own.
func inPart(ctx context.Context, options Options, of *Upgrade, cause error) error {
	out := &capf.Error{Code: capf.CodeUnavailable, Err: classify(options.Path, cause)}
	if found, err := inspect(ctx, options); err == nil && found.version == of.From {
		out.Message = fmt.Sprintf("the store %s was not upgraded: it has schema %d as before", options.Path, of.From)
		out.Hint = "see that there is room on its disk, then run `capf init` again"
		return out
	}
	out.Message = fmt.Sprintf("the store %s is upgraded in part, between schemas %d and %d: no capf can use it as it is", options.Path, of.From, of.To)
	out.Hint = fmt.Sprintf("see that there is room on its disk, then `capf init` goes on; or give %s its name, for the older capf", of.Copy)
	return out
}

// copyStore writes a consistent copy beside the store, whole or not at all, and on the disk when it returns. A copy of
// that name is from an earlier upgrade, and what was written since it is not in it: it makes way as `.old`.
func copyStore(ctx context.Context, options Options, path string, version int64) error {
	part := path + ".part"
	err := removeFile(part)
	if err == nil {
		err = Snapshot(ctx, options.Path, part)
	}
	if err == nil {
		err = checkCopy(ctx, part, version)
	}
	if err == nil {
		err = syncFile(part)
	}
	if err == nil {
		err = replaceFile(part, path)
	}
	if err == nil {
		return nil
	}
	_ = removeFile(part) // what stands in the way of that is in the error, or does not matter
	return &capf.Error{Code: capf.CodeUnavailable, Message: fmt.Sprintf("the store %s was not upgraded: the copy of it as it is could not be made", options.Path),
		Hint: "see that its folder has room for twice the store", Err: err}
}

// checkCopy reads all of the copy: a disk can say that it has written what it has not.
func checkCopy(ctx context.Context, path string, version int64) error {
	found, err := CheckFile(ctx, path)
	if err == nil && found != version {
		err = fmt.Errorf("the copy has schema %d, not %d", found, version)
	}
	return err
}

// replaceFile puts a file in the place of another one, which stays beside as `.old`, and has the folder written.
func replaceFile(from, path string) error {
	if err := os.Rename(path, path+".old"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Rename(from, path); err != nil {
		return err
	}
	return syncFile(filepath.Dir(path))
}

// syncFile has the content of a file, or the names in a folder, written to the disk: VACUUM INTO leaves that to us.
func syncFile(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

// wipesSince is the schema since which pages that are given back are overwritten (see dsn). Before, they kept what they
// held, authentication strings that are void among it, until somebody used them again.
const wipesSince = 18

// wipeFree overwrites the pages of the file that nobody uses, all in one transaction: it gives them to a table of zeros,
// which it drops. VACUUM would do it too, and would write the whole store for that, by way of memory or of a file
// somewhere else. Where it is cut nothing has changed.
func wipeFree(ctx context.Context, pool *sql.DB) error {
	tx, err := pool.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if err := fillFree(ctx, tx); err != nil {
		return err
	}
	return tx.Commit()
}

// fillFree has each page that is free take a row that fills it.
func fillFree(ctx context.Context, tx *sql.Tx) error {
	if _, err := tx.ExecContext(ctx, `CREATE TABLE wiped (content BLOB NOT NULL)`); err != nil {
		return err
	}
	for {
		var free, size int64
		err := tx.QueryRowContext(ctx, `SELECT freelist_count, page_size FROM pragma_freelist_count, pragma_page_size`).Scan(&free, &size)
		if err != nil {
			return err
		}
		if free == 0 {
			_, err = tx.ExecContext(ctx, `DROP TABLE wiped`)
			return err
		}
		// SQLite needs 35 bytes of a page that has one row, and some for the columns.
		_, err = tx.ExecContext(ctx, `INSERT INTO wiped (content) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
			SELECT zeroblob(?2) FROM n`, free, size-64)
		if err != nil {
			return err
		}
	}
}

// teach gives the connection that brings a schema up to date what SQL cannot tell.
func teach(pool *sql.DB) error {
	connection, err := pool.Conn(context.Background())
	if err != nil {
		return err
	}
	defer connection.Close()
	return connection.Raw(func(driver any) error {
		return driver.(*sqlite3.SQLiteConn).RegisterFunc("key_identity", keyIdentity, true)
	})
}

// keyIdentity is capf.KeyIdentity of a certificate's key. Where the certificate cannot be read it stays what it was:
// nobody could show that one here, and no phone sends its key.
func keyIdentity(der []byte, before string) string {
	read, err := capf.ReadCertificate(der)
	if err != nil {
		return before
	}
	return read.KeySHA256
}
