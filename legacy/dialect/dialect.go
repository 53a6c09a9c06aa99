// Package dialect reads the small TOML files that describe how an old file is written.
//
// The line formats of CAPF.phone and CAPF.cfg are not public (legacy-layout.md), so the readers never guess: what a
// dialect describes is read by it. This package holds the form, the marks, the words and the time formats, and cuts
// lines into values; the readers make records of them. A dialect is built in for each form.
package dialect

import (
	"slices"
	"time"

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

// The forms: a record a line, with or without a header line above them; or a key and its value a line, the records
// begun by their devices or by section lines.
const (
	Delimited  Form = "delimited"
	Headerless Form = "headerless"
	Blocks     Form = "blocks"
	Sections   Form = "sections"
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

// Fields are all of them, in the order in which records are shown.
var Fields = []Field{
	Device, Operation, State, AuthenticationMode, AuthenticationString, KeySize, StatusTime, CompletesBy, Description,
}

// Dialect describes how one or both kinds of files are written. It does not change once loaded and may be shared.
type Dialect struct {
	// Name is what messages call it; Source the file it came from, empty for a built-in one.
	Name, Source string
	// Encoding of the file; empty: to be found (see text.Find).
	Encoding text.Encoding
	Form     Form
	// Separators are those that a delimited file may use, one character each; Marks those that end a key.
	Separators, Marks []string
	// Repeated tells that separators in a row count as one, and none before the first value or behind the last.
	Repeated bool
	// Starts are the columns of a screen, from 1, at which the values of a file of padded columns begin; Separators is
	// AtStarts then. None: values are cut by separators.
	Starts []int
	// Quote begins and ends a quoted value and stands doubled for itself; empty: values are not quoted.
	Quote string
	// Comments are the texts that begin a comment line.
	Comments []string
	// Sections tells that a line [name] begins a section of a configuration.
	Sections bool
	// Order are the fields of the columns of a file without a header line, empty for those without a meaning. None: the
	// columns are known by their shapes.
	Order []Field
	// Zone is the IANA name of the time zone that times are in; empty: not known.
	Zone string

	kinds      []Kind
	columns    wordTable[Field]
	operations wordTable[legacy.Operation]
	states     wordTable[legacy.State]
	modes      wordTable[legacy.AuthenticationMode]
	endings    wordTable[legacy.Operation]
	parameters wordTable[string]
	words      map[Field][]Words
	empty      map[string]bool
	clock      clock
	digest     string
}

// Reads tells whether the dialect describes files of this kind.
func (d *Dialect) Reads(kind Kind) bool { return slices.Contains(d.kinds, kind) }

// Named gives the encoding that all dialects for a kind of file name; empty if they do not, so that it is to be found.
func Named(kind Kind, among []*Dialect) text.Encoding {
	var encoding text.Encoding
	for i, d := range among {
		if d.Reads(kind) && (d.Encoding == "" || i > 0 && encoding != "" && d.Encoding != encoding) {
			return ""
		}
		if d.Reads(kind) {
			encoding = d.Encoding
		}
	}
	return encoding
}

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

// Ended gives the operation that a word for a state names besides, as "Delete Failed" does (B6).
func (d *Dialect) Ended(word string) (legacy.Operation, bool) { return d.endings.find(word) }

// AuthenticationMode gives the mode that a word means.
func (d *Dialect) AuthenticationMode(word string) (legacy.AuthenticationMode, bool) {
	return d.modes.find(word)
}

// Parameter gives the parameter, by its name in cli.md, that a key of the configuration means.
func (d *Dialect) Parameter(key string) (string, bool) { return d.parameters.find(key) }

// IsEmpty tells whether a value stands for "nothing given".
func (d *Dialect) IsEmpty(value string) bool { return value == "" || d.empty[value] }

// Time reads a time by the one format that fits, in a column whose dates have the order given. Its error says why there
// is none, without the value.
func (d *Dialect) Time(value string, order DateOrder) (legacy.Time, error) {
	return d.clock.take(value, order)
}

// IsTime tells whether a value fits a format, whichever.
func (d *Dialect) IsTime(value string) bool { return d.clock.parse(value, "").found }

// TimeFormats are those of the dialect that a value fits.
func (d *Dialect) TimeFormats(value string) []string {
	var out []string
	for _, layout := range d.clock.layouts {
		if parsed, err := time.Parse(layout.text, value); err == nil && parsed.Year() > 0 {
			out = append(out, layout.text)
		}
	}
	return out
}

// Formats are those of times, as the dialect has them.
func (d *Dialect) Formats() []string {
	var out []string
	for _, layout := range d.clock.layouts {
		out = append(out, layout.text)
	}
	return out
}

// Words gives the words of a table for a field's values, in the order of the table; nil for a field without a table.
func (d *Dialect) Words(field Field) []Words { return d.words[field] }
