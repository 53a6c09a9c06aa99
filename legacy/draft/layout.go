package draft

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"capf/legacy"
	"capf/legacy/cfgfile"
	"capf/legacy/dialect"
	"capf/legacy/phonefile"
	"capf/legacy/text"
)

// layout is how lines make records or settings.
type layout struct {
	form      dialect.Form
	fits      bool // the built-in dialect of the form
	separator byte
	marks     []string
	by        *dialect.Dialect // built in, with the separators or marks of this file
	width     int              // columns
	padded    *dialect.Dialect // how columns are cut that are padded with spaces; nil: they are not
	header    []string         // names of columns
}

// separators are those that are tried: the built-in ones, and what programs write besides.
const separators = ",;\t|!~^#$%&*@ "

// findLayout takes the form of the built-in dialect that fits, or the one that most lines speak for.
func (d *draft) findLayout(kind dialect.Kind) error {
	counted, err := d.count()
	if err != nil {
		return err
	}
	if counted.lines == 0 {
		return fmt.Errorf("%s: has no line to make a dialect of", legacy.Position{File: d.input.File})
	}
	form := d.fitting(kind)
	fits := form != ""
	separator, width, rows := counted.bestSeparator()
	if !fits && kind == dialect.Phones {
		if err := d.findPadded(counted, separator, rows); err != nil {
			return err
		}
	}
	switch {
	case form != "":
	case d.layout.padded != nil:
		form, separator, width = dialect.Headerless, d.layout.separator, d.layout.width
	case kind == dialect.Configuration && counted.pairs < rows:
		form = dialect.Headerless
	case kind == dialect.Configuration:
		form = dialect.Blocks
	case rows*2 >= counted.lines:
		form = dialect.Headerless
	case counted.sections > 1:
		form = dialect.Sections
	default:
		form = dialect.Blocks
	}
	d.layout.form, d.layout.fits = form, fits
	for _, builtin := range dialect.Builtin() {
		if builtin.Form == form {
			changed := *builtin
			d.layout.by = &changed
		}
	}
	if form == dialect.Blocks || form == dialect.Sections {
		d.layout.marks = counted.marks
		return nil
	}
	d.layout.separator, d.layout.width = separator, width
	d.layout.by.Separators = []string{string(rune(separator))}
	if padded := d.layout.padded; padded != nil {
		d.layout.by.Starts, d.layout.by.Repeated = padded.Starts, padded.Repeated
	}
	if kind == dialect.Configuration {
		return nil
	}
	return d.findHeader(form)
}

// fitting gives the form of the built-in dialect that fits; empty if none does.
func (d *draft) fitting(kind dialect.Kind) dialect.Form {
	var candidates []*dialect.Dialect
	for _, builtin := range dialect.Builtin() {
		changed := *builtin
		changed.Encoding = d.encoding
		candidates = append(candidates, &changed)
	}
	if kind == dialect.Configuration {
		if file, err := cfgfile.Read(d.input, candidates); err == nil && file.Dialect != nil {
			return file.Dialect.Form
		}
		return ""
	}
	if file, err := phonefile.Open(d.input, candidates); err == nil && file.Dialect != nil {
		return file.Dialect.Form
	}
	return ""
}

// counts are what lines speak for.
type counts struct {
	lines, pairs, sections int
	marks                  []string
	widths                 [len(separators)]map[int]int
}

// lines are those with something in them, as far as they are text.
func (d *draft) lines() iter.Seq2[text.Line, error] {
	return func(yield func(text.Line, error) bool) {
		for line, err := range text.Lines(d.input, d.encoding) {
			if err == nil && (line.Problem != "" || strings.TrimSpace(line.Text) == "" || d.words.IsComment(line.Text)) {
				continue
			}
			if !yield(line, err) {
				return
			}
		}
	}
}

func (d *draft) count() (*counts, error) {
	out := &counts{}
	blocks := dialect.Builtin()[1]
	for line, err := range d.lines() {
		if err != nil {
			return nil, err
		}
		if blocks.IsComment(line.Text) {
			continue
		}
		out.lines++
		if _, section := blocks.CutSection(line.Text); section {
			out.sections++
			continue
		}
		if key, _, problem := blocks.CutPair(line.Text); problem == "" {
			out.pairs++
			at := strings.Index(line.Text, key) + len(key)
			mark := strings.TrimSpace(line.Text[at:])[:1]
			if !slices.Contains(out.marks, mark) {
				out.marks = append(out.marks, mark)
			}
		}
		for i := range len(separators) {
			row, problem := d.words.CutRow(nil, line.Text, separators[i])
			if problem != "" || len(row) < 2 {
				continue
			}
			if out.widths[i] == nil {
				out.widths[i] = map[int]int{}
			}
			if len(out.widths[i]) < 100 || out.widths[i][len(row)] > 0 {
				out.widths[i][len(row)]++
			}
		}
	}
	if out.marks == nil {
		out.marks = []string{"="}
	}
	return out, nil
}

// bestSeparator cuts most lines into equally many columns, and of several into the most.
func (c *counts) bestSeparator() (separator byte, width, rows int) {
	separator = separators[0]
	for i, widths := range c.widths {
		for columns, count := range widths {
			if count > rows || count == rows && columns > width {
				separator, width, rows = separators[i], columns, count
			}
		}
	}
	return separator, width, rows
}

// findHeader tells whether the first row names the columns: no value in it has the shape of a device, and some value of
// the second has; or no row has, and the first is without figures.
func (d *draft) findHeader(form dialect.Form) error {
	var first, second []string
	for line, err := range d.lines() {
		if err != nil {
			return err
		}
		row, problem := d.layout.by.CutRow(nil, line.Text, d.layout.separator)
		if problem != "" || len(row) != d.layout.width {
			continue
		}
		if first == nil {
			first = row
			continue
		}
		second = row
		break
	}
	figures := slices.ContainsFunc(first, func(value string) bool { return strings.ContainsAny(value, "0123456789") })
	header := !slices.ContainsFunc(first, isDevice) && (slices.ContainsFunc(second, isDevice) || !figures)
	if header && (form == dialect.Delimited || !d.layout.fits) {
		d.layout.form, d.layout.header = dialect.Delimited, first
	} else {
		d.layout.form = dialect.Headerless
	}
	return nil
}
