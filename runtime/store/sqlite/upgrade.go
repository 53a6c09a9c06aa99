package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"capf/runtime/capf"
	"capf/runtime/store"
)

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
