// Package cfgfile reads CAPF.cfg, the configuration of CAPF 1.0(1), by a dialect.
//
// Its format is not public (legacy-layout.md): a dialect says which mark ends a key and whether there are sections.
// Keys that mean one of the parameters of cli.md are named so; all others are given as they are, and lines that are
// not understood are kept aside.
package cfgfile

import (
	"errors"
	"fmt"
	"slices"
	"strings"

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
	// Bytes are the original ones, line end included.
	Bytes []byte
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
	Findings []legacy.Finding
}

// errNothing is the structure that is missing.
var errNothing = errors.New("no line with a key and a value")

// ReadAs reads a configuration by the dialect named and no other.
func ReadAs(input legacy.Input, named *dialect.Dialect) (*File, error) {
	encoding := named.Encoding
	if encoding == "" {
		var err error
		if encoding, err = text.Detect(input); err != nil {
			return nil, err
		}
	}
	return read(input, named, encoding)
}

// Read reads a configuration by the one dialect that fits. Its error names the lines that stand in the way.
func Read(input legacy.Input, candidates []*dialect.Dialect) (*File, error) {
	found, err := text.Detect(input)
	if err != nil {
		return nil, err
	}
	var readings []*dialect.Reading
	var files []*File
	for _, candidate := range candidates {
		if !candidate.Reads(dialect.Configuration) || candidate.Encoding != "" && candidate.Encoding != found {
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
		return nil, err
	}
	at := slices.IndexFunc(files, func(file *File) bool { return file.Dialect == chosen })
	if at < 0 {
		return &File{Encoding: found}, nil
	}
	return files[at], nil
}

func (f *File) reading() *dialect.Reading {
	reading := &dialect.Reading{Dialect: f.Dialect}
	for _, setting := range f.Settings {
		reading.MarkRead(setting.Line)
	}
	for _, kept := range f.Kept {
		reading.MarkUnread(kept.Line, kept.Reason)
	}
	if len(f.Settings) == 0 && len(f.Kept) > 0 {
		reading.Structure = errNothing
	}
	return reading
}

func read(input legacy.Input, by *dialect.Dialect, encoding text.Encoding) (*File, error) {
	reader := reader{File: &File{Dialect: by, Encoding: encoding}, input: input}
	for line, err := range text.Lines(input, encoding) {
		if err != nil {
			return nil, err
		}
		if line.Offset+line.Size > MaxFile {
			return nil, fmt.Errorf("%s: larger than %d bytes: not a configuration of CAPF", reader.at(line), MaxFile)
		}
		reader.line(line)
	}
	reader.noteTwice()
	return reader.File, nil
}

// reader holds what a line depends on.
type reader struct {
	*File
	input   legacy.Input
	section string
}

func (r *reader) at(line text.Line) legacy.Position {
	return legacy.Position{File: r.input.File, Line: line.Number}
}

func (r *reader) line(line text.Line) {
	trimmed := strings.TrimSpace(line.Text)
	switch {
	case line.Problem != "":
		r.keep(line, line.Problem)
	case trimmed == "" || r.Dialect.IsComment(trimmed):
	case r.Dialect.Sections && strings.HasPrefix(trimmed, "[") && strings.HasSuffix(trimmed, "]"):
		r.section = strings.TrimSpace(trimmed[1 : len(trimmed)-1])
	default:
		r.setting(line, trimmed)
	}
}

func (r *reader) setting(line text.Line, trimmed string) {
	key, value, problem := r.Dialect.CutPair(trimmed)
	if problem != "" {
		r.keep(line, problem)
		return
	}
	parameter, _ := r.Dialect.Parameter(key)
	r.Settings = append(r.Settings, Setting{
		Position: r.at(line), Section: r.section, Key: key, Parameter: parameter,
		Value: legacy.NewSecret(value), Secret: legacy.IsSecretKey(key), Bytes: line.Raw,
	})
	if line.Torn {
		r.warn(line, "the file ends without a line end: see whether the last value is whole")
	}
}

func (r *reader) keep(line text.Line, reason string) {
	r.Kept = append(r.Kept, line.Kept(r.input.File, reason))
	if line.PrivateKey {
		r.warn(line, legacy.PrivateKeyAdvice)
	}
}

func (r *reader) warn(line text.Line, reason string) {
	r.Findings = append(r.Findings, legacy.Finding{Position: r.at(line), Severity: legacy.Warning, Reason: reason})
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
			r.Findings = append(r.Findings, legacy.Finding{
				Position: setting.Position, Severity: legacy.Warning,
				Reason: fmt.Sprintf("sets %s, which line %d sets to another value", setting.Parameter, other.Line),
			})
		}
	}
}
