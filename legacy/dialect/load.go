package dialect

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"capf/legacy/text"
)

// maxFile is the size in bytes of the largest dialect file that is read.
const maxFile = 256 << 10

//go:embed builtin/*.toml
var builtinFiles embed.FS

// file is a dialect as TOML has it.
type file struct {
	Name       string   `toml:"name"`
	Files      []Kind   `toml:"files"`
	Form       Form     `toml:"form"`
	Encoding   string   `toml:"encoding"`
	Separators []string `toml:"separators"`
	Marks      []string `toml:"marks"`
	Quote      string   `toml:"quote"`
	Comments   []string `toml:"comments"`
	Sections   bool     `toml:"sections"`
	Empty      []string `toml:"empty"`
	Times      []string `toml:"times"`
	TimeZone   string   `toml:"time-zone"`
	tables
}

// Builtin gives the dialects that are built in, those with a header line first.
func Builtin() []*Dialect {
	var out []*Dialect
	for _, name := range []string{"delimited", "blocks"} {
		content, err := builtinFiles.ReadFile("builtin/" + name + ".toml")
		if err != nil {
			panic(err) // embedded: cannot be missing
		}
		loaded, err := parse(content, name)
		if err != nil {
			panic(err) // embedded: a test reads them all
		}
		loaded.Source = ""
		out = append(out, loaded)
	}
	return out
}

// Load reads a dialect from a file that the administrator names. Its error has the path, and the line where TOML or a
// key is wrong.
func Load(path string) (*Dialect, error) {
	opened, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("dialect: %w", err)
	}
	defer opened.Close()
	content, err := io.ReadAll(io.LimitReader(opened, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("dialect %s: %w", path, err)
	}
	if len(content) > maxFile {
		return nil, fmt.Errorf("dialect %s: larger than %d bytes: not a dialect file", path, maxFile)
	}
	return Parse(content, path)
}

// Parse reads a dialect from the content of a file of the name given.
func Parse(content []byte, source string) (*Dialect, error) {
	loaded, err := parse(content, source)
	if err != nil {
		return nil, fmt.Errorf("dialect %w", err)
	}
	return loaded, nil
}

func parse(content []byte, source string) (*Dialect, error) {
	var read file
	if err := decodeStrict(content, &read); err != nil {
		return nil, fmt.Errorf("%s:%w", source, err)
	}
	made, err := read.compile()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", source, err)
	}
	made.Source = source
	made.digest = digestOf(content, defaultWords)
	return made, nil
}

// decodeStrict gives errors that begin with the line number.
func decodeStrict(content []byte, into any) error {
	err := toml.NewDecoder(bytes.NewReader(content)).DisallowUnknownFields().Decode(into)
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) && len(unknown.Errors) > 0 {
		row, _ := unknown.Errors[0].Position()
		return fmt.Errorf("%d: key %q is not known", row, strings.Join(unknown.Errors[0].Key(), "."))
	}
	var wrong *toml.DecodeError
	if errors.As(err, &wrong) {
		row, column := wrong.Position()
		return fmt.Errorf("%d: column %d: %s", row, column, strings.TrimPrefix(wrong.Error(), "toml: "))
	}
	if err != nil {
		return fmt.Errorf("1: %w", err)
	}
	return nil
}

func digestOf(parts ...[]byte) string {
	hash := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(hash, "%d\n", len(part))
		hash.Write(part)
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// compile checks what was read and makes it ready for use.
func (f *file) compile() (*Dialect, error) {
	out := &Dialect{
		Name: f.Name, Encoding: text.Encoding(f.Encoding), Form: f.Form,
		Separators: f.Separators, Marks: f.Marks, Quote: f.Quote, Comments: f.Comments,
		Sections: f.Sections, Zone: f.TimeZone, kinds: f.Files, empty: map[string]bool{},
	}
	for _, word := range f.Empty {
		out.empty[word] = true
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	var err error
	if out.clock, err = newClock(f.Times, f.TimeZone); err != nil {
		return nil, err
	}
	return out, f.tables.fill(out)
}

func (f *file) check() error {
	switch {
	case strings.TrimSpace(f.Name) == "":
		return errors.New(`name: missing: give the dialect one, such as name = "mine"`)
	case len(f.Files) == 0:
		return errors.New(`files: missing: say which it describes, such as files = ["phones"]`)
	case f.Encoding != "" && !slices.Contains(text.Encodings, text.Encoding(f.Encoding)):
		return fmt.Errorf("encoding: %q is not known: one of %v", f.Encoding, text.Encodings)
	case f.Quote != "" && !singleByte(f.Quote):
		return fmt.Errorf("quote: %q is not one ASCII character", f.Quote)
	case slices.Contains(f.Comments, ""):
		return errors.New("comments: an empty mark would make every line a comment")
	}
	for _, kind := range f.Files {
		if kind != Phones && kind != Configuration {
			return fmt.Errorf("files: %q is not known: %q or %q", kind, Phones, Configuration)
		}
	}
	return f.checkForm()
}

func (f *file) checkForm() error {
	switch f.Form {
	case Delimited:
		if f.Marks != nil || f.Sections {
			return errors.New(`form: "delimited" has no marks and no sections`)
		}
		if slices.Contains(f.Files, Configuration) {
			return errors.New(`form: a configuration is read by form = "blocks" only`)
		}
		return f.checkMarks("separators", f.Separators)
	case Blocks:
		if f.Separators != nil {
			return errors.New(`form: "blocks" has no separators`)
		}
		return f.checkMarks("marks", f.Marks)
	default:
		return fmt.Errorf("form: %q is not known: %q or %q", f.Form, Delimited, Blocks)
	}
}

// checkMarks holds separators and marks to one ASCII character: they are looked for in every line.
func (f *file) checkMarks(key string, marks []string) error {
	if len(marks) == 0 {
		return fmt.Errorf("%s: missing for form = %q", key, f.Form)
	}
	for _, mark := range marks {
		if !singleByte(mark) || mark == f.Quote {
			return fmt.Errorf("%s: %q is not one ASCII character other than a letter, a digit or the quote", key, mark)
		}
	}
	return nil
}

func singleByte(text string) bool {
	if len(text) != 1 || text[0] >= 0x7f || text[0] < ' ' && text[0] != '\t' {
		return false
	}
	return !isLetter(text[0]) && markOf(text) != 0
}
