package phonefile

import (
	"fmt"
	"slices"
	"strings"

	"capf/legacy/dialect"
	"capf/legacy/shape"
	"capf/legacy/text"
)

// mostColumns is how many columns a line without a header may have: several times those of a phone record.
const mostColumns = 64

// headerless reads a record a line, of columns that a survey of the whole file has found.
type headerless struct {
	delimited
	survey *survey
}

func (r *headerless) line(line text.Line) error {
	if r.survey.problem != "" && line.Problem == "" && strings.TrimSpace(line.Text) != "" && !r.dialect.IsComment(line.Text) {
		return r.refuse(line, r.survey.problem)
	}
	return r.delimited.line(line)
}

func (r *headerless) end() error {
	if r.survey.byShape && r.out.records > 0 {
		var known []string
		for i, column := range r.columns {
			if column.field != "" {
				known = append(known, fmt.Sprintf("%d is %s", i+1, column.field))
			}
		}
		r.out.warn(r.out.position(text.Line{}), "columns are known by their shapes alone: "+strings.Join(known, ", ")+": see whether they are right")
	}
	return r.delimited.end()
}

// survey is what the lines of a file without a header line have in common.
type survey struct {
	separator byte
	columns   []column
	byShape   bool
	problem   string // why there are no columns
}

// surveyor looks at all lines before any is read. What it keeps does not grow with their number.
type surveyor struct {
	dialect *dialect.Dialect
	lines   int
	tables  []table // one a separator
	cut     []string
}

// table is what one separator makes of the lines.
type table struct {
	separator byte
	first     []string       // values of the first line
	widths    map[int]*width // by the number of columns
}

// width is what lines of one number of columns have in common.
type width struct {
	lines   int
	columns []shape.Column
}

func (f *File) newSurvey() (*survey, error) {
	looking := surveyor{dialect: f.Dialect}
	for _, separator := range f.Dialect.Separators {
		looking.tables = append(looking.tables, table{separator: separator[0], widths: map[int]*width{}})
	}
	for line, err := range text.Lines(f.input, f.Encoding) {
		if err != nil {
			return nil, err
		}
		if line.Problem != "" || strings.TrimSpace(line.Text) == "" || f.Dialect.IsComment(line.Text) {
			continue
		}
		looking.add(line.Text)
	}
	return looking.judge(), nil
}

func (s *surveyor) add(line string) {
	s.lines++
	for i := range s.tables {
		table := &s.tables[i]
		var problem string
		s.cut, problem = s.dialect.CutRow(s.cut[:0], line, table.separator)
		count := len(s.cut)
		if s.lines == 1 {
			table.first = slices.Clone(s.cut)
		}
		if problem != "" || count < 2 || count > mostColumns || s.dialect.Order != nil && count != len(s.dialect.Order) {
			continue
		}
		same := table.widths[count]
		if same == nil {
			same = &width{columns: make([]shape.Column, count)}
			table.widths[count] = same
		}
		same.lines++
		if s.dialect.Order != nil {
			continue
		}
		for i, value := range s.cut {
			same.columns[i].Add(s.dialect, value)
		}
	}
}

// judge takes the one separator by which nine lines in ten have columns that make sense.
func (s *surveyor) judge() *survey {
	var fitting []*survey
	problem := "nine lines in ten do not have the same number of columns, at least two"
	for _, table := range s.tables {
		for _, same := range table.widths {
			if same.lines*10 < s.lines*9 {
				continue
			}
			found := s.columnsOf(table, same)
			if found.problem != "" {
				problem = found.problem
				continue
			}
			fitting = append(fitting, found)
		}
	}
	switch len(fitting) {
	case 1:
		return fitting[0]
	case 0:
		return &survey{problem: problem}
	default:
		return &survey{problem: fmt.Sprintf("lines can be cut by both %q and %q", fitting[0].separator, fitting[1].separator)}
	}
}

func (s *surveyor) columnsOf(table table, same *width) *survey {
	out := &survey{separator: table.separator}
	if s.dialect.Order != nil {
		for i, field := range s.dialect.Order {
			out.columns = append(out.columns, numbered(i, field))
		}
		return out
	}
	out.byShape = true
	known := map[dialect.Field]bool{}
	var open []string
	for i, judged := range shape.Judge(same.columns) {
		out.columns = append(out.columns, numbered(i, judged.Field))
		known[judged.Field] = true
		if judged.Open != nil {
			open = append(open, fmt.Sprintf("column %d is %s", i+1, either(judged.Open)))
		}
	}
	switch {
	case open != nil:
		out.problem = "cannot be told by shape: " + strings.Join(open, ", ")
	case !known[dialect.Device] || !known[dialect.Operation] && !known[dialect.State]:
		// A record of which only time and key size were known would be taken for one that says nothing more.
		out.problem = "no columns that have the shapes of a device and of an operation or a state"
	case out.isHeader(table.first):
		out.problem = "seems to be a header line with names that are not known"
	}
	return out
}

// isHeader tells a line that has no device where all others have one.
func (s *survey) isHeader(first []string) bool {
	at := slices.IndexFunc(s.columns, func(c column) bool { return c.field == dialect.Device })
	if len(first) != len(s.columns) || first[at] == "" {
		return false
	}
	_, device := shape.Device(first[at])
	return !device
}

// either names fields of which one is meant.
func either(fields []dialect.Field) string {
	if len(fields) == 1 {
		return string(fields[0]) + " like another"
	}
	names := make([]string, len(fields))
	for i, field := range fields {
		names[i] = string(field)
	}
	return strings.Join(names, " or ")
}
