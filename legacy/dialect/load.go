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
	Repeated   bool     `toml:"repeated-separators"`
	Starts     []int    `toml:"starts"`
	Marks      []string `toml:"marks"`
	Quote      string   `toml:"quote"`
	Comments   []string `toml:"comments"`
	Sections   bool     `toml:"sections"`
	Order      []Field  `toml:"order"`
	Empty      []string `toml:"empty"`
	Times      []string `toml:"times"`
	TimeZone   string   `toml:"time-zone"`
	tables
}

// Builtin gives the dialects that are built in, one for each form.
func Builtin() []*Dialect {
	var out []*Dialect
	for _, name := range []Form{Delimited, Blocks, Headerless, Sections} {
		content, err := builtinFiles.ReadFile("builtin/" + string(name) + ".toml")
		if err != nil {
			panic(err) // embedded: cannot be missing
		}
		loaded, err := parse(content, string(name))
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
	content, err := text.AsUTF8(content)
	if err != nil {
		return nil, fmt.Errorf("dialect %s: %w", source, err)
	}
	loaded, err := parse(content, source)
	if err != nil {
		return nil, fmt.Errorf("dialect %w", err)
	}
	return loaded, nil
}

// FillIn begins what a drafted dialect leaves to the administrator: a value, or the key of words. Until it is replaced
// the file does not load.
const FillIn = "FILL-IN"

// openLine gives the number of the first line that is still to be filled in; 0 if there is none.
func openLine(content []byte) int {
	number := 0
	for line := range bytes.Lines(content) {
		number++
		before, _, _ := strings.Cut(string(line), "#")
		if strings.Contains(before, FillIn) {
			return number
		}
	}
	return 0
}

func parse(content []byte, source string) (*Dialect, error) {
	if line := openLine(content); line > 0 {
		return nil, fmt.Errorf("%s:%d: still open: put in the place of %s what the comment there says", source, line, FillIn)
	}
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
	encoding, known := text.ParseEncoding(f.Encoding)
	if f.Encoding != "" && !known {
		return nil, fmt.Errorf("encoding: %q is not known: one of %v", f.Encoding, text.Encodings)
	}
	out := &Dialect{
		Name: f.Name, Encoding: encoding, Form: f.Form,
		Separators: f.Separators, Repeated: f.Repeated, Starts: f.Starts, Marks: f.Marks, Quote: f.Quote, Comments: f.Comments,
		Sections: f.Sections || f.Form == Sections, Order: f.Order, Zone: f.TimeZone, kinds: f.Files, empty: map[string]bool{},
	}
	for _, word := range f.Empty {
		out.empty[word] = true
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	if f.Starts != nil {
		out.Separators = []string{string([]byte{AtStarts})}
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
	configuration := slices.Contains(f.Files, Configuration)
	switch f.Form {
	case Delimited, Headerless:
		if f.Marks != nil || f.Sections {
			return fmt.Errorf("form: %q has no marks and no sections", f.Form)
		}
		if configuration && f.Form == Delimited {
			return errors.New(`form: a configuration has no header line: it is read by form = "blocks", "sections" or "headerless"`)
		}
		if f.Starts != nil {
			if err := f.checkStarts(); err != nil {
				return err
			}
			break
		}
		if err := f.checkMarks("separators", f.Separators); err != nil {
			return err
		}
	case Blocks, Sections:
		if f.Separators != nil || f.Repeated || f.Starts != nil {
			return fmt.Errorf("form: %q has no separators and no starts", f.Form)
		}
		if err := f.checkMarks("marks", f.Marks); err != nil {
			return err
		}
	default:
		return fmt.Errorf("form: %q is not known: %q, %q, %q or %q", f.Form, Delimited, Headerless, Blocks, Sections)
	}
	return f.checkOrder()
}

// checkOrder holds the columns of a file without a header line to known fields, each given once.
func (f *file) checkOrder() error {
	if f.Order == nil {
		return nil
	}
	if f.Form != Headerless {
		return fmt.Errorf("order: the columns of form = %q have names: put them into [columns]", f.Form)
	}
	given := map[Field]bool{}
	for i, field := range f.Order {
		switch {
		case field == "":
		case !slices.Contains(Fields, field):
			return fmt.Errorf(`order: column %d: %q is not known: one of %v, or "" for none of them`, i+1, field, Fields)
		case given[field]:
			return fmt.Errorf("order: column %d: %s is given twice", i+1, field)
		}
		given[field] = true
	}
	if delete(given, ""); !given[Device] || len(given) < 2 {
		return fmt.Errorf("order: must have %q and another field", Device)
	}
	return nil
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
