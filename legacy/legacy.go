// Package legacy holds what the readers of old CAPF data have in common: where a thing was found, what was found
// about it, and the lines that are kept aside because nothing was understood of them.
//
// The data are those that CAPF 1.0(1) left on the disk of the machine it ran on: the phone record file CAPF.phone,
// the configuration CAPF.cfg, and certificates. The facts come from legacy-layout.md, the words for operations,
// states and authentication modes from cli.md. One package reads each kind: phonefile, cfgfile and certfile, on lines
// from text, by a dialect; source finds the files of one machine, machine reads all of them. Two packages read what
// others keep of phones: usecallmanager the database of those daemons, phonelist lists in CSV. shape knows fields by
// their values, and draft writes a dialect to begin with from a file that nobody has described. Nothing here writes to
// what it reads.
package legacy

//go:generate go run ./internal/sample ../testdata/legacy

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"

	"capf/internal/plain"
)

// Position is a place in a file of one machine.
type Position struct {
	// File is the path below the machine's folder, slash separated, with the letters as found.
	File string
	// Line counts from 1; 0 stands for the whole file.
	Line int
}

// String gives "file" or "file:line", the file quoted if its name could spoil a line of output.
func (p Position) String() string {
	file := p.File
	if !plain.IsPrintable(file) {
		file = strconv.Quote(file)
	}
	if p.Line == 0 {
		return file
	}
	return fmt.Sprintf("%s:%d", file, p.Line)
}

// Severity says how much a finding matters.
type Severity string

// A note can be read later; a warning is something that a person should look at before the data are used.
const (
	Note    Severity = "note"
	Warning Severity = "warning"
)

// Finding is something worth telling that a reader came across. Its reason never holds an authentication string, a
// password or key text.
type Finding struct {
	Position
	Severity Severity
	Reason   string
}

// String gives one line: place, severity, reason.
func (f Finding) String() string {
	return fmt.Sprintf("%s: %s: %s", f.Position, f.Severity, f.Reason)
}

// Findings are what a reader gathers.
type Findings []Finding

// Note adds one that can be read later.
func (f *Findings) Note(at Position, reason string) { *f = append(*f, Finding{at, Note, reason}) }

// Warn adds one that a person should look at.
func (f *Findings) Warn(at Position, reason string) { *f = append(*f, Finding{at, Warning, reason}) }

// OneLine is a format for several errors at once (multierror.Error): errors for an operator have one line.
func OneLine(errors []error) string {
	texts := make([]string, len(errors))
	for i, err := range errors {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

// Input is a file that can be read more than once: dialects are found by reading it through.
type Input struct {
	// File is the name that positions carry.
	File string
	// Open begins at the first byte. Each reader is closed by whoever opened it.
	Open func() (io.ReadCloser, error)
}

// BytesInput is an Input for content that is already in memory.
func BytesInput(file string, content []byte) Input {
	return Input{File: file, Open: func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	}}
}
