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
// was started by the older program, and no service starts meanwhile.
func upgrade(ctx context.Context, options Options, from, to int64) (_ *Upgrade, err error) {
	lock, err := store.TakeServeLock(filepath.Dir(options.Path))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	done := &Upgrade{From: from, To: to, Copy: fmt.Sprintf("%s.schema-%d", options.Path, from)}
	if err := copyStore(ctx, options, done.Copy, from); err != nil {
		return nil, err
	}
	if err := migrateSchema(ctx, options); err != nil {
		return nil, classify(options.Path, err)
	}
	return done, nil
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
