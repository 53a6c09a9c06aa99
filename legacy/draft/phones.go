package draft

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"capf/legacy"
	"capf/legacy/dialect"
	"capf/legacy/shape"
)

// mostKeys is how many columns or keys are looked at; a phone record has a dozen.
const mostKeys = 100

// column is a column, or all values of one key.
type column struct {
	name  string
	shape shape.Column
	words tally // values as they are
	times times

	field dialect.Field
	open  []dialect.Field
	why   string
}

// phones looks at all values and prints what the columns mean.
func (d *draft) phones() error {
	columns, err := d.columns()
	if err != nil {
		return err
	}
	if len(columns) == 0 {
		return errors.New(d.input.File + ": has no line with values to make a dialect of")
	}
	d.judge(columns)
	d.printForm()
	d.print("empty = [%s]", list([]string{"-", "n/a"}))
	if d.layout.form == dialect.Headerless {
		d.printOrder(columns)
	}
	d.printTimes(columns)
	d.print("# time-zone = %s  # that of the machine's clock; without it times are compared within a machine only", quoted("Europe/Berlin"))
	if d.layout.form != dialect.Headerless {
		d.printColumns(columns)
	}
	for _, field := range []dialect.Field{dialect.Operation, dialect.State, dialect.AuthenticationMode} {
		for _, column := range columns {
			if column.field == field {
				d.printWords(column)
			}
		}
	}
	return nil
}

// columns gathers the values of each column or key, in the order of the file.
func (d *draft) columns() ([]*column, error) {
	var out []*column
	byName := map[string]*column{}
	add := func(name, value string) {
		key := legacy.Normalise(name)
		if byName[key] == nil {
			if len(out) == mostKeys {
				return
			}
			byName[key] = &column{name: name}
			out = append(out, byName[key])
		}
		byName[key].add(d.words, value)
	}
	rows := 0
	for line, err := range d.lines() {
		if err != nil {
			return nil, err
		}
		if d.layout.separator == 0 {
			d.addLine(line.Text, add)
			continue
		}
		row, problem := d.layout.by.CutRow(nil, line.Text, d.layout.separator)
		if problem != "" || len(row) != d.layout.width {
			continue
		}
		if rows++; rows == 1 && d.layout.header != nil {
			continue
		}
		for i, value := range row {
			name := fmt.Sprintf("column %d", i+1)
			if d.layout.header != nil && legacy.Normalise(d.layout.header[i]) != "" {
				name = d.layout.header[i]
			}
			add(name, value)
		}
	}
	return out, nil
}

// addLine takes a key with its value, or a section whose name is a device, which needs no column.
func (d *draft) addLine(line string, add func(name, value string)) {
	if _, section := d.layout.by.CutSection(line); section || d.layout.by.IsComment(line) {
		return
	}
	if key, value, problem := d.layout.by.CutPair(line); problem == "" && legacy.Normalise(key) != "" {
		add(key, value)
	}
}

func (c *column) add(by *dialect.Dialect, value string) {
	if by.IsEmpty(value) {
		return
	}
	c.shape.Add(by, value)
	c.words.add(value)
	c.times.add(by, value)
}

const (
	whyName = "by its name"
	// whyHalf goes with what times.half says.
	whyHalf = "a time of the status or of completion is both in one column, so no field can take them"
)

func isTime(field dialect.Field) bool {
	return field == dialect.StatusTime || field == dialect.CompletesBy
}

// judge decides what each column seems to be: by its name, else by its shape, else by the greater part of its values.
func (d *draft) judge(columns []*column) {
	taken := map[dialect.Field]bool{}
	shapes := make([]shape.Column, len(columns))
	for i, c := range columns {
		shapes[i] = c.shape
		// Blocks may call a field by this name in one record and by that in another; columns may not.
		field, known := d.words.Field(c.name)
		if known = known && !(isTime(field) && c.times.half() != ""); known && d.layout.form != dialect.Headerless && (!taken[field] || d.layout.separator == 0) {
			c.field, c.why = field, whyName
			taken[field] = true
		}
	}
	for i, judged := range shape.Judge(shapes) {
		c := columns[i]
		if c.field != "" || d.layout.fits && d.layout.form != dialect.Headerless {
			continue // where the names are known, the others have no meaning
		}
		left := slices.DeleteFunc(append(judged.Open, judged.Field), func(f dialect.Field) bool { return f == "" || taken[f] })
		sure := len(left) == 1 && (judged.Field != "" || len(judged.Open) > 1)
		if named := d.layout.form != dialect.Headerless; sure && named && left[0] == dialect.AuthenticationString {
			sure = false // a number of another kind would become a string of phones
		}
		switch {
		case sure:
			c.field, c.why = left[0], "by the shape of its values"
			taken[c.field] = true
		case len(left) > 0:
			c.open = left
		}
	}
	for _, c := range columns {
		for _, field := range []dialect.Field{dialect.Operation, dialect.State, dialect.AuthenticationMode, dialect.Device} {
			if c.field == "" && c.open == nil && !taken[field] && c.shape.Fits(field)*2 >= c.shape.Filled && c.shape.Filled > 0 {
				c.field, c.why = field, "by the greater part of its values"
				taken[field] = true
			}
		}
	}
}

// names of fields of which one is meant.
func names(fields []dialect.Field) string {
	all := make([]string, len(fields))
	for i, field := range fields {
		all[i] = string(field)
	}
	return strings.Join(all, " or ")
}

func hasDevice(columns []*column) bool {
	return slices.ContainsFunc(columns, func(c *column) bool { return c.field == dialect.Device })
}

// printOrder writes the columns of a file without a header line.
func (d *draft) printOrder(columns []*column) {
	d.print("order = [")
	said := slices.ContainsFunc(columns, func(c *column) bool { return c.open != nil || c.field != "" && c.field != dialect.Device })
	for i, c := range columns {
		entry, note := string(c.field), c.why
		switch {
		case !said && c.field == "":
			entry, note = dialect.FillIn, "no column has the shape of a field besides the device: write the field"
			said = true
		case c.open != nil:
			entry, note = dialect.FillIn, "could be "+names(c.open)+`; "" if none of them`
		case c.field == "" && c.shape.Filled == 0:
			note = "always empty"
		case c.field == "" && c.times.half() != "":
			note = c.times.half() + ": " + whyHalf
		case c.field == "":
			note = `no shape that is known; "description", or "" if none of the fields`
		}
		if !hasDevice(columns) && i == 0 {
			entry, note = dialect.FillIn, "no column has the shape of a device: put \"device\" where it is"
		}
		d.print("\t%s,  # column %d: %s", quoted(entry), i+1, note)
	}
	d.print("]")
}

// printColumns writes the names of columns or keys by their fields.
func (d *draft) printColumns(columns []*column) {
	d.print("\n[columns]")
	if !hasDevice(columns) && d.layout.form != dialect.Sections {
		d.print("device = [%s]  # no column has that name or shape: write the name of the one that has the phones", quoted(dialect.FillIn))
	}
	var unused []string
	halves := map[string][]string{}
	byName := map[dialect.Field][]string{}
	for _, c := range columns {
		if c.why == whyName {
			byName[c.field] = append(byName[c.field], c.name)
		}
	}
	for _, c := range columns {
		name := shown(c.name)
		switch {
		case c.why == whyName && c.name == byName[c.field][0]:
			d.print("%s = [%s]  # %s", c.field, list(byName[c.field]), c.why)
		case c.why == whyName: // beside the first
		case c.field == "" && c.open == nil && c.times.half() != "":
			halves[c.times.half()] = append(halves[c.times.half()], quoted(oneLine(legacy.MaskText(c.name))))
		case name == "" || c.field == "" && c.open == nil:
			unused = append(unused, quoted(oneLine(legacy.MaskText(c.name))))
		case c.open != nil:
			d.open++
			d.print("%s-%d = [%s]  # could be %s: put that in the place of %[1]s-%[2]d, or take the line away", dialect.FillIn, d.open, quoted(name), names(c.open))
		default:
			d.print("%s = [%s]  # %s", c.field, quoted(name), c.why)
		}
	}
	for _, what := range slices.Sorted(maps.Keys(halves)) {
		d.print("# %s: %s; %s", what, strings.Join(halves[what], ", "), whyHalf)
	}
	if unused != nil {
		d.print("# without a meaning, if none of them is the description or another field: %s", strings.Join(unused, ", "))
	}
}
