// Package dialect reads the small TOML files that describe how an old file is written.
//
// The line formats of CAPF.phone and CAPF.cfg are not public (legacy-layout.md), so the readers never guess: what a
// dialect describes is read by it. This package holds the form (delimited or blocks), the marks, the words and the
// time formats; the readers do the cutting. Two dialects are built in. Further forms (INI sections, delimited without
// a header) are further values of Form with keys of their own.
package dialect

import (
	"slices"

	"capf/legacy"
	"capf/legacy/text"
)

// Kind is the kind of file that a dialect describes.
type Kind string

// The kinds of files.
const (
	Phones        Kind = "phones"
	Configuration Kind = "configuration"
)

// Form is the way in which lines make records.
type Form string

// The forms: a record a line under a header line, or a key and its value a line.
const (
	Delimited Form = "delimited"
	Blocks    Form = "blocks"
)

// Field is one of the fields of a phone record that have a meaning to us.
type Field string

// The fields, as a dialect's [columns] table names them.
const (
	Device               Field = "device"
	Operation            Field = "operation"
	State                Field = "state"
	AuthenticationMode   Field = "authentication-mode"
	AuthenticationString Field = "authentication-string"
	KeySize              Field = "key-size"
	StatusTime           Field = "status-time"
	CompletesBy          Field = "completes-by"
	Description          Field = "description"
)

// Dialect describes how one or both kinds of files are written. It does not change once loaded and may be shared.
type Dialect struct {
	// Name is what messages call it; Source the file it came from, empty for a built-in one.
	Name, Source string
	// Encoding of the file; empty: to be found (see text.Detect).
	Encoding text.Encoding
	Form     Form
	// Separators are those that a delimited file may use, one character each; Marks those that end a key.
	Separators, Marks []string
	// Quote begins and ends a quoted value and stands doubled for itself; empty: values are not quoted.
	Quote string
	// Comments are the texts that begin a comment line.
	Comments []string
	// Sections tells that a line [name] begins a section of a configuration.
	Sections bool
	// Zone is the IANA name of the time zone that times are in; empty: not known.
	Zone string

	kinds      []Kind
	columns    wordTable[Field]
	operations wordTable[legacy.Operation]
	states     wordTable[legacy.State]
	modes      wordTable[legacy.AuthenticationMode]
	parameters wordTable[string]
	empty      map[string]bool
	clock      clock
	digest     string
}

// Reads tells whether the dialect describes files of this kind.
func (d *Dialect) Reads(kind Kind) bool { return slices.Contains(d.kinds, kind) }

// Digest is the SHA-256, in hex, of all that the dialect was made from, so that a run can be keyed by it.
func (d *Dialect) Digest() string { return d.digest }

// String gives the name, and the file where there is one.
func (d *Dialect) String() string {
	if d.Source == "" {
		return d.Name
	}
	return d.Name + " (" + d.Source + ")"
}

// Field gives the field that a column or key means; false for one that has no meaning to us.
func (d *Dialect) Field(name string) (Field, bool) { return d.columns.find(name) }

// Operation gives the operation that a word means.
func (d *Dialect) Operation(word string) (legacy.Operation, bool) { return d.operations.find(word) }

// State gives the state that a word means.
func (d *Dialect) State(word string) (legacy.State, bool) { return d.states.find(word) }

// AuthenticationMode gives the mode that a word means.
func (d *Dialect) AuthenticationMode(word string) (legacy.AuthenticationMode, bool) {
	return d.modes.find(word)
}

// Parameter gives the parameter, by its name in cli.md, that a key of the configuration means.
func (d *Dialect) Parameter(key string) (string, bool) { return d.parameters.find(key) }

// IsEmpty tells whether a value stands for "nothing given".
func (d *Dialect) IsEmpty(value string) bool { return value == "" || d.empty[value] }

// Time reads a time by the one format that fits. Its error says why there is none, without the value.
func (d *Dialect) Time(value string) (legacy.Time, error) { return d.clock.parse(value) }
