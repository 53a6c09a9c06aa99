package phonefile

import (
	"fmt"
	"slices"
	"strings"

	"capf/legacy/dialect"
	"capf/legacy/shape"
	"capf/legacy/text"
)

// A block longer than this is no record; it is kept aside in parts.
const (
	maxBlockLines = 1000
	maxBlockBytes = 1 << 20
)

// blocks reads records of one key and value a line. A blank line or the device key, which comes first in its record,
// begins a new one; or, in a file of sections, a line with a name in brackets does, which may be the device.
type blocks struct {
	*values
	out  *output
	file *File

	shaped  bool // there was a block with a device and another known key
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

func (r *blocks) ofSections() bool { return r.dialect.Form == dialect.Sections }

func (r *blocks) line(line text.Line) error {
	name, section := "", false
	if r.ofSections() && line.Problem == "" {
		name, section = r.dialect.CutSection(line.Text)
	}
	switch {
	case line.Problem != "":
		r.add(line)
		r.damage(line, line.Problem)
	case section:
		r.section(line, name)
	case strings.TrimSpace(line.Text) == "":
		if !r.ofSections() {
			r.flush()
		}
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
	if r.shaped || r.out.kept == 0 {
		return nil
	}
	missing := "no block that begins with a device and holds another known key"
	if r.ofSections() {
		missing = "no section [name] that is named by a device or holds one, and another known key"
	}
	return &StructureError{r.out.position(text.Line{}), missing}
}

// section begins a record. A name that is no device is one of the file's own.
func (r *blocks) section(line text.Line, name string) {
	r.flush()
	r.add(line)
	if _, ok := shape.Device(name); ok {
		r.pairs = append(r.pairs, pair{column{name: "section", field: dialect.Device}, name})
	}
}

func (r *blocks) pair(line text.Line) {
	key, value, problem := r.dialect.CutPair(line.Text)
	read := pair{newColumn(r.dialect, key), value}
	field := read.column.field
	if problem == "" && field == dialect.Device && !r.ofSections() {
		r.flush()
	}
	orphan := r.ofSections() && len(r.lines) == 0
	r.add(line)
	switch {
	case problem != "":
		r.damage(line, problem)
	case orphan:
		r.damage(line, "no section line above")
	case field != "" && slices.ContainsFunc(r.pairs, func(p pair) bool { return p.column.field == field }):
		r.damage(line, fmt.Sprintf("key %q: %s is given twice", read.column.name, field))
	default:
		r.pairs = append(r.pairs, read)
	}
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
		r.out.keep(line, reason, r.places(line))
	}
}

// build sends the record, or says why it is none.
func (r *blocks) build() (problem string) {
	if problem := r.missing(); problem != "" {
		return problem
	}
	r.shaped = true
	record := &Record{Position: r.out.position(r.lines[0]), Offset: r.lines[0].Offset}
	for _, line := range r.lines {
		record.Lines = append(record.Lines, line.Number)
		record.Bytes = append(record.Bytes, line.Raw...)
	}
	for _, pair := range r.pairs {
		if err := r.set(record, pair.column, pair.value); err != nil {
			r.out.misreadColumn(pair.column.name)
			return err.Error()
		}
	}
	var places []Place
	for _, line := range r.lines {
		if r.out.records < r.file.Trace {
			places = append(places, r.places(line)...)
		}
	}
	r.out.record(record, r.lines[len(r.lines)-1], places)
	return ""
}

// missing says what a block would have if it were a record.
func (r *blocks) missing() string {
	isDevice := func(p pair) bool { return p.column.field == dialect.Device }
	isOther := func(p pair) bool { return p.column.field != "" && !isDevice(p) }
	switch {
	case r.ofSections() && !slices.ContainsFunc(r.pairs, isDevice):
		return "section is not named by a device and holds none"
	case !r.ofSections() && !isDevice(r.pairs[0]):
		return "no device at the beginning of the block"
	case !slices.ContainsFunc(r.pairs, isOther):
		return "no known key besides the device"
	}
	return ""
}

// places tell where the value of a line stands, or the name of a section.
func (r *blocks) places(line text.Line) []Place {
	if r.file.Trace == 0 || line.Problem != "" {
		return nil
	}
	places := line.Places(r.file.Encoding)
	if name, ok := r.dialect.CutSection(line.Text); ok && r.ofSections() {
		from := strings.IndexByte(line.Text, '[') + 1
		at := dialect.Span{From: from + strings.Index(line.Text[from:], name)}
		at.To = at.From + len(name)
		section := column{name: "section"}
		if _, device := shape.Device(name); device {
			section.field = dialect.Device
		}
		return []Place{section.place(line, places, at)}
	}
	key, _, problem := r.dialect.CutPair(line.Text)
	if problem != "" {
		return nil
	}
	at := r.dialect.PairSpan(line.Text)
	if at.From == at.To {
		return nil
	}
	return []Place{newColumn(r.dialect, key).place(line, places, at)}
}
