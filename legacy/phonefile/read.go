package phonefile

import (
	"errors"
	"iter"
	"slices"
	"sync"

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

	input legacy.Input
	// listener hears what a reading for finding out gives; heard tells that it was all of the file.
	listener Listener
	heard    bool
	// whole is what another dialect made of the file that reads all of it: this one is out at the first line that it
	// cannot read.
	whole  *dialect.Reading
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
	file, _, err := OpenHeard(input, candidates, nil)
	return file, err
}

// OpenHeard is Open for somebody who wants all items anyway: while it is found out whether the first dialect fits, they
// are told what that makes of the file. They have heard all of it where the second result is true, and need not ask for
// Items. The listener may be nil.
func OpenHeard(input legacy.Input, candidates []*dialect.Dialect, listener Listener) (_ *File, heard bool, err error) {
	found := text.Found{Encoding: dialect.Named(dialect.Phones, candidates)}
	if found.Encoding == "" {
		if found, err = text.Find(input); err != nil {
			return nil, false, err
		}
	}
	var files []*File
	for _, candidate := range candidates {
		if candidate.Reads(dialect.Phones) && (candidate.Encoding == "" || candidate.Encoding == found.Encoding) {
			files = append(files, &File{Dialect: candidate, Encoding: found.Encoding, input: input, doubt: found.Note()})
		}
	}
	if len(files) > 0 {
		files[0].listener = listener
	}
	readings, err := tryAll(files)
	if err != nil {
		return nil, false, err
	}
	chosen, err := dialect.Choose(input.File, readings)
	if err != nil {
		return nil, false, err
	}
	at := slices.IndexFunc(files, func(file *File) bool { return file.Dialect == chosen })
	if at < 0 {
		return &File{Encoding: found.Encoding, input: input}, false, nil
	}
	return files[at], files[at].heard, nil
}

// tryAll reads the file by each dialect. Where the first one does not read all of it, the others do so side by side: one
// takes as long as all the rest of finding out.
func tryAll(files []*File) ([]*dialect.Reading, error) {
	readings, failures := make([]*dialect.Reading, len(files)), make([]error, len(files))
	var all sync.WaitGroup
	for i, file := range files {
		if i > 0 && readings[0] != nil && readings[0].ReadsAll() {
			file.whole = readings[0]
		}
		all.Go(func() { readings[i], failures[i] = file.try() })
		if i == 0 {
			all.Wait()
		}
	}
	all.Wait()
	for _, err := range failures {
		if err != nil {
			return nil, err
		}
	}
	return readings, nil
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

// try finds the columns, reads the whole file and notes which lines were understood. Where a date comes up of which the column must tell
// the order, it begins again when the column has been weighed.
func (f *File) try() (*dialect.Reading, error) {
	if f.survey == nil {
		if err := f.prepare(); err != nil {
			return nil, err
		}
	}
	reading := &dialect.Reading{Dialect: f.Dialect}
	var keys []*legacy.KeptLine
	values := f.newValues()
	if f.listener != nil {
		f.listener.Begin()
	}
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
		if err == nil && f.listener != nil {
			err = f.listener.Hear(item)
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
			if f.beaten(item.Kept.Line) {
				return reading, nil
			}
		}
	}
	// A key is withheld whatever the dialect, so it speaks neither for nor against one; but a file of nothing else is
	// none of phones.
	if reading.IsEmpty() {
		for _, kept := range keys {
			markUnread(reading, kept)
		}
	}
	f.heard = f.listener != nil && reading.Structure == nil
	return reading, nil
}

func markUnread(reading *dialect.Reading, kept *legacy.KeptLine) {
	reason := kept.Reason
	if reading.NeedsReason() {
		reason += " in " + clipped(kept.Shown(), shownLine)
	}
	reading.MarkUnread(kept.Line, reason)
}

// Listener is somebody who hears what Open reads.
type Listener interface {
	// Begin says that the file is read from its beginning: what was heard of it before counts no more.
	Begin()
	// Hear gets an item, in the order of Items. Its error ends Open.
	Hear(Item) error
}

// beaten tells that another dialect reads a line that this one cannot, and every other line too.
func (f *File) beaten(line int) bool { return f.whole != nil && f.whole.Reads(line) }

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

func bytesOf(line text.Line) int { return len(line.Raw) }

func (f *File) items(values *values) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		out := &output{file: f.input.File, yield: yield}
		reader := f.newForm(out, values)
		for line, err := range legacy.Ahead(text.Lines(f.input, f.Encoding), bytesOf) {
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
