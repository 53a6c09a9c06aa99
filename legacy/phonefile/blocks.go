package phonefile

import (
	"fmt"
	"slices"
	"strings"

	"capf/legacy/dialect"
	"capf/legacy/text"
)

// A block longer than this is no record; it is kept aside in parts.
const (
	maxBlockLines = 1000
	maxBlockBytes = 1 << 20
)

// blocks reads records of one key and value a line. A blank line or the device key, which comes first in its record,
// begins a new one.
type blocks struct {
	dialect *dialect.Dialect
	out     *output

	lines   []text.Line
	size    int64
	pairs   []pair
	problem string // of the block so far
}

// pair is the key and the value of one line.
type pair struct {
	column column
	value  string
}

func (r *blocks) line(line text.Line) error {
	switch {
	case line.Problem != "":
		r.add(line)
		r.damage(line, line.Problem)
	case strings.TrimSpace(line.Text) == "":
		r.flush()
		r.out.pass(KindBlank, line)
	case r.dialect.IsComment(line.Text):
		r.out.pass(KindComment, line)
	default:
		r.pair(line)
	}
	return nil
}

func (r *blocks) end() error {
	r.flush()
	if r.out.records == 0 && r.out.kept > 0 {
		return &StructureError{r.out.position(text.Line{}), "no block that begins with a device and holds another known key"}
	}
	return nil
}

func (r *blocks) pair(line text.Line) {
	key, value, problem := r.dialect.CutPair(line.Text)
	read := pair{newColumn(r.dialect, key), value}
	if problem == "" && read.column.field == dialect.Device {
		r.flush()
	}
	r.add(line)
	if problem != "" {
		r.damage(line, problem)
		return
	}
	field := read.column.field
	if field != "" && slices.ContainsFunc(r.pairs, func(p pair) bool { return p.column.field == field }) {
		r.damage(line, fmt.Sprintf("key %q: %s is given twice", read.column.name, field))
		return
	}
	r.pairs = append(r.pairs, read)
}

func (r *blocks) add(line text.Line) {
	if len(r.lines) >= maxBlockLines || r.size+line.Size > maxBlockBytes {
		r.problem = "block is too long for a record"
		r.flush()
	}
	r.lines = append(r.lines, line)
	if !line.PrivateKey {
		r.size += line.Size
	}
}

// damage makes the block one that is kept aside.
func (r *blocks) damage(line text.Line, problem string) {
	if r.problem == "" {
		r.problem = fmt.Sprintf("line %d: %s", line.Number, problem)
	}
}

// flush makes a record of the block, or keeps all of it aside.
func (r *blocks) flush() {
	if len(r.lines) == 0 {
		return
	}
	if r.problem == "" {
		r.problem = r.build()
	}
	if r.problem != "" {
		r.keepAll()
	}
	r.lines, r.pairs, r.size, r.problem = nil, r.pairs[:0], 0, ""
}

func (r *blocks) keepAll() {
	first, last := r.lines[0].Number, r.lines[len(r.lines)-1].Number
	reason := r.problem
	if last > first {
		reason = fmt.Sprintf("record of lines %d to %d: %s", first, last, reason)
	}
	for _, line := range r.lines {
		r.out.keep(line, reason)
	}
}

// build sends the record, or says why it is none.
func (r *blocks) build() (problem string) {
	if r.pairs[0].column.field != dialect.Device {
		return "no device at the beginning of the block"
	}
	record := &Record{Position: r.out.position(r.lines[0]), Offset: r.lines[0].Offset}
	for _, line := range r.lines {
		record.Lines = append(record.Lines, line.Number)
		record.Bytes = append(record.Bytes, line.Raw...)
	}
	known := 0
	for _, pair := range r.pairs {
		if err := record.set(r.dialect, pair.column, pair.value); err != nil {
			r.out.misreadColumn(pair.column.name)
			return err.Error()
		}
		if pair.column.field != "" {
			known++
		}
	}
	if known < 2 {
		return "no known key besides the device"
	}
	r.out.record(record, r.lines[len(r.lines)-1])
	return ""
}
