// Package shape knows the fields of a phone record by the shape of their values, as legacy-layout.md has it: a device
// name, an authentication string, a key size, an operation, a state, a time. It judges whole columns, since one value
// may have several shapes: 1024 is a key size and could be an authentication string.
package shape

import (
	"slices"
	"strings"

	"capf/legacy"
	"capf/legacy/dialect"
)

// Device gives `SEP` and 12 upper-case hex digits for that in any case, or for a MAC address.
func Device(value string) (string, bool) {
	name, ok := legacy.PhoneName(value)
	return name, ok && (len(value) == len(name) || value[0]|0x20 != 's') // behind SEP there are digits alone
}

// KeySize knows the sizes of 1.0(1) in bits, legacy-layout.md.
func KeySize(value string) (int, bool) {
	size, ok := map[string]int{"512": 512, "1024": 1024, "2048": 2048}[value]
	return size, ok
}

// IsAuthenticationString tells 4 to 10 digits.
func IsAuthenticationString(value string) bool {
	return len(value) >= 4 && len(value) <= 10 && strings.Trim(value, "0123456789") == ""
}

// fields are those that have a shape. A time is one shape: see Judge.
var fields = [...]dialect.Field{
	dialect.Device, dialect.Operation, dialect.State, dialect.AuthenticationMode, dialect.AuthenticationString,
	dialect.KeySize, dialect.StatusTime,
}

// mask has a bit for each of the fields.
type mask uint8

func maskOf(d *dialect.Dialect, value string) (out mask) {
	_, device := Device(value)
	_, operation := d.Operation(value)
	_, state := d.State(value)
	_, mode := d.AuthenticationMode(value)
	_, size := KeySize(value)
	for bit, fits := range [len(fields)]bool{device, operation, state, mode, IsAuthenticationString(value), size, d.IsTime(value)} {
		if fits {
			out |= 1 << bit
		}
	}
	return out
}

// Column gathers what the values of one column look like. Its zero value is ready for use; it stays small however many
// values there are.
type Column struct {
	// Filled is how many values were not empty.
	Filled int
	// Dates tell the order of day and month.
	Dates dialect.Dates

	fits [len(fields)]int
}

// Add looks at a value, which may be empty.
func (c *Column) Add(d *dialect.Dialect, value string) {
	if d.IsEmpty(value) {
		return
	}
	c.Filled++
	seen := maskOf(d, value)
	for bit := range fields {
		if seen&(1<<bit) != 0 {
			c.fits[bit]++
		}
	}
	if seen&(1<<6) != 0 {
		d.Weigh(value, &c.Dates)
	}
}

// Fits is how many of the values have the shape of a field.
func (c *Column) Fits(field dialect.Field) int {
	if at := slices.Index(fields[:], field); at >= 0 {
		return c.fits[at]
	}
	return 0
}

// Candidates are the fields whose shape nine in ten of the values have.
func (c *Column) Candidates() []dialect.Field {
	var out []dialect.Field
	for bit, field := range fields {
		if c.Filled > 0 && c.fits[bit]*10 >= c.Filled*9 {
			out = append(out, field)
		}
	}
	return out
}

// Judged is what a column is.
type Judged struct {
	// Field is the one whose shape the column has; empty if it has none, or more than one.
	Field dialect.Field
	// Open are the fields that remain where they are more than one, or where other columns have the same shape too.
	Open []dialect.Field
}

// Judge decides between the candidates of all columns of a file: a field that one column must be is no candidate for
// another. One column of times is the time of the status; of several, none can be told.
func Judge(columns []Column) []Judged {
	left := make([][]dialect.Field, len(columns))
	for i := range columns {
		left[i] = columns[i].Candidates()
	}
	for settled := map[dialect.Field]bool{}; ; {
		at := slices.IndexFunc(left, func(some []dialect.Field) bool { return len(some) == 1 && !settled[some[0]] })
		if at < 0 {
			break
		}
		field := left[at][0]
		settled[field] = true
		for i, some := range left {
			if len(some) > 1 {
				left[i] = slices.DeleteFunc(some, func(f dialect.Field) bool { return f == field })
			}
		}
	}
	out := make([]Judged, len(columns))
	for i, some := range left {
		out[i] = judge(left, some)
	}
	return out
}

func judge(left [][]dialect.Field, some []dialect.Field) Judged {
	if len(some) == 0 {
		return Judged{}
	}
	same := 0
	for _, other := range left {
		if slices.Equal(other, some) {
			same++
		}
	}
	switch {
	case len(some) == 1 && same == 1:
		return Judged{Field: some[0]}
	case some[0] == dialect.StatusTime:
		return Judged{Open: []dialect.Field{dialect.StatusTime, dialect.CompletesBy}}
	default:
		return Judged{Open: some}
	}
}
