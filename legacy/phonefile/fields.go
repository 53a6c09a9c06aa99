package phonefile

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"capf/legacy"
	"capf/legacy/dialect"
)

// column is a column of a header, or the key of a line.
type column struct {
	name   string
	field  dialect.Field // empty: no meaning to us
	secret bool
}

func newColumn(d *dialect.Dialect, name string) column {
	field, _ := d.Field(name)
	return column{name: name, field: field, secret: field == "" && legacy.IsSecretKey(name)}
}

// fieldError says which column of a record was not understood and why.
type fieldError struct {
	column string
	reason string
}

func (e *fieldError) Error() string { return fmt.Sprintf("column %q: %s", e.column, e.reason) }

// set reads a value into the field of its column.
func (r *Record) set(d *dialect.Dialect, column column, value string) *fieldError {
	if d.IsEmpty(value) {
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
		r.Device, understood = deviceName(value)
		want = "SEP and 12 hex digits, or a MAC address"
	case dialect.KeySize:
		r.KeySize, understood = keySize(value)
		want = "512, 1024 or 2048"
	case dialect.Description:
		r.Description = value
	case dialect.AuthenticationString:
		if !isAuthenticationString(value) {
			return &fieldError{column.name, "is not 4 to 10 digits"}
		}
		r.AuthenticationString = legacy.NewSecret(value)
	case dialect.StatusTime, dialect.CompletesBy:
		return r.setTime(d, column, value)
	default:
		understood, want = r.setWord(d, column.field, value), "a word of the dialect"
	}
	if !understood {
		return &fieldError{column.name, fmt.Sprintf("%s is not %s", shown(value), want)}
	}
	return nil
}

func (r *Record) addExtra(column column, value string) {
	r.Extra = append(r.Extra, Extra{Name: column.name, Value: legacy.NewSecret(value), Secret: column.secret})
}

func (r *Record) setWord(d *dialect.Dialect, field dialect.Field, value string) (understood bool) {
	switch field {
	case dialect.Operation:
		r.Operation, understood = d.Operation(value)
	case dialect.State:
		r.State, understood = d.State(value)
	case dialect.AuthenticationMode:
		r.AuthenticationMode, understood = d.AuthenticationMode(value)
	}
	return understood
}

func (r *Record) setTime(d *dialect.Dialect, column column, value string) *fieldError {
	read, err := d.Time(value)
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
	value = legacy.MaskText(value)
	if utf8.RuneCountInString(value) > longest {
		value = string([]rune(value)[:longest]) + "…"
	}
	return `"` + value + `"`
}

// deviceName gives `SEP` and 12 upper-case hex digits for that in any case, or for a MAC address: bare, or in equal
// groups of 2, 4 or 6 digits with one of `:`, `-`, `.` between them.
func deviceName(value string) (string, bool) {
	digits := value
	if len(value) == 15 && strings.EqualFold(value[:3], "SEP") {
		digits = value[3:]
	} else if at := strings.IndexAny(value, ":-."); at >= 0 {
		if digits = joinGroups(value, value[at], at); digits == "" {
			return "", false
		}
	}
	if len(digits) != 12 {
		return "", false
	}
	for i := range len(digits) {
		if !isHex(digits[i]) {
			return "", false
		}
	}
	return "SEP" + strings.ToUpper(digits), true
}

func joinGroups(value string, separator byte, size int) string {
	if size != 2 && size != 4 && size != 6 || len(value) != 12+12/size-1 {
		return ""
	}
	for i := size; i < len(value); i += size + 1 {
		if value[i] != separator {
			return ""
		}
	}
	return strings.ReplaceAll(value, string(separator), "")
}

func isHex(b byte) bool {
	return b >= '0' && b <= '9' || b >= 'A' && b <= 'F' || b >= 'a' && b <= 'f'
}

// keySize knows the sizes of 1.0(1), legacy-layout.md.
func keySize(value string) (int, bool) {
	switch value {
	case "512":
		return 512, true
	case "1024":
		return 1024, true
	case "2048":
		return 2048, true
	default:
		return 0, false
	}
}

func isAuthenticationString(value string) bool {
	return len(value) >= 4 && len(value) <= 10 &&
		!slices.ContainsFunc([]byte(value), func(b byte) bool { return b < '0' || b > '9' })
}
