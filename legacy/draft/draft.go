// Package draft writes a dialect file to begin with for an old file whose form nobody has described: what can be told
// from the data is in it, and what cannot is left to be filled in, by lines that say so and keep the file from loading.
//
// It knows the forms of dialect and the shapes of shape, and guesses where those readers must not, since a person looks
// at what it prints. Nothing that may be a secret is printed: names of columns and keys, words for operations, states
// and modes without figures in them, and the patterns of times; no other values.
package draft

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"capf/legacy"
	"capf/legacy/dialect"
	"capf/legacy/text"
)

// Phones drafts a dialect for a file with phone records. The encoding is the one named, or found if none is. Its error
// is that the file cannot be read, or has no line to tell anything by.
func Phones(input legacy.Input, encoding text.Encoding) (string, error) {
	d, err := begin(input, encoding, dialect.Phones)
	if err != nil {
		return "", err
	}
	if err := d.phones(); err != nil {
		return "", err
	}
	return d.out.String(), nil
}

// Configuration drafts a dialect for a configuration, like Phones.
func Configuration(input legacy.Input, encoding text.Encoding) (string, error) {
	d, err := begin(input, encoding, dialect.Configuration)
	if err != nil {
		return "", err
	}
	if err := d.configuration(); err != nil {
		return "", err
	}
	return d.out.String(), nil
}

// draft is a file on its way to a dialect.
type draft struct {
	input    legacy.Input
	encoding text.Encoding
	layout   layout
	words    *dialect.Dialect // whose words and time formats are known
	out      strings.Builder
	open     int // words left to be filled in, each a key of its own
}

func begin(input legacy.Input, encoding text.Encoding, kind dialect.Kind) (*draft, error) {
	out := &draft{input: input, encoding: encoding, words: dialect.Builtin()[0]}
	note := "named"
	if encoding == "" {
		found, err := text.Find(input)
		var unclear *text.UnclearError
		if err != nil && !errors.As(err, &unclear) {
			return nil, err
		}
		out.encoding, note = found.Encoding, "found"
		if unclear != nil {
			out.encoding, note = guessed(unclear), unclear.Reason
		} else if found.Note() != "" {
			note = found.Note()
		}
		encoding = out.encoding
		if unclear != nil && len(unclear.Fitting) != 1 {
			encoding = dialect.FillIn
			note += fmt.Sprintf(": write one of %v, or draft again with --encoding, so that the words below are right", unclear.Fitting)
		}
	}
	if err := out.findLayout(kind); err != nil {
		return nil, err
	}
	out.print("# Drafted from %s. Look at every line. Where it says %s, put in its place what the comment says;", oneLine(legacy.Position{File: input.File}.String()), dialect.FillIn)
	out.print("# until then the file does not load. Then read by it: capf migrate inspect SOURCE --dialect THIS-FILE")
	out.print("")
	out.print("name = %s", quoted("drafted"))
	out.print("files = [%s]", quoted(string(kind)))
	out.print("encoding = %s  # %s", quoted(string(encoding)), oneLine(note))
	return out, nil
}

// guessed is what a file of unclear encoding is looked at in: lines are cut the same in all pages.
func guessed(unclear *text.UnclearError) text.Encoding {
	if len(unclear.Fitting) == 1 {
		return unclear.Fitting[0]
	}
	return text.Windows1251 // which has a character for every byte but one
}

func (d *draft) print(format string, values ...any) { fmt.Fprintf(&d.out, format+"\n", values...) }

// printForm writes what the form needs, in the words of the built-in dialect of that form.
func (d *draft) printForm() {
	d.print("form = %s", quoted(string(d.layout.form)))
	switch {
	case d.layout.separator == dialect.AtStarts:
		d.print("starts = [%s]  # where on the screen each column begins, counted from 1", numbers(d.layout.by.Starts))
	case d.layout.separator != 0:
		d.print("separators = [%s]", quoted(string(rune(d.layout.separator))))
	default:
		d.print("marks = [%s]", list(d.layout.marks))
	}
	if d.layout.by.Repeated {
		d.print("repeated-separators = true  # several in a row count as one, so that no value can be empty")
	}
	if d.layout.separator != dialect.AtStarts {
		d.print("quote = %s", quoted(d.layout.by.Quote))
	}
	d.print("comments = [%s]", list(d.layout.by.Comments))
}

// quoted writes a TOML string.
func quoted(text string) string {
	var out strings.Builder
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			out.WriteRune('\\')
			out.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&out, `\u%04X`, r)
		default:
			out.WriteRune(r)
		}
	}
	return `"` + out.String() + `"`
}

func list(texts []string) string {
	all := make([]string, len(texts))
	for i, text := range texts {
		all[i] = quoted(text)
	}
	return strings.Join(all, ", ")
}

func numbers(all []int) string {
	texts := make([]string, len(all))
	for i, one := range all {
		texts[i] = strconv.Itoa(one)
	}
	return strings.Join(texts, ", ")
}

// oneLine is a text as a comment may have it.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
}

// shown is a name or a word as it may be printed: masked, and empty if that changes it.
func shown(text string) string {
	if legacy.MaskText(text) != text || len(text) > longestWord {
		return ""
	}
	return text
}

// longestWord is the length in bytes of the longest name or word that is printed.
const longestWord = 80
