// Package phonefile reads CAPF.phone, the phone record file of CAPF 1.0(1), by a dialect.
//
// Its line format is not public (legacy-layout.md): the dialect says how lines make records and what the words mean,
// and every value must have the shape of its field besides. A record that is not understood in every field is kept
// aside whole. Nothing is guessed: what the file does not say stays empty.
package phonefile

import (
	"fmt"

	"capf/legacy"
	"capf/legacy/dialect"
)

// Record is what the file says about one phone. Empty fields were not given.
type Record struct {
	// Position is where the record begins.
	legacy.Position
	// Lines are the numbers of all its lines; Offset is the place of its first byte.
	Lines  []int
	Offset int64
	// Bytes are the original bytes of its lines. They may hold an authentication string.
	Bytes []byte

	// Device is `SEP` and 12 hex digits in upper case.
	Device               string
	Operation            legacy.Operation
	State                legacy.State
	Ended                legacy.Operation // that has ended, where the reader knows it from the word for the state
	AuthenticationMode   legacy.AuthenticationMode
	AuthenticationString legacy.Secret // 4 to 10 digits
	KeySize              int           // bits: 512, 1024, 2048 (3072, 4096 from other sources); 0: not given
	Curve                string        // p256, p384, p521: the key is an EC key; only from other sources
	StatusTime           legacy.Time
	CompletesBy          legacy.Time
	Description          string
	// Extra are the columns without a meaning to us, in the order of the file, where not empty.
	Extra []Extra
}

// Extra is a value that has no field.
type Extra struct {
	Name  string
	Value legacy.Secret
	// Secret tells that the value must not be shown, judging by the name.
	Secret bool
}

// String gives name and masked value.
func (e Extra) String() string {
	if e.Secret {
		return e.Name + "=" + e.Value.String()
	}
	return e.Name + "=" + legacy.MaskText(e.Value.Reveal())
}

// GoString is String.
func (e Extra) GoString() string { return e.String() }

// String gives place, device and status, without the authentication string and the bytes.
func (r Record) String() string {
	return fmt.Sprintf("%s: %s %s %s %s", r.Position, r.Device, r.Operation, r.State, r.StatusTime)
}

// GoString is String, so that %#v shows no bytes either.
func (r Record) GoString() string { return r.String() }

// Kind says what an Item is.
type Kind string

// The kinds of items. A header, comment or blank line carries no data; it is told so that every line is accounted for.
const (
	KindRecord  Kind = "record"
	KindKept    Kind = "kept"
	KindFinding Kind = "finding"
	KindHeader  Kind = "header"
	KindComment Kind = "comment"
	KindBlank   Kind = "blank"
)

// Item is one thing that reading gives: by its kind, the record, the kept line or the finding is set.
type Item struct {
	Kind     Kind
	Position legacy.Position
	Record   *Record
	Kept     *legacy.KeptLine
	Finding  *legacy.Finding
	// Places say which field came from which bytes of the record or of the kept line; only where File.Trace asks for it,
	// and of a kept line as far as it could be cut. Values that are empty are left out.
	Places []Place
}

// Place is one value, where it stands and what it was taken for.
type Place struct {
	Line int
	// From and To are the bytes of the line as they are in the file: the first, counted from 0, and the one after the last.
	From, To int
	// Column is what the file calls it, or its number.
	Column string
	// Field is what it means; empty: nothing to us, or it is not known.
	Field dialect.Field
	Value legacy.Secret
	// Secret tells that the value must not be shown, judging by its field or the column's name.
	Secret bool
}

// Shown gives the value for a person to look at, masked.
func (p Place) Shown() string {
	if p.Secret {
		return p.Value.String()
	}
	return legacy.MaskText(p.Value.Reveal())
}

// String gives the place, the column and the shown value.
func (p Place) String() string {
	return fmt.Sprintf("line %d bytes %d-%d: %s=%s", p.Line, p.From+1, p.To, p.Column, p.Shown())
}

// GoString is String.
func (p Place) GoString() string { return p.String() }
