package phonefile

import (
	"fmt"
	"unicode/utf8"

	"capf/legacy"
	"capf/legacy/dialect"
	"capf/legacy/shape"
	"capf/legacy/text"
)

// column is a column of a header, or the key of a line.
type column struct {
	name  string
	field dialect.Field // empty: no meaning to us
}

func newColumn(d *dialect.Dialect, name string) column {
	field, _ := d.Field(name)
	return column{name: name, field: field}
}

// numbered is a column that has no name.
func numbered(index int, field dialect.Field) column {
	return column{name: fmt.Sprintf("column %d", index+1), field: field}
}

// place tells where a value of the column stands.
func (c column) place(line text.Line, places []int, at dialect.Span) Place {
	return Place{
		Line: line.Number, From: places[at.From], To: places[at.To], Column: c.name, Field: c.field,
		Value: legacy.NewSecret(line.Text[at.From:at.To]), Secret: c.field == dialect.AuthenticationString || c.field == "" && legacy.IsSecretKey(c.name),
	}
}

// fieldError says which column of a record was not understood and why.
type fieldError struct {
	column string
	reason string
}

func (e *fieldError) Error() string { return fmt.Sprintf("column %q: %s", e.column, e.reason) }

// values reads the values of one file.
type values struct {
	dialect *dialect.Dialect
	// dates are the columns of times, by their fields: what their values tell of the order of day and month.
	dates map[dialect.Field]*dialect.Dates
	// weighing: dates are looked at for their order, and not read. weighed: that is done.
	weighing, weighed bool
	// open tells that a date was met before its column was weighed.
	open bool
}

func newValues(d *dialect.Dialect) *values {
	return &values{dialect: d, dates: map[dialect.Field]*dialect.Dates{dialect.StatusTime: {}, dialect.CompletesBy: {}}}
}

// set reads a value into the field of its column.
func (v *values) set(r *Record, column column, value string) *fieldError {
	if v.dialect.IsEmpty(value) {
		if column.field == dialect.Device {
			return &fieldError{column.name, "no device is given"}
		}
		if column.field == "" && value != "" {
			r.addExtra(column, value)
		}
		return nil
	}
	understood, want := true, ""
	switch column.field {
	case "":
		r.addExtra(column, value)
	case dialect.Device:
		r.Device, understood = shape.Device(value)
		want = "SEP and 12 hex digits, or a MAC address"
	case dialect.KeySize:
		r.KeySize, understood = shape.KeySize(value)
		want = "512, 1024 or 2048"
	case dialect.Description:
		r.Description = value
	case dialect.AuthenticationString:
		if !shape.IsAuthenticationString(value) {
			return &fieldError{column.name, "is not 4 to 10 digits"}
		}
		r.AuthenticationString = legacy.NewSecret(value)
	case dialect.StatusTime, dialect.CompletesBy:
		return v.setTime(r, column, value)
	default:
		understood, want = r.setWord(v.dialect, column.field, value), "a word of the dialect"
	}
	if !understood {
		return &fieldError{column.name, fmt.Sprintf("%s is not %s", shown(value), want)}
	}
	return nil
}

func (r *Record) addExtra(column column, value string) {
	r.Extra = append(r.Extra, Extra{Name: column.name, Value: legacy.NewSecret(value), Secret: legacy.IsSecretKey(column.name)})
}

func (r *Record) setWord(d *dialect.Dialect, field dialect.Field, value string) (understood bool) {
	switch field {
	case dialect.Operation:
		r.Operation, understood = d.Operation(value)
	case dialect.State:
		r.State, understood = d.State(value)
		r.Ended, _ = d.Ended(value)
	case dialect.AuthenticationMode:
		r.AuthenticationMode, understood = d.AuthenticationMode(value)
	}
	return understood
}

// finish settles what hangs on more than one value: an operation that is named is not looked for in the state.
func (r *Record) finish() {
	if r.Operation != "" && r.Operation != legacy.OperationNone {
		r.Ended = ""
	}
}

func (v *values) setTime(r *Record, column column, value string) *fieldError {
	dates := v.dates[column.field]
	if v.weighing {
		v.dialect.Weigh(value, dates)
		return nil
	}
	v.open = v.open || !v.weighed && v.dialect.MayBeOpen(value)
	read, err := v.dialect.Time(value, dates.Order())
	if err != nil {
		return &fieldError{column.name, shown(value) + " " + err.Error()}
	}
	if column.field == dialect.StatusTime {
		r.StatusTime = read
	} else {
		r.CompletesBy = read
	}
	return nil
}

// shown is a value as an error may have it: masked, and not longer than a line bears.
func shown(value string) string {
	const longest = 40
	return clipped(legacy.MaskText(value), longest)
}

// clipped puts a text between quotes, not more of it than the number of characters given.
func clipped(value string, longest int) string {
	if utf8.RuneCountInString(value) > longest {
		value = string([]rune(value)[:longest]) + "…"
	}
	return `"` + value + `"`
}
