package phonefile

import (
	"fmt"
	"strings"

	"capf/internal/plain"
	"capf/legacy/dialect"
	"capf/legacy/text"
)

// delimited reads a record a line: under a header line, or of columns that are known beforehand.
type delimited struct {
	*values
	out  *output
	file *File

	columns   []column
	separator byte
	others    string   // what has as many columns as a line must have
	cut       []string // used again for each line
}

func (r *delimited) line(line text.Line) error {
	switch {
	case line.Problem != "":
		r.out.keep(line, "", nil)
	case strings.TrimSpace(line.Text) == "":
		r.out.pass(KindBlank, line)
	case r.dialect.IsComment(line.Text):
		r.out.pass(KindComment, line)
	case r.columns == nil:
		return r.header(line)
	default:
		r.row(line)
	}
	return nil
}

func (r *delimited) end() error {
	if r.columns == nil && r.out.kept > 0 {
		return &StructureError{r.out.position(text.Line{}), "no header line"}
	}
	return nil
}

// header takes the one separator that cuts the line into a device column and another that is known.
func (r *delimited) header(line text.Line) error {
	problem := "header line has no column for the device and another that is known"
	for _, separator := range r.dialect.Separators {
		columns, why := r.cutHeader(line.Text, separator[0])
		switch {
		case why != "":
			problem = why
		case columns != nil && r.columns != nil:
			r.columns = nil
			return r.refuse(line, fmt.Sprintf("header line can be cut by both %q and %q", r.separator, separator))
		case columns != nil:
			r.columns, r.separator = columns, separator[0]
		}
	}
	if r.columns == nil {
		return r.refuse(line, problem)
	}
	r.out.pass(KindHeader, line)
	return nil
}

// refuse ends the reading. The line counts as one that the dialect cannot read.
func (r *delimited) refuse(line text.Line, reason string) error {
	r.out.keep(line, reason, nil)
	return &StructureError{r.out.position(line), reason}
}

// cutHeader gives no columns where the separator is not the one of the header.
func (r *delimited) cutHeader(header string, separator byte) ([]column, string) {
	names, problem := r.dialect.CutRow(nil, header, separator)
	if problem != "" {
		return nil, ""
	}
	var columns []column
	by := map[dialect.Field]string{}
	for i, name := range names {
		column := numbered(i, "")
		if name != "" {
			column = newColumn(r.dialect, name)
		}
		if other, ok := by[column.field]; ok && column.field != "" {
			return nil, fmt.Sprintf("columns %q and %q both stand for %s", other, name, column.field)
		}
		by[column.field] = name
		columns = append(columns, column)
	}
	delete(by, "")
	if by[dialect.Device] == "" || len(by) < 2 {
		return nil, ""
	}
	return columns, ""
}

func (r *delimited) row(line text.Line) {
	var problem string
	r.cut, problem = r.dialect.CutRow(r.cut[:0], line.Text, r.separator)
	if problem == "" && len(r.cut) != len(r.columns) {
		problem = fmt.Sprintf("has %s, %s %d", plain.Counted(len(r.cut), "column"), r.others, len(r.columns))
	}
	if problem != "" {
		r.out.keep(line, problem, r.places(line))
		return
	}
	record := &Record{
		Position: r.out.position(line), Lines: []int{line.Number}, Offset: line.Offset, Bytes: line.Raw,
	}
	for i, column := range r.columns {
		if err := r.set(record, column, r.cut[i]); err != nil {
			r.out.misreadColumn(column.name)
			r.out.keep(line, err.Error(), r.places(line))
			return
		}
	}
	var places []Place
	if r.out.records < r.file.Trace {
		places = r.places(line)
	}
	r.out.record(record, line, places)
}

// places tell where the values of a line stand. Those of a line with another number of columns have no meaning.
func (r *delimited) places(line text.Line) []Place {
	if r.file.Trace == 0 {
		return nil
	}
	spans := r.dialect.RowSpans(line.Text, r.separator)
	places := line.Places(r.file.Encoding)
	var out []Place
	for i, span := range spans {
		column := numbered(i, "")
		if len(spans) == len(r.columns) {
			column = r.columns[i]
		}
		if span.From < span.To {
			out = append(out, column.place(line, places, span))
		}
	}
	return out
}
