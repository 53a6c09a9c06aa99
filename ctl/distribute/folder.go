package distribute

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// folderTarget is a folder of this machine, a mounted share as a rule. os.Root keeps every access below
// it, symbolic links included.
type folderTarget struct{ root *os.Root }

// OpenFolder opens a `file:///folder` target. The folder itself must be there: one that is not mounted
// must not be taken for an empty one.
func OpenFolder(_ context.Context, address *url.URL) (Target, error) {
	if err := checkFolderURL(address); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(filepath.FromSlash(address.Path))
	if err != nil {
		return nil, fmt.Errorf("target folder: %w; make it, or mount what belongs there", err)
	}
	return &folderTarget{root}, nil
}

// withRemedy says what to do about a link that leads out of the target, for which os.Root has an error of its own.
func withRemedy(err error) error {
	var inPath *fs.PathError
	if !errors.As(err, &inPath) || !strings.Contains(inPath.Err.Error(), "path escapes from parent") {
		return err
	}
	return fmt.Errorf("%w: %w", err, errLeadsOut)
}

func checkFolderURL(address *url.URL) error {
	switch {
	case address.Host != "" && address.Host != "localhost":
		return fmt.Errorf("target %s: a file URL has no host: write file:///folder with three slashes", address.Redacted())
	case !path.IsAbs(address.Path) || address.Opaque != "":
		return fmt.Errorf("target %s: the folder must be absolute: write file:///folder", address.Redacted())
	case address.RawQuery != "" || address.Fragment != "" || address.User != nil:
		return fmt.Errorf("target %s: a file URL is a folder only; write %%3F and %%23 for ? and #", address.Redacted())
	}
	return nil
}

// MakeFolder makes the folders between as well, and those that it makes readable for everyone whatever the umask.
func (t *folderTarget) MakeFolder(folder string) error {
	if info, err := t.root.Stat(folder); err == nil && info.IsDir() {
		return nil
	}
	for _, made := range withParents(folder) {
		err := t.root.Mkdir(made, 0o755)
		if errors.Is(err, fs.ErrExist) {
			continue // what is there and no folder fails with what is below
		}
		if err == nil {
			err = t.root.Chmod(made, 0o755)
		}
		if err := cmp.Or(err, t.sync(path.Dir(made))); err != nil {
			return err
		}
	}
	return nil
}

// withParents gives the folders down to this one, the outermost first.
func withParents(folder string) (all []string) {
	for ; folder != "."; folder = path.Dir(folder) {
		all = append([]string{folder}, all...)
	}
	return all
}

func (t *folderTarget) Exists(name string) (bool, error) {
	_, err := t.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (t *folderTarget) Read(name string, limit int64) ([]byte, error) {
	// Looked at before it is opened: opening a named pipe would wait.
	info, err := t.root.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("is no regular file")}
	}
	file, err := t.root.Open(name)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err := cmp.Or(err, file.Close()); err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, &fs.PathError{Op: "read", Path: name, Err: ErrTooLarge}
	}
	return data, nil
}

// Write makes the file readable for everyone whatever the umask: the TFTP server runs as someone else.
func (t *folderTarget) Write(name string, data []byte) error {
	file, err := t.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Chmod(0o644)
	}
	if err == nil {
		err = file.Sync()
	}
	return cmp.Or(err, file.Close())
}

func (t *folderTarget) Rename(from, to string) error {
	if err := t.root.Rename(from, to); err != nil {
		return err
	}
	return t.sync(path.Dir(to))
}

func (t *folderTarget) Remove(name string) error { return t.root.Remove(name) }

// Recover has nothing to do: a file is renamed in one step.
func (t *folderTarget) Recover(string) error { return nil }

// Pipelined is false: nothing is far away.
func (t *folderTarget) Pipelined() bool { return false }

// Free asks the file system of the folder.
func (t *folderTarget) Free(folder string) (free uint64, known bool, err error) {
	directory, err := t.root.Open(folder)
	if err != nil {
		return 0, false, err
	}
	var space syscall.Statfs_t
	err = syscall.Fstatfs(int(directory.Fd()), &space)
	return space.Bavail * uint64(max(space.Frsize, 0)), err == nil, cmp.Or(err, directory.Close())
}

func (t *folderTarget) Modified(name string) (time.Time, error) {
	info, err := t.root.Lstat(name)
	if err != nil {
		return time.Time{}, err
	}
	return info.ModTime(), nil
}

func (t *folderTarget) Close() error { return t.root.Close() }

// sync brings a folder's names to disk. Some shares cannot do that for folders; they say so, and there is
// nothing more to be had from them.
func (t *folderTarget) sync(folder string) error {
	directory, err := t.root.Open(folder)
	if err != nil {
		return err
	}
	err = directory.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		err = nil
	}
	return cmp.Or(err, directory.Close())
}
