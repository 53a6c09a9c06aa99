package phonelist

import (
	"errors"
	"fmt"
	"strings"

	"capf/internal/plain"
	"capf/legacy"
	"capf/legacy/phonefile"
	"capf/legacy/text"
)

// maxLines is how many lines one record may go over, with line ends in its quoted values.
const maxLines = 20

var errEnd = errors.New("end of the list")

// lineQueue hands out lines and takes them back.
type lineQueue struct {
	next  func() (text.Line, error, bool)
	ahead []text.Line
}

// peek gives a line further on without taking it; errEnd where there is none.
func (q *lineQueue) peek(index int) (text.Line, error) {
	for len(q.ahead) <= index {
		line, err, ok := q.next()
		if !ok {
			return line, errEnd
		}
		if err != nil {
			return line, err
		}
		q.ahead = append(q.ahead, line)
	}
	return q.ahead[index], nil
}

func (q *lineQueue) take(count int) []text.Line {
	out := q.ahead[:count:count]
	q.ahead = q.ahead[count:]
	return out
}

// reader makes items of lines.
type reader struct {
	file    *File
	lines   *lineQueue
	yield   func(phonefile.Item, error) bool
	stopped bool
}

func (r *reader) send(item phonefile.Item) {
	if !r.stopped {
		r.stopped = !r.yield(item, nil)
	}
}

func (r *reader) position(line text.Line) legacy.Position {
	return legacy.Position{File: r.file.input.File, Line: line.Number}
}

// next deals with the next line, or with the lines of the next record.
func (r *reader) next() error {
	line, err := r.lines.peek(0)
	if err != nil {
		return err
	}
	switch {
	case line.Problem != "":
		r.keep(r.lines.take(1), line.Problem)
	case line.Number <= r.file.header:
		kind := phonefile.KindBlank
		if line.Number == r.file.header {
			kind = phonefile.KindHeader
		}
		r.pass(kind)
	case strings.TrimSpace(line.Text) == "":
		r.pass(phonefile.KindBlank)
	default:
		return r.record()
	}
	return nil
}

func (r *reader) pass(kind phonefile.Kind) {
	r.send(phonefile.Item{Kind: kind, Position: r.position(r.lines.take(1)[0])})
}

// record reads a record. Where a quote is not closed in good time, or what it goes over is no record, its first line is
// kept aside alone, so that it does not take others with it.
func (r *reader) record() error {
	content, problem := "", "a quote is not closed"
	for count := 1; count <= maxLines; count++ {
		line, err := r.lines.peek(count - 1)
		if errors.Is(err, errEnd) || err == nil && line.Problem != "" {
			break
		}
		if err != nil {
			return err
		}
		if count > 1 {
			content += "\n"
		}
		values, open, wrong := cut(content+line.Text, r.file.separator)
		if content += line.Text; open {
			continue
		}
		record, wrong := r.made(r.lines.ahead[:count], values, wrong)
		if wrong == "" {
			r.sendRecord(record, r.lines.take(count))
			return nil
		}
		if problem = wrong; count > 1 {
			problem = fmt.Sprintf("a quote goes on to line %d: %s", line.Number, wrong)
		}
		break
	}
	r.keep(r.lines.take(1), problem)
	return nil
}

// made makes a record of lines, or says why they are none.
func (r *reader) made(lines []text.Line, values []string, problem string) (*phonefile.Record, string) {
	columns := r.file.columns
	for len(values) > len(columns) && values[len(values)-1] == "" {
		values = values[:len(values)-1] // spreadsheets fill lines up
	}
	if problem == "" && len(values) != len(columns) {
		problem = fmt.Sprintf("has %s, the header has %d", plain.Counted(len(values), "column"), len(columns))
	}
	if problem == "" {
		problem = contradiction(columns, values)
	}
	if problem != "" {
		return nil, problem
	}
	record := &phonefile.Record{Position: r.position(lines[0]), Offset: lines[0].Offset}
	for _, line := range lines {
		record.Lines = append(record.Lines, line.Number)
		record.Bytes = append(record.Bytes, line.Raw...)
	}
	return record, fill(record, columns, values)
}

func (r *reader) sendRecord(record *phonefile.Record, lines []text.Line) {
	r.send(phonefile.Item{Kind: phonefile.KindRecord, Position: record.Position, Record: record})
	if last := lines[len(lines)-1]; last.Torn {
		r.warn(last, "the file ends without a line end: see whether the last record is whole")
	}
}

// keep puts lines aside. Private key text comes with a warning, since somebody has to act.
func (r *reader) keep(lines []text.Line, reason string) {
	for _, line := range lines {
		why := reason
		if line.Torn {
			why += " (the file ends within the line)"
		}
		kept := line.Kept(r.file.input.File, why)
		r.send(phonefile.Item{Kind: phonefile.KindKept, Position: kept.Position, Kept: &kept})
		if line.PrivateKey {
			r.warn(line, legacy.PrivateKeyAdvice)
		}
	}
}

func (r *reader) warn(line text.Line, reason string) {
	finding := legacy.Finding{Position: r.position(line), Severity: legacy.Warning, Reason: reason}
	r.send(phonefile.Item{Kind: phonefile.KindFinding, Position: finding.Position, Finding: &finding})
}

// cut gives the values of a record (RFC 4180). A quote is one only at the beginning of a value; open tells that the
// last value goes on in the next line.
func cut(content string, separator byte) (values []string, open bool, problem string) {
	for {
		value := content
		if strings.HasPrefix(strings.TrimLeft(content, " "), `"`) {
			var closed bool
			value, content, closed = cutQuoted(strings.TrimLeft(content, " ")[1:])
			if !closed {
				return values, true, ""
			}
			content = strings.TrimLeft(content, " ")
			if content != "" && content[0] != separator {
				return values, false, "text after a quoted value"
			}
		} else if at := strings.IndexByte(content, separator); at >= 0 {
			value, content = content[:at], content[at:]
		} else {
			content = ""
		}
		values = append(values, strings.TrimSpace(value))
		if content == "" {
			return values, false, ""
		}
		content = content[1:]
	}
}

func cutQuoted(content string) (value, rest string, closed bool) {
	var out strings.Builder
	for {
		inner, after, found := strings.Cut(content, `"`)
		if !found {
			return "", "", false
		}
		out.WriteString(inner)
		if !strings.HasPrefix(after, `"`) {
			return out.String(), after, true
		}
		out.WriteByte('"')
		content = after[1:]
	}
}
