package dialect

import (
	"strings"
)

// Span is where in a line a value stands, without quotes and the spaces around it: bytes of the text, the first and the
// one after the last.
type Span struct{ From, To int }

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

// CutSection gives the name in a line `[name]`; false for any other line.
func (d *Dialect) CutSection(line string) (name string, ok bool) {
	line = strings.TrimSpace(line)
	if !d.Sections || len(line) < 2 || line[0] != '[' || line[len(line)-1] != ']' {
		return "", false
	}
	return strings.TrimSpace(line[1 : len(line)-1]), true
}

// CutPair cuts a line at the mark that comes first, takes the spaces off key and value and the quotes off the value,
// or says why it cannot.
func (d *Dialect) CutPair(line string) (key, value, problem string) {
	at := d.markIn(line)
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

// markIn finds the mark that comes first; -1 for none.
func (d *Dialect) markIn(line string) int {
	at := -1
	for _, mark := range d.Marks {
		if found := strings.Index(line, mark); found >= 0 && (at < 0 || found < at) {
			at = found
		}
	}
	return at
}

// PairSpan gives the place of the value that CutPair cuts from the line.
func (d *Dialect) PairSpan(line string) Span {
	at := d.markIn(line) + 1
	out := spanOf(line, at, strings.TrimSpace(line[at:]))
	if d.Quote != "" && strings.HasPrefix(line[out.From:], d.Quote) && out.To-out.From > 1 {
		out.From++
		out.To--
	}
	return out
}

// spanOf finds a text that is what is left of the line, from a place on, when its spaces are taken off.
func spanOf(line string, from int, text string) Span {
	from += strings.Index(line[from:], text)
	return Span{from, from + len(text)}
}

// CutRow adds the values of a delimited line to those given, without the spaces around them, or says why it cannot. A
// quoted value begins with the quote and holds it doubled; it ends on the line that it begins on. AtStarts cuts at the
// dialect's starts.
func (d *Dialect) CutRow(values []string, line string, separator byte) (row []string, problem string) {
	if separator == AtStarts {
		return d.cutAtStarts(values, line)
	}
	if d.Repeated {
		line = trimSeparators(line, separator)
	}
	for {
		value, _, rest, problem := d.cutValue(line, separator)
		if problem != "" {
			return values, problem
		}
		values = append(values, value)
		if rest == "" {
			return values, ""
		}
		line = rest[1:]
	}
}

// RowSpans gives the places of the values that CutRow cuts from a line, up to where it cannot.
func (d *Dialect) RowSpans(line string, separator byte) []Span {
	if separator == AtStarts {
		out, _ := d.startSpans(line)
		return out
	}
	var out []Span
	from := 0
	if d.Repeated {
		from = len(line) - len(trimSeparators(line, separator))
	}
	for {
		_, inner, rest, problem := d.cutValue(line[from:], separator)
		if problem != "" {
			return out
		}
		out = append(out, spanOf(line, from, inner))
		if rest == "" {
			return out
		}
		from = len(line) - len(rest) + 1
	}
}

// cutValue takes the first value off a line: the value, what stands for it in the line, and the rest, which begins with
// the separator unless it is empty.
func (d *Dialect) cutValue(line string, separator byte) (value, inner, rest, problem string) {
	line = trimSpaces(line, separator)
	if d.Quote == "" || !strings.HasPrefix(line, d.Quote) {
		if at := strings.IndexByte(line, separator); at >= 0 {
			value, rest = strings.TrimSpace(line[:at]), line[at:]
		} else {
			value = strings.TrimSpace(line)
		}
		return value, value, d.nextOf(rest, separator), ""
	}
	value, rest, problem = d.cutQuoted(line)
	if problem != "" {
		return "", "", "", problem
	}
	inner = line[len(d.Quote) : len(line)-len(rest)-len(d.Quote)]
	rest = trimSpaces(rest, separator)
	if rest != "" && rest[0] != separator {
		return "", "", "", "text after a quoted value"
	}
	return value, inner, d.nextOf(rest, separator), ""
}

// nextOf takes all but the last separator off a rest that begins with several, where those count as one; at the end of
// a line they end nothing.
func (d *Dialect) nextOf(rest string, separator byte) string {
	if !d.Repeated || rest == "" {
		return rest
	}
	next := trimSeparators(rest, separator)
	if next == "" {
		return ""
	}
	return rest[len(rest)-len(next)-1:]
}

// trimSeparators takes separators, and spaces and tabs among them, off the front.
func trimSeparators(line string, separator byte) string {
	for line != "" && (line[0] == separator || line[0] == ' ' || line[0] == '\t') {
		line = line[1:]
	}
	return line
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
