package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"slices"

	"capf/internal/plain"
	"capf/legacy/source"
	"capf/runtime/capf"
	"capf/runtime/store/sqlite"
)

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

// keepOutOfMigrated does the same for the sources of earlier runs, for as long as they are what the runs have read:
// another disk may be mounted in their place by now. A store that cannot be read has no sources.
func (a *app) keepOutOfMigrated(outputs ...output) error {
	store, err := a.store()
	if err != nil {
		return nil
	}
	runs, err := store.Runs(a.ctx)
	if closed := store.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return keepOutOfRuns(runs, outputs)
}

// keepOutOf is keepOutOfMigrated for a store that is open.
func (a *app) keepOutOf(store *sqlite.Store, outputs ...output) error {
	runs, err := store.Runs(a.ctx)
	if err != nil {
		return err
	}
	return keepOutOfRuns(runs, outputs)
}

func keepOutOfRuns(runs []capf.MigrationRun, outputs []output) error {
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
