package phonefile

import (
	"errors"
	"iter"
	"slices"

	"capf/legacy"
	"capf/legacy/dialect"
	"capf/legacy/text"
)

// File is a phone record file of which it is known how to read it.
type File struct {
	// Dialect is nil where the file has nothing to read: no line, or none but comments.
	Dialect  *dialect.Dialect
	Encoding text.Encoding
	// Trace asks for the places of values (see Item): of so many records, the first ones, and of all lines kept aside.
	Trace int

	input  legacy.Input
	doubt  string  // about the encoding
	survey *survey // of a file without a header line
	dates  map[dialect.Field]*dialect.Dates
}

// OpenAs prepares a file to be read by the dialect named and no other. Where the file has to say more than one line
// does (its encoding, the shapes of its columns, whether day or month comes first) it is read through for that.
func OpenAs(input legacy.Input, named *dialect.Dialect) (*File, error) {
	found := text.Found{Encoding: named.Encoding}
	if named.Encoding == "" {
		var err error
		if found, err = text.Find(input); err != nil {
			return nil, err
		}
	}
	file := &File{Dialect: named, Encoding: found.Encoding, input: input, doubt: found.Note()}
	if err := file.prepare(); err != nil {
		return nil, err
	}
	if named.HasOpenOrder() {
		return file, file.weigh()
	}
	return file, nil
}

// Open prepares a file to be read by the one dialect that fits it. It reads the file a few times for each of them, and
// once more for the encoding. Its error names the lines that stand in the way.
func Open(input legacy.Input, candidates []*dialect.Dialect) (*File, error) {
	found := text.Found{Encoding: dialect.Named(dialect.Phones, candidates)}
	if found.Encoding == "" {
		var err error
		if found, err = text.Find(input); err != nil {
			return nil, err
		}
	}
	var files []*File
	var readings []*dialect.Reading
	for _, candidate := range candidates {
		if !candidate.Reads(dialect.Phones) || candidate.Encoding != "" && candidate.Encoding != found.Encoding {
			continue
		}
		file := &File{Dialect: candidate, Encoding: found.Encoding, input: input, doubt: found.Note()}
		reading, err := file.try()
		if err != nil {
			return nil, err
		}
		files, readings = append(files, file), append(readings, reading)
	}
	chosen, err := dialect.Choose(input.File, readings)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(files, func(file *File) bool { return file.Dialect == chosen })
	if at < 0 {
		return &File{Encoding: found.Encoding, input: input}, nil
	}
	return files[at], nil
}

// prepare finds the columns of a file without a header line.
func (f *File) prepare() (err error) {
	if f.Dialect.Form == dialect.Headerless {
		f.survey, err = f.newSurvey()
	}
	return err
}

// weigh reads the file for the order of day and month in its columns of times.
func (f *File) weigh() error {
	values := newValues(f.Dialect)
	values.weighing = true
	for _, err := range f.items(values) {
		var structure *StructureError
		if err != nil && !errors.As(err, &structure) {
			return err
		}
	}
	f.dates = values.dates
	return nil
}

// shownLine is how much of a line that stands in the way is shown.
const shownLine = 60

// try finds the columns, reads the whole file and notes which lines were understood. Where a date comes up whose column
// must tell the order, it begins again when the column has been weighed.
func (f *File) try() (*dialect.Reading, error) {
	if f.survey == nil {
		if err := f.prepare(); err != nil {
			return nil, err
		}
	}
	reading := &dialect.Reading{Dialect: f.Dialect}
	var keys []*legacy.KeptLine
	values := f.newValues()
	for item, err := range f.items(values) {
		if values.open {
			if err := f.weigh(); err != nil {
				return nil, err
			}
			return f.try()
		}
		var structure *StructureError
		if errors.As(err, &structure) {
			reading.Structure = structure
			break
		}
		if err != nil {
			return nil, err
		}
		switch item.Kind {
		case KindHeader:
			reading.MarkHeader(item.Position.Line)
		case KindRecord:
			reading.MarkRead(item.Record.Lines...)
		case KindKept:
			if item.Kept.PrivateKey {
				keys = append(keys, item.Kept)
				continue
			}
			markUnread(reading, item.Kept)
		}
	}
	// A key is withheld whatever the dialect, so it speaks neither for nor against one; but a file of nothing else is
	// none of phones.
	if reading.IsEmpty() {
		for _, kept := range keys {
			markUnread(reading, kept)
		}
	}
	return reading, nil
}

func markUnread(reading *dialect.Reading, kept *legacy.KeptLine) {
	reason := kept.Reason
	if reading.NeedsReason() {
		reason += " in " + clipped(kept.Shown(), shownLine)
	}
	reading.MarkUnread(kept.Line, reason)
}

// StructureError says that a file does not have the structure which the dialect describes.
type StructureError struct {
	Position legacy.Position
	Reason   string
}

// Error gives place and reason.
func (e *StructureError) Error() string { return e.Position.String() + ": " + e.Reason }

// newValues makes what values are read by, the order of dates included once it is known.
func (f *File) newValues() *values {
	out := newValues(f.Dialect)
	if f.dates != nil {
		out.dates, out.weighed = f.dates, true
	}
	return out
}

// Items reads the file from its beginning: every line is part of a record, is kept aside, or carries no data. After an
// error (reading failed, or a *StructureError) nothing follows. A device may come more than once.
func (f *File) Items() iter.Seq2[Item, error] {
	if f.Dialect == nil {
		return func(func(Item, error) bool) {}
	}
	return f.items(f.newValues())
}

func (f *File) items(values *values) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		out := &output{file: f.input.File, yield: yield}
		reader := f.newForm(out, values)
		for line, err := range text.Lines(f.input, f.Encoding) {
			if err == nil {
				err = reader.line(line)
			}
			if err != nil {
				out.fail(err)
				return
			}
			if out.stopped {
				return
			}
		}
		if err := reader.end(); err != nil {
			out.fail(err)
			return
		}
		out.judgeColumns()
		if f.Dialect.Form != dialect.Headerless { // there no name could be known
			out.tellUnknown()
		}
		if f.doubt != "" {
			out.find(legacy.Note, legacy.Position{File: f.input.File}, f.doubt)
		}
	}
}

// form makes records of lines.
type form interface {
	// line takes the next one. Its error ends the reading.
	line(line text.Line) error
	// end says that there are no more.
	end() error
}

func (f *File) newForm(out *output, values *values) form {
	switch f.Dialect.Form {
	case dialect.Delimited:
		return &delimited{values: values, out: out, file: f, others: "the header has"}
	case dialect.Headerless:
		row := delimited{values: values, out: out, file: f, columns: f.survey.columns, separator: f.survey.separator, others: "the others have"}
		return &headerless{row, f.survey}
	default:
		return &blocks{values: values, out: out, file: f}
	}
}
