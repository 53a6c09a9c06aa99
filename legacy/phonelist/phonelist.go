// Package phonelist reads a list of phones in CSV: the CAPF report of a CallManager, a bulk export of its phones, or our
// own report (cli.md).
//
// Which columns there are is not the same from one release to the next, so they are known by their names, compared by
// letters and digits only. A column without a meaning to us is told of, and its values stay with the records: the bytes
// of the line are kept, as those of all records are. A line that is not understood is kept aside whole.
package phonelist

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"capf/internal/plain"
	"capf/legacy"
	"capf/legacy/phonefile"
	"capf/legacy/text"
)

// separators are those that a list may use; a line `sep=` before the header, which spreadsheets write, is passed over.
const separators = ",;\t|"

// maxColumns is how many columns a list may have; a bulk export with all lines and services has some hundreds.
const maxColumns = 5000

// File is a list of which it is known how to read it.
type File struct {
	Encoding text.Encoding
	// Known are the columns beside that of the device which have a meaning to us; Unknown are the others.
	Known, Unknown []string
	// Findings are about the header; those about lines are among the items.
	Findings []legacy.Finding

	input     legacy.Input
	separator byte
	columns   []column
	header    int // the number of its line
}

// OtherError says that a file is no list of phones.
type OtherError struct{ Reason string }

// Error gives the reason.
func (e *OtherError) Error() string { return e.Reason }

// Open reads the header of a list. Its encoding is found; where it is neither UTF-8 nor marked as UTF-16, it is the one
// named, if one is. An *OtherError: the list has no column for the device, or its encoding is not clear.
func Open(input legacy.Input, named text.Encoding) (*File, error) {
	found, err := text.Find(input)
	if named != "" && (err != nil || !isUnicode(found.Encoding)) {
		found, err = text.Found{Encoding: named}, nil
	}
	if err != nil {
		return nil, asOther(input, err)
	}
	out := &File{Encoding: found.Encoding, input: input}
	if note := found.Note(); note != "" {
		out.Findings = append(out.Findings, legacy.Finding{Position: legacy.Position{File: input.File}, Severity: legacy.Note, Reason: note})
	}
	for line, err := range text.Lines(input, found.Encoding) {
		if err != nil {
			return nil, err
		}
		if isBeforeHeader(line) {
			continue
		}
		if line.Problem == "" && out.readHeader(line.Text) {
			out.header = line.Number
			out.tellColumns()
			return out, nil
		}
		break
	}
	return nil, &OtherError{"is no list of phones: its first line names no column for the device"}
}

func isUnicode(encoding text.Encoding) bool {
	return encoding == text.UTF8 || encoding == text.UTF16LE || encoding == text.UTF16BE
}

// asOther tells a failure to read from an encoding that is not clear.
func asOther(input legacy.Input, err error) error {
	opened, failed := input.Open()
	if failed != nil {
		return err
	}
	defer opened.Close()
	if _, failed := opened.Read(make([]byte, 1)); failed != nil {
		return err
	}
	return &OtherError{strings.TrimPrefix(err.Error(), legacy.Position{File: input.File}.String()+": ")}
}

func isBeforeHeader(line text.Line) bool {
	content := strings.TrimSpace(line.Text)
	return line.Problem == "" && (content == "" || len(content) == 5 && strings.EqualFold(content[:4], "sep="))
}

// readHeader takes the separator that cuts the line into a column for the device and the most others that are known.
func (f *File) readHeader(line string) bool {
	best := 0
	for i := range len(separators) {
		names, open, problem := cut(line, separators[i])
		if open || problem != "" || len(names) > maxColumns {
			continue
		}
		columns := meaningsOf(names)
		known := 0
		for _, one := range columns {
			if one.field != "" {
				known++
			}
		}
		if at := indexOf(columns, device); at >= 0 && known > best {
			best, f.columns, f.separator = known, columns, separators[i]
		}
	}
	return best > 0
}

// AboutCertificates tells that the list says more of phones than their names and descriptions.
func (f *File) AboutCertificates() bool {
	return slices.ContainsFunc(f.columns, func(c column) bool { return c.field != "" && c.field != device && c.field != description })
}

// tellDevice says which column is taken for the device where there is more than one.
func (f *File) tellDevice() {
	further := furtherDevices(f.columns)
	if len(further) == 0 {
		return
	}
	names := make([]string, len(further))
	for i, at := range further {
		names[i] = fmt.Sprintf("%q", legacy.MaskText(f.columns[at].name))
	}
	f.Findings = append(f.Findings, legacy.Finding{Position: legacy.Position{File: f.input.File, Line: f.header}, Severity: legacy.Note,
		Reason: fmt.Sprintf("the phone is taken from column %q, and not from %s: lines in which they name two phones are kept aside; "+
			"if that is the wrong one, take it out of a copy of the list", legacy.MaskText(f.columns[indexOf(f.columns, device)].name), strings.Join(names, ", "))})
}

func (f *File) tellColumns() {
	f.tellDevice()
	var unknown []string
	for _, one := range f.columns {
		switch {
		case one.field == "":
			f.Unknown = append(f.Unknown, one.name)
			unknown = append(unknown, legacy.MaskText(one.name)+one.why)
		case one.field != device:
			f.Known = append(f.Known, one.name)
		}
	}
	if len(unknown) == 0 {
		return
	}
	const longest = 2000
	list := strings.Join(unknown, ", ")
	if len(list) > longest {
		list = strings.ToValidUTF8(list[:longest], "") + "…"
	}
	f.Findings = append(f.Findings, legacy.Finding{Position: legacy.Position{File: f.input.File, Line: f.header}, Severity: legacy.Note,
		Reason: fmt.Sprintf("%s without a meaning to us, kept with the lines: %s", plain.Counted(len(unknown), "column"), list)})
}

// Items reads the list from its beginning: every line is part of a record, is kept aside, or carries no data. After an
// error nothing follows. A device may come more than once.
func (f *File) Items() iter.Seq2[phonefile.Item, error] {
	return func(yield func(phonefile.Item, error) bool) {
		next, stop := iter.Pull2(text.Lines(f.input, f.Encoding))
		defer stop()
		reader := &reader{file: f, lines: &lineQueue{next: next}, yield: yield}
		for !reader.stopped {
			if err := reader.next(); err != nil {
				if !errors.Is(err, errEnd) {
					yield(phonefile.Item{}, err)
				}
				return
			}
		}
	}
}
