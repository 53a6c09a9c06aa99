package phonefile

import (
	"errors"
	"iter"

	"capf/legacy"
	"capf/legacy/dialect"
	"capf/legacy/text"
)

// File is a phone record file of which it is known how to read it.
type File struct {
	// Dialect is nil where the file has nothing to read: no line, or none but comments.
	Dialect  *dialect.Dialect
	Encoding text.Encoding

	input legacy.Input
}

// OpenAs prepares a file to be read by the dialect named and no other.
func OpenAs(input legacy.Input, named *dialect.Dialect) (*File, error) {
	encoding := named.Encoding
	if encoding == "" {
		var err error
		if encoding, err = text.Detect(input); err != nil {
			return nil, err
		}
	}
	return &File{Dialect: named, Encoding: encoding, input: input}, nil
}

// Open prepares a file to be read by the one dialect that fits it. It reads the file once for each of them, and once
// more for the encoding. Its error names the lines that stand in the way.
func Open(input legacy.Input, candidates []*dialect.Dialect) (*File, error) {
	found, err := text.Detect(input)
	if err != nil {
		return nil, err
	}
	var readings []*dialect.Reading
	for _, candidate := range candidates {
		if !candidate.Reads(dialect.Phones) || candidate.Encoding != "" && candidate.Encoding != found {
			continue
		}
		reading, err := try(&File{Dialect: candidate, Encoding: found, input: input})
		if err != nil {
			return nil, err
		}
		readings = append(readings, reading)
	}
	chosen, err := dialect.Choose(input.File, readings)
	if err != nil {
		return nil, err
	}
	return &File{Dialect: chosen, Encoding: found, input: input}, nil
}

// try reads the whole file and notes which lines were understood.
func try(file *File) (*dialect.Reading, error) {
	reading := &dialect.Reading{Dialect: file.Dialect}
	for item, err := range file.Items() {
		var structure *StructureError
		if errors.As(err, &structure) {
			reading.Structure = structure
			break
		}
		if err != nil {
			return nil, err
		}
		switch item.Kind {
		case KindRecord:
			reading.MarkRead(item.Record.Lines...)
		case KindKept:
			reading.MarkUnread(item.Kept.Line, item.Kept.Reason)
		}
	}
	return reading, nil
}

// StructureError says that a file does not have the structure which the dialect describes.
type StructureError struct {
	Position legacy.Position
	Reason   string
}

// Error gives place and reason.
func (e *StructureError) Error() string { return e.Position.String() + ": " + e.Reason }

// Items reads the file from its beginning: every line is part of a record, is kept aside, or carries no data. After an
// error (reading failed, or a *StructureError) nothing follows. A device may come more than once.
func (f *File) Items() iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		if f.Dialect == nil {
			return
		}
		out := &output{file: f.input.File, yield: yield}
		reader := f.newForm(out)
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
	}
}

// form makes records of lines.
type form interface {
	// line takes the next one. Its error ends the reading.
	line(line text.Line) error
	// end says that there are no more.
	end() error
}

func (f *File) newForm(out *output) form {
	if f.Dialect.Form == dialect.Delimited {
		return &delimited{dialect: f.Dialect, out: out}
	}
	return &blocks{dialect: f.Dialect, out: out}
}
