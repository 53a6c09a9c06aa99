package main

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/renameio/v2"

	"capf/internal/plain"
	"capf/legacy/source"
	"capf/runtime/capf"
	"capf/runtime/store/sqlite"
)

// Nothing is ever written into a source, and no file that is there already is replaced.

// output is a place that a command is going to write to; no path: it does not.
type output struct{ what, path string }

// data is the data directory as a place to write to.
func (a *app) dataOutput() output { return output{"the data directory", a.data} }

// keepOut refuses to write into a source, before anything is written: a copy of an old disk is evidence, and a second
// file in it would be read as the old server's. Standard output counts too, where the shell has sent it into a file.
func (a *app) keepOut(specs []source.Spec, outputs ...output) error {
	outputs = append(outputs, output{"standard output", fileOf(a.stdout)}, temporaryOutput(specs))
	for _, out := range outputs {
		if out.path == "" {
			continue
		}
		for _, spec := range specs {
			held, err := spec.Holds(out.path)
			if err != nil {
				return &capf.Error{Code: capf.CodeInvalid, Message: fmt.Sprintf("%s (%s)", out.what, plain.Line(out.path)), Err: err, Hint: "name another place"}
			}
			if held {
				return liesInSource(out, spec)
			}
		}
	}
	return nil
}

func liesInSource(out output, spec source.Spec) error {
	return &capf.Error{Code: capf.CodeInvalid, Hint: "nothing is ever written into a source: name another place",
		Message: fmt.Sprintf("%s, %s, is or lies in the source %s (%s)", out.what, plain.Line(out.path), spec.Name, plain.Line(spec.Folder))}
}

// temporaryOutput is where an archive is unpacked and a database copied to. One folder as the only source is looked at
// when it is known whether that is needed.
func temporaryOutput(specs []source.Spec) output {
	file := func(spec source.Spec) bool {
		info, err := os.Stat(spec.Folder)
		return err == nil && info.Mode().IsRegular()
	}
	if len(specs) < 2 && !slices.ContainsFunc(specs, file) {
		return output{}
	}
	return output{"the folder for temporary files ($TMPDIR)", os.TempDir()}
}

// fileOf gives the path of the file that a stream goes to; empty where it is none, or the system does not tell.
func fileOf(stream io.Writer) string {
	file, ok := stream.(*os.File)
	if !ok {
		return ""
	}
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	path, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", file.Fd()))
	if err != nil {
		return ""
	}
	return path
}

// keepOutOfMigrated does the same for the sources of earlier runs. A store that cannot be read has no sources.
func (a *app) keepOutOfMigrated(outputs ...output) (err error) {
	store, err := a.store()
	if err != nil {
		return nil
	}
	defer closeInto(&err, store)
	return a.keepOutOf(store, outputs...)
}

// keepOutOf is keepOutOfMigrated for a store that is open. A source counts for as long as it is what the run has read:
// another disk may be mounted in its place by now.
func (a *app) keepOutOf(store *sqlite.Store, outputs ...output) error {
	runs, err := store.Runs(a.ctx)
	if err != nil {
		return err
	}
	for _, run := range runs {
		for _, from := range run.Sources {
			spec := source.Spec{Name: from.Machine, Folder: from.Path}
			for _, out := range outputs {
				// What cannot be found out about a path will be said by who writes there.
				if held, err := spec.Holds(out.path); err == nil && held && isStill(spec, from.Digest) {
					return liesInSource(out, spec)
				}
			}
		}
	}
	return nil
}

// isStill tells whether a source is what a run has read.
func isStill(spec source.Spec, digest string) bool {
	opened, err := source.Open(spec)
	if err != nil {
		return false
	}
	found := opened.Digest()
	return opened.Close() == nil && hex.EncodeToString(found[:]) == digest
}

// writeNew writes a file that is whole or not there, for its owner only. What is there already is never replaced: it
// may have been edited, or signed.
func writeNew(path, what string, write func(io.Writer) error) error {
	if _, err := os.Lstat(path); err == nil {
		return &capf.Error{Code: capf.CodeRefused, Message: fmt.Sprintf("write %s: %s is there already", what, path), Hint: "name another file, or move it away"}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return &capf.Error{Code: capf.CodeUnavailable, Message: "write " + what, Err: err, Hint: "check the folder"}
	}
	file, err := renameio.NewPendingFile(path, renameio.WithTempDir(filepath.Dir(path)), renameio.WithPermissions(0o600), renameio.IgnoreUmask())
	if err != nil {
		return &capf.Error{Code: capf.CodeUnavailable, Message: "write " + what, Err: err, Hint: "check the folder"}
	}
	defer file.Cleanup()
	out := bufio.NewWriter(file)
	if err := errors.Join(write(out), out.Flush()); err != nil {
		return &capf.Error{Code: capf.CodeUnavailable, Message: "write " + what + " to " + path, Err: err, Hint: "check the disk"}
	}
	if err := file.CloseAtomicallyReplace(); err != nil {
		return &capf.Error{Code: capf.CodeUnavailable, Message: "write " + what, Err: err, Hint: "check the folder"}
	}
	return nil
}
