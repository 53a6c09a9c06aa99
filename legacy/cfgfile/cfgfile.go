// Package cfgfile reads CAPF.cfg, the configuration of CAPF 1.0(1), by a dialect.
//
// Its format is not public (legacy-layout.md): a dialect says which mark ends a key and whether there are sections, or
// that key and value are columns. Keys that mean one of the parameters of cli.md are named so; all others are given as they are, and lines that are
// not understood are kept aside.
package cfgfile

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"capf/internal/plain"
	"capf/legacy"
	"capf/legacy/dialect"
	"capf/legacy/text"
)

// MaxFile is the size in bytes of the largest configuration that is read: hundreds of times what one needs.
const MaxFile = 1 << 20

// Setting is one key with its value.
type Setting struct {
	legacy.Position
	// Section is the name in the last line `[name]` before; empty if there was none.
	Section string
	Key     string
	// Parameter is the name in cli.md; empty for a key without a meaning to us.
	Parameter string
	// Value is the text after the mark, without spaces around it and without quotes.
	Value legacy.Secret
	// Secret tells that the value must not be shown, judging by the key.
	Secret bool
	// Bytes are the original ones, line end included. From and To are those of the value: the first, counted from 0, and
	// the one after the last.
	Bytes    []byte
	From, To int
}

// Shown gives the value for a person to look at: masked if the key is password-like, its runs of 4 to 10 digits
// masked unless the key is one of the parameters.
func (s Setting) Shown() string {
	switch {
	case s.Secret:
		return s.Value.String()
	case s.Parameter != "":
		return s.Value.Reveal()
	default:
		return legacy.MaskText(s.Value.Reveal())
	}
}

// String gives place, key and shown value.
func (s Setting) String() string { return fmt.Sprintf("%s: %s=%s", s.Position, s.Key, s.Shown()) }

// GoString is String, so that %#v shows no bytes either.
func (s Setting) GoString() string { return s.String() }

// File is what a configuration holds.
type File struct {
	// Dialect is the one it was read by; nil where it has nothing to read.
	Dialect  *dialect.Dialect
	Encoding text.Encoding
	// Settings are in the order of the file; a key may come more than once.
	Settings []Setting
	Kept     []legacy.KeptLine
	Findings legacy.Findings

	names int // the first line with names of settings and no values; 0: there is none
}

// errNothing is the structure that is missing.
var errNothing = errors.New("no line with a key and a value")

// ReadAs reads a configuration by the dialect named and no other.
func ReadAs(input legacy.Input, named *dialect.Dialect) (*File, error) {
	found, err := text.FindUnless(named.Encoding, input)
	if err != nil {
		return nil, err
	}
	return read(input, named, found)
}

// Read reads a configuration by the one dialect that fits. Its error names the lines that stand in the way.
func Read(input legacy.Input, candidates []*dialect.Dialect) (*File, error) {
	found, err := text.FindUnless(dialect.Named(dialect.Configuration, candidates), input)
	if err != nil {
		return nil, err
	}
	var readings []*dialect.Reading
	var files []*File
	for _, candidate := range candidates {
		if !candidate.Reads(dialect.Configuration) || candidate.Encoding != "" && candidate.Encoding != found.Encoding {
			continue
		}
		file, err := read(input, candidate, found)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
		readings = append(readings, file.reading())
	}
	chosen, err := dialect.Choose(input.File, readings)
	if err != nil {
		return nil, asNames(input, files, err)
	}
	at := slices.IndexFunc(files, func(file *File) bool { return file.Dialect == chosen })
	if at < 0 || len(files[at].Settings)+len(files[at].Kept) == 0 {
		return keysAlone(files, found.Encoding), nil
	}
	return files[at], nil
}

// keysAlone is a file without a line to read: all that can be in it are private keys, the same by every dialect.
func keysAlone(files []*File, encoding text.Encoding) *File {
	out := &File{Encoding: encoding}
	if len(files) > 0 {
		out.Kept, out.Findings = files[0].Kept, files[0].Findings
	}
	return out
}

func (f *File) reading() *dialect.Reading {
	reading := &dialect.Reading{Dialect: f.Dialect}
	for _, setting := range f.Settings {
		reading.MarkRead(setting.Line)
	}
	for _, kept := range f.Kept {
		if kept.PrivateKey {
			continue // withheld whatever the dialect, so it speaks neither for nor against one
		}
		reading.MarkUnread(kept.Line, kept.Reason+" in "+strconv.Quote(kept.Shown()))
	}
	if len(f.Settings) == 0 && len(f.Kept) > 0 {
		reading.Structure = errNothing
	}
	return reading
}

func read(input legacy.Input, by *dialect.Dialect, found text.Found) (*File, error) {
	reader := reader{File: &File{Dialect: by, Encoding: found.Encoding}, input: input}
	if by.Form == dialect.Headerless {
		if err := reader.findSeparator(); err != nil {
			return nil, err
		}
	}
	for line, err := range reader.lines() {
		if err != nil {
			return nil, err
		}
		reader.line(line)
	}
	reader.noteTwice()
	if note := found.Note(); note != "" {
		reader.Findings.Note(legacy.Position{File: input.File}, note)
	}
	return reader.File, nil
}

// reader holds what a line depends on.
type reader struct {
	*File
	input     legacy.Input
	section   string
	separator byte // between key and value where they are columns; 0: it is not known
}

// lines are those of a file that may be a configuration.
func (r *reader) lines() iter.Seq2[text.Line, error] {
	return func(yield func(text.Line, error) bool) {
		for line, err := range text.Lines(r.input, r.Encoding) {
			if err == nil && line.Offset+line.Size > MaxFile {
				yield(line, fmt.Errorf("%s: larger than %d bytes: not a configuration of CAPF", r.at(line), MaxFile))
				return
			}
			if !yield(line, err) {
				return
			}
		}
	}
}

// findSeparator takes the one before which most names of parameters stand; none where there is no such name, or where
// two are equal.
func (r *reader) findSeparator() error {
	counts := map[byte]int{}
	for line, err := range r.lines() {
		if err != nil {
			return err
		}
		if line.Problem != "" || r.Dialect.IsComment(line.Text) {
			continue
		}
		for _, separator := range r.Dialect.Separators {
			if row, problem := r.Dialect.CutRow(nil, line.Text, separator[0]); problem == "" && len(row) == 2 {
				if _, known := r.Dialect.Parameter(row[0]); known {
					counts[separator[0]]++
				}
			}
		}
	}
	most := 0
	for separator, count := range counts {
		switch {
		case count > most:
			r.separator, most = separator, count
		case count == most:
			r.separator = 0
		}
	}
	return nil
}

func (r *reader) at(line text.Line) legacy.Position {
	return legacy.Position{File: r.input.File, Line: line.Number}
}

func (r *reader) line(line text.Line) {
	section, isSection := r.Dialect.CutSection(line.Text)
	switch {
	case line.Problem != "":
		r.keep(line, line.Problem)
	case strings.TrimSpace(line.Text) == "" || r.Dialect.IsComment(line.Text):
	case isSection:
		r.section = section
	case r.isNames(line.Text):
		r.keepNames(line)
	default:
		r.setting(line)
	}
}

// cut gives key, value and the place of the value in the text of a line.
func (r *reader) cut(line string) (key, value string, at dialect.Span, problem string) {
	if r.Dialect.Form != dialect.Headerless {
		if key, value, problem = r.Dialect.CutPair(line); problem == "" {
			at = r.Dialect.PairSpan(line)
		}
		return key, value, at, problem
	}
	if r.separator == 0 {
		return "", "", at, "no separator after the name of a parameter in the whole file"
	}
	row, problem := r.Dialect.CutRow(nil, line, r.separator)
	switch {
	case problem != "":
		return "", "", at, problem
	case len(row) != 2:
		return "", "", at, fmt.Sprintf("has %s, a setting has 2", plain.Counted(len(row), "column"))
	case row[0] == "":
		return "", "", at, "no key before the separator"
	}
	return row[0], row[1], r.Dialect.RowSpans(line, r.separator)[1], ""
}

func (r *reader) setting(line text.Line) {
	key, value, at, problem := r.cut(line.Text)
	if problem != "" {
		r.keep(line, problem)
		return
	}
	parameter, _ := r.Dialect.Parameter(key)
	places := line.Places(r.Encoding)
	r.Settings = append(r.Settings, Setting{
		Position: r.at(line), Section: r.section, Key: key, Parameter: parameter,
		Value: legacy.NewSecret(value), Secret: legacy.IsSecretKey(key), Bytes: line.Raw,
		From: places[at.From], To: places[at.To],
	})
	if line.Torn {
		r.Findings.Warn(r.at(line), "the file ends without a line end: see whether the last value is whole")
	}
}

func (r *reader) keep(line text.Line, reason string) {
	r.Kept = append(r.Kept, line.Kept(r.input.File, reason))
	if line.PrivateKey {
		r.Findings.Warn(r.at(line), legacy.PrivateKeyAdvice)
	}
}

// noteTwice tells of parameters that are set twice to different values.
func (r *reader) noteTwice() {
	first := map[string]Setting{}
	for _, setting := range r.Settings {
		if setting.Parameter == "" {
			continue
		}
		other, ok := first[setting.Parameter]
		if !ok {
			first[setting.Parameter] = setting
		} else if other.Value != setting.Value {
			r.Findings.Warn(setting.Position, fmt.Sprintf("sets %s, which line %d sets to another value", setting.Parameter, other.Line))
		}
	}
}
