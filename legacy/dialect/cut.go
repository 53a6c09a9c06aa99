package dialect

import (
	"strings"
)

// IsComment tells whether a line, without the spaces before it, begins with a comment mark.
func (d *Dialect) IsComment(line string) bool {
	line = strings.TrimLeft(line, " \t")
	for _, mark := range d.Comments {
		if strings.HasPrefix(line, mark) {
			return true
		}
	}
	return false
}

// CutPair cuts a line at the mark that comes first, takes the spaces off key and value and the quotes off the value,
// or says why it cannot.
func (d *Dialect) CutPair(line string) (key, value, problem string) {
	at := -1
	for _, mark := range d.Marks {
		if found := strings.Index(line, mark); found >= 0 && (at < 0 || found < at) {
			at = found
		}
	}
	if at < 0 {
		return "", "", "no key and value"
	}
	key, value = strings.TrimSpace(line[:at]), strings.TrimSpace(line[at+1:])
	if key == "" {
		return "", "", "no key before the mark"
	}
	if d.Quote == "" || !strings.HasPrefix(value, d.Quote) {
		return key, value, ""
	}
	value, rest, problem := d.cutQuoted(value)
	if problem == "" && rest != "" {
		problem = "text after the quote"
	}
	return key, value, problem
}

// CutRow adds the values of a delimited line to those given, without the spaces around them, or says why it cannot. A
// quoted value begins with the quote and holds it doubled; it ends on the line that it begins on.
func (d *Dialect) CutRow(values []string, line string, separator byte) (row []string, problem string) {
	for {
		line = trimSpaces(line, separator)
		value, rest := "", ""
		if d.Quote != "" && strings.HasPrefix(line, d.Quote) {
			value, rest, problem = d.cutQuoted(line)
			rest = trimSpaces(rest, separator)
			if problem == "" && rest != "" && rest[0] != separator {
				problem = "text after a quoted value"
			}
			if problem != "" {
				return values, problem
			}
		} else if at := strings.IndexByte(line, separator); at >= 0 {
			value, rest = strings.TrimSpace(line[:at]), line[at:]
		} else {
			value = strings.TrimSpace(line)
		}
		values = append(values, value)
		if rest == "" {
			return values, ""
		}
		line = rest[1:]
	}
}

// trimSpaces takes spaces and tabs off the front, but not the separator.
func trimSpaces(line string, separator byte) string {
	for line != "" && (line[0] == ' ' || line[0] == '\t') && line[0] != separator {
		line = line[1:]
	}
	return line
}

// cutQuoted takes a quoted value off the front of a line.
func (d *Dialect) cutQuoted(line string) (value, rest, problem string) {
	var out strings.Builder
	for rest = line[len(d.Quote):]; ; {
		inner, after, found := strings.Cut(rest, d.Quote)
		if !found {
			return "", "", "a quote is not closed"
		}
		out.WriteString(inner)
		if !strings.HasPrefix(after, d.Quote) {
			return out.String(), after, ""
		}
		out.WriteString(d.Quote)
		rest = after[len(d.Quote):]
	}
}
