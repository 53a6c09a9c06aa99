package dialect_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"capf/legacy/dialect"
)

const padded = `name = "mine"
files = ["phones"]
form = "headerless"
starts = [2, 8, 12]
order = ["device", "state", ""]
`

func TestCutAtStarts(t *testing.T) {
	d := parse(t, padded)
	for line, want := range map[string][]string{
		" abc   ok  rest of it ": {"abc", "ok", "rest of it"},
		" abcdefghijklm":         {"abcdef", "ghij", "klm"}, // a value may reach the next column
		" abc":                   {"abc", "", ""},
		"            end":        {"", "", "end"},
		" 東京  ü a ok":            {"東京", "ü a", "ok"},
	} {
		row, problem := d.CutRow(nil, line, dialect.AtStarts)
		if diff := cmp.Diff(want, row); problem != "" || diff != "" {
			t.Errorf("%q: %s\n%s", line, problem, diff)
		}
		for i, span := range d.RowSpans(line, dialect.AtStarts) {
			if line[span.From:span.To] != want[i] {
				t.Errorf("%q: column %d is said to be %q", line, i+1, line[span.From:span.To])
			}
		}
	}
	for line, want := range map[string]string{
		"x abc  ok":       "text before the first column",
		" abc\tok":        "has a tab",
		" abcde東京 x":      "across the beginning of column 2",
		"x":               "text before the first column",
		"東 abc   ok  end": "across the beginning of column 1",
	} {
		if row, problem := d.CutRow(nil, line, dialect.AtStarts); !strings.Contains(problem, want) {
			t.Errorf("%q: %q, %q", line, row, problem)
		}
	}
}

func TestCutRepeated(t *testing.T) {
	d := parse(t, `name = "mine"
files = ["phones"]
form = "headerless"
separators = [" "]
repeated-separators = true
quote = "\""
`)
	for line, want := range map[string][]string{
		"  a   b c  ":    {"a", "b", "c"},
		`"a  b"   "" c`:  {"a  b", "", "c"},
		"a":              {"a"},
		"  a  \t b":      {"a", "b"},
		`   "x y"`:       {"x y"},
		"a b \"c  d\"  ": {"a", "b", "c  d"},
	} {
		row, problem := d.CutRow(nil, line, ' ')
		if diff := cmp.Diff(want, row); problem != "" || diff != "" {
			t.Errorf("%q: %s\n%s", line, problem, diff)
		}
		for i, span := range d.RowSpans(line, ' ') {
			if line[span.From:span.To] != want[i] {
				t.Errorf("%q: column %d is said to be %q", line, i+1, line[span.From:span.To])
			}
		}
	}
}

func TestWrongStarts(t *testing.T) {
	for change, want := range map[string]string{
		"starts = [2, 2, 12]":                              "2 of column 2 is not behind 2",
		"starts = [0, 2, 12]":                              "0 of column 1 is not behind 0",
		"starts = [2]":                                     "1 columns, not 2 to 64",
		"starts = [2, 8]":                                  "order: has 3 columns, starts has 2",
		"starts = [2, 8, 12]\nseparators = [\",\"]":        "have no separators",
		"starts = [2, 8, 12]\nquote = \"'\"":               "no quote",
		"starts = [2, 8, 12]\nrepeated-separators = true":  "have no separators",
		"starts = [2, 8, 12]\nmarks = [\"=\"]":             "has no marks",
		"separators = [\"\\u00ff\"]":                       "not one ASCII character",
		"starts = [2, 8, 12]\nencoding = \"no such page\"": "is not known",
	} {
		_, err := dialect.Parse([]byte(strings.Replace(padded, "starts = [2, 8, 12]", change, 1)), "mine.toml")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", change, err)
		}
	}
	for _, form := range []string{`form = "blocks"`, `form = "sections"`} {
		_, err := dialect.Parse([]byte("name = \"x\"\nfiles = [\"phones\"]\n"+form+"\nmarks = [\"=\"]\nstarts = [1, 2]\n"), "mine.toml")
		if err == nil || !strings.Contains(err.Error(), "no starts") {
			t.Errorf("%s: %v", form, err)
		}
	}
	configuration := strings.Replace(padded, `"phones"`, `"configuration"`, 1)
	if _, err := dialect.Parse([]byte(configuration), "mine.toml"); err == nil || !strings.Contains(err.Error(), "repeated-separators") {
		t.Error(err)
	}
}

// Whatever a line is, its values are at their places, and no byte of it is in none unless it is a space.
func FuzzCutAtStarts(f *testing.F) {
	f.Add(" abc   ok  rest")
	f.Add(" 東京  ü a ok")
	f.Fuzz(func(t *testing.T, line string) {
		d, err := dialect.Parse([]byte(padded), "mine.toml")
		if err != nil {
			t.Fatal(err)
		}
		row, problem := d.CutRow(nil, line, dialect.AtStarts)
		if problem != "" {
			return
		}
		if len(row) != 3 {
			t.Fatalf("%q", row)
		}
		rest := line
		for i, span := range d.RowSpans(line, dialect.AtStarts) {
			if line[span.From:span.To] != row[i] {
				t.Fatalf("column %d of %q is %q", i+1, line, row[i])
			}
			rest = rest[:span.From] + strings.Repeat(" ", span.To-span.From) + rest[span.To:]
		}
		if strings.TrimSpace(rest) != "" {
			t.Fatalf("%q of %q is in no column", rest, line)
		}
	})
}
