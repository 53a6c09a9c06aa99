package dialect_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"capf/legacy"
	"capf/legacy/dialect"
	"capf/legacy/text"
)

// minimal is the shortest dialect file that is right.
const minimal = `name = "mine"
files = ["phones"]
form = "delimited"
separators = [","]
`

// headerless is the same without a header line.
var headerless = strings.Replace(minimal, "delimited", "headerless", 1)

func parse(t testing.TB, content string) *dialect.Dialect {
	t.Helper()
	made, err := dialect.Parse([]byte(content), "mine.toml")
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestBuiltin(t *testing.T) {
	builtin := dialect.Builtin()
	if len(builtin) != 4 {
		t.Fatalf("%d dialects", len(builtin))
	}
	for i, want := range []struct {
		name          string
		form          dialect.Form
		configuration bool
	}{{"delimited", dialect.Delimited, false}, {"blocks", dialect.Blocks, true}, {"headerless", dialect.Headerless, true}, {"sections", dialect.Sections, false}} {
		got := builtin[i]
		if got.Name != want.name || got.String() != want.name || got.Form != want.form ||
			!got.Reads(dialect.Phones) || got.Reads(dialect.Configuration) != want.configuration {
			t.Errorf("got %+v", got)
		}
	}
	if builtin[0].Digest() == builtin[1].Digest() || builtin[0].Digest() != dialect.Builtin()[0].Digest() {
		t.Error("digests do not tell the dialects apart")
	}
}

func TestBuiltinWords(t *testing.T) {
	d := dialect.Builtin()[0]
	for word, want := range map[string]dialect.Field{
		"Device Name": dialect.Device, "AUTH_STRING": dialect.AuthenticationString, "key size (bits)": dialect.KeySize,
		"Certificate Operation": dialect.Operation, "Operation Completes by": dialect.CompletesBy,
	} {
		if got, ok := d.Field(word); !ok || got != want {
			t.Errorf("Field(%q) = %q, %v", word, got, ok)
		}
	}
	for word, want := range map[string]legacy.Operation{
		"Install/Upgrade": legacy.OperationInstall, "no pending operation": legacy.OperationNone,
		"DELETE": legacy.OperationDelete, "Troubleshoot": legacy.OperationTroubleshoot,
	} {
		if got, ok := d.Operation(word); !ok || got != want {
			t.Errorf("Operation(%q) = %q, %v", word, got, ok)
		}
	}
	for word, want := range map[string]legacy.State{
		"Operation Pending": legacy.StatePending, "Upgrade Success": legacy.StateSuccess,
		"Delete Failed": legacy.StateFailed, "None": legacy.StateNone,
	} {
		if got, ok := d.State(word); !ok || got != want {
			t.Errorf("State(%q) = %q, %v", word, got, ok)
		}
	}
	for word, want := range map[string]legacy.AuthenticationMode{
		"By Authentication String": legacy.ModeAuthenticationString, "null-string": legacy.ModeNullString,
		"By Existing Certificate (Precedence to LSC)": legacy.ModeExistingCertificateLSC,
		"existing-certificate-mic":                    legacy.ModeExistingCertificateMIC,
	} {
		if got, ok := d.AuthenticationMode(word); !ok || got != want {
			t.Errorf("AuthenticationMode(%q) = %q, %v", word, got, ok)
		}
	}
	for _, unknown := range []string{"", "instal", "ïnstall", strings.Repeat("x", 200)} {
		if got, ok := d.Operation(unknown); ok {
			t.Errorf("Operation(%q) = %q", unknown, got)
		}
	}
}

// The names of cli.md are understood as they are, so that a file of ours can be read by the built-in dialects.
func TestContractWords(t *testing.T) {
	d := dialect.Builtin()[1]
	for _, name := range []string{
		"certificate-issuer", "duration-of-certificate-validity", "key-size", "maximum-key-generation-time",
		"maximum-key-generation-attempts", "keon-jurisdiction-id", "scep-port-number", "certificate-authority-address",
		"capf-phone-port", "capf-operation-expires-in",
	} {
		if got, ok := d.Parameter(name); !ok || got != name {
			t.Errorf("Parameter(%q) = %q, %v", name, got, ok)
		}
	}
	for _, word := range []legacy.Operation{"none", "install", "delete", "troubleshoot"} {
		if got, ok := d.Operation(string(word)); !ok || got != word {
			t.Errorf("Operation(%q) = %q", word, got)
		}
	}
}

func TestParse(t *testing.T) {
	d := parse(t, minimal+`encoding = "windows-1252"
comments = ["//"]
empty = ["(none)"]
times = ["02/01/2006 15:04"]
time-zone = "Europe/Berlin"
[columns]
device = ["Apparat"]
operation = ["Vorgang"]
[operations]
install = ["einrichten", "Ätzen"]
`)
	if d.Encoding != text.Windows1252 || d.Zone != "Europe/Berlin" || d.String() != "mine (mine.toml)" {
		t.Errorf("got %+v", d)
	}
	if _, ok := d.Field("device"); ok {
		t.Error("a built-in word is known beside a table of the dialect's own")
	}
	if field, _ := d.Field("apparat"); field != dialect.Device {
		t.Error("a word of the dialect's own is not known")
	}
	if operation, _ := d.Operation("ÄTZEN"); operation != legacy.OperationInstall {
		t.Error("a word with an umlaut is not known")
	}
	if state, _ := d.State("failed"); state != legacy.StateFailed {
		t.Error("a table that is absent does not stand for the built-in words")
	}
	if !d.IsEmpty("(none)") || !d.IsEmpty("") || d.IsEmpty("-") {
		t.Error("words for nothing")
	}
	if !d.IsComment("  // x") || d.IsComment("# x") {
		t.Error("comment marks")
	}
	if d.Digest() == parse(t, minimal).Digest() {
		t.Error("another file has the same digest")
	}
}

func TestParseRefuses(t *testing.T) {
	tests := []struct{ name, content, want string }{
		{"unknown key", minimal + "colour = 1\n", `mine.toml:5: key "colour" is not known`},
		{"unknown word of a table", minimal + "[operations]\ninstal = [\"x\"]\n", `mine.toml:6: key "operations.instal" is not known`},
		{"wrong type", "name = 3\n", "mine.toml:1: column 8"},
		{"no TOML", minimal + "= 3\n", "mine.toml:5:"},
		{"nothing", "", "mine.toml: name: missing"},
		{"no files", "name = \"x\"\n", "files: missing"},
		{"unknown file", strings.Replace(minimal, "phones", "users", 1), `files: "users" is not known`},
		{"unknown form", strings.Replace(minimal, `"delimited"`, `"columns"`, 1), `form: "columns" is not known`},
		{"unknown encoding", minimal + "encoding = \"latin-9\"\n", `encoding: "latin-9" is not known`},
		{"no separator", strings.Replace(minimal, `[","]`, "[]", 1), "separators: missing"},
		{"long separator", strings.Replace(minimal, `","`, `", "`, 1), `separators: ", " is not one ASCII character`},
		{"separator that is a digit", strings.Replace(minimal, `","`, `"1"`, 1), `separators: "1"`},
		{"separator that is the quote", strings.Replace(minimal, `","`, `"'"`, 1) + "quote = \"'\"\n", "or the quote"},
		{"marks without blocks", minimal + "marks = [\"=\"]\n", `form: "delimited" has no marks`},
		{"separators in blocks", strings.Replace(minimal, `"delimited"`, `"blocks"`, 1), `form: "blocks" has no separators`},
		{"delimited configuration", strings.Replace(minimal, "phones", "configuration", 1), "form: a configuration"},
		{"long quote", minimal + "quote = \"''\"\n", `quote: "''" is not one ASCII character`},
		{"empty comment mark", minimal + "comments = [\"\"]\n", "comments: an empty mark"},
		{"order with a header line", minimal + "order = [\"device\"]\n", "order: the columns of form = \"delimited\" have names"},
		{"order of unknown fields", headerless + "order = [\"device\", \"unit\"]\n", `order: column 2: "unit" is not known`},
		{"order with a field twice", headerless + "order = [\"device\", \"\", \"\", \"device\"]\n", "order: column 4: device is given twice"},
		{"order without a device", headerless + "order = [\"state\", \"operation\"]\n", `order: must have "device"`},
		{"order of a device alone", headerless + "order = [\"device\", \"\"]\n", `order: must have "device" and another`},
		{"marks without a header line", headerless + "marks = [\"=\"]\n", `form: "headerless" has no marks`},
		{"a value to be filled in", minimal + "# FILL-IN is explained\nencoding = \"FILL-IN\" # one of them\n", "mine.toml:6: still open: put in the place of FILL-IN"},
		{"words to be filled in", minimal + "[operations]\nFILL-IN-1 = [\"x\"]\n", "mine.toml:6: still open"},
		{"word with two meanings", minimal + "[states]\nsuccess = [\"done\"]\nfailed = [\"DONE\"]\n", `word "DONE" stands for both success and failed`},
		{"word of marks only", minimal + "[states]\nsuccess = [\"--\"]\n", `word "--" has no letter or digit`},
		{"time without a year", minimal + "times = [\"15:04:05\"]\n", `times: "15:04:05"`},
		{"empty time", minimal + "times = [\"\"]\n", `times: ""`},
		{"time with a zone's letters", minimal + "times = [\"2006-01-02 15:04:05 MST\"]\n", "zones as figures only"},
		{"unknown zone", minimal + "time-zone = \"Berlin\"\n", `time-zone: "Berlin" is not an IANA zone`},
		{"zone of this machine", minimal + "time-zone = \"Local\"\n", `time-zone: "Local"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := dialect.Parse([]byte(test.content), "mine.toml")
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want %s", err, test.want)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error has more than one line: %q", err)
			}
		})
	}
}

func TestLoad(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "mine.toml")
	if err := os.WriteFile(path, []byte(minimal), 0o600); err != nil {
		t.Fatal(err)
	}
	if d, err := dialect.Load(path); err != nil || d.Source != path {
		t.Errorf("got %v, %v", d, err)
	}
	marked, err := dialect.Parse([]byte("\uFEFF"+minimal), path)
	if plain, _ := dialect.Load(path); err != nil || marked.Digest() != plain.Digest() {
		t.Errorf("with a mark before UTF-8: %v, %v", marked, err)
	}
	wide := []byte{0xfe, 0xff}
	for _, unit := range utf16.Encode([]rune(minimal)) {
		wide = append(wide, byte(unit>>8), byte(unit))
	}
	if saved, err := dialect.Parse(wide, path); err != nil || saved.Digest() != marked.Digest() {
		t.Errorf("as UTF-16: %v, %v", saved, err)
	}
	if _, err := dialect.Load(filepath.Join(folder, "absent")); err == nil {
		t.Error("an absent file was loaded")
	}
	if err := os.WriteFile(path, []byte(strings.Repeat("#\n", 200_000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := dialect.Load(path); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("got %v", err)
	}
}

func TestTimes(t *testing.T) {
	local := func(year, month, day, hour, minute, second int) legacy.Time {
		return legacy.Time{Clock: time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)}
	}
	absolute := local(2005, 3, 4, 4, 6, 7)
	absolute.Absolute = true
	want := local(2005, 3, 4, 5, 6, 7)
	d := dialect.Builtin()[0]
	for value, want := range map[string]legacy.Time{
		"2005-03-04 05:06:07": want, "2005-03-04T05:06:07": want, "2005/03/04 05:06:07": want, "20050304050607": want,
		"04.03.2005 05:06:07": want, "4 Mar 2005 05:06:07": want, "Mar 4, 2005 05:06:07": want,
		"Mar  4, 2005 5:06:07 AM": want, "Fri Mar  4 05:06:07 2005": want, "2005-03-04 05:06": local(2005, 3, 4, 5, 6, 0),
		"2005-03-04T05:06:07+01:00": absolute, "2005-03-04T04:06:07Z": absolute,
	} {
		if got, err := d.Time(value, ""); err != nil || got != want {
			t.Errorf("Time(%q) = %v, %v; want %v", value, got, err, want)
		}
	}
	for _, value := range []string{
		"", "2005-02-30 00:00:00", "03/04/2005 05:06:07", "2005-03-04", "yesterday", "0000-00-00 00:00:00", "12345678",
		"2005-03-04 25:00:00",
	} {
		if got, err := d.Time(value, ""); err == nil {
			t.Errorf("Time(%q) = %v", value, got)
		}
	}
}

func TestTimeThatReadsTwice(t *testing.T) {
	d := parse(t, minimal+`times = ["02/01/2006 15:04", "01/02/2006 15:04"]`)
	for value, ok := range map[string]bool{"31/12/2005 10:00": true, "04/04/2005 10:00": true, "03/04/2005 10:00": false} {
		if got, err := d.Time(value, ""); (err == nil) != ok {
			t.Errorf("Time(%q) = %v, %v", value, got, err)
		}
	}
}

func TestTimeZone(t *testing.T) {
	d := parse(t, minimal+"times = [\"2006-01-02 15:04\"]\ntime-zone = \"Europe/Berlin\"\n")
	for value, want := range map[string]string{
		"2005-01-10 12:00": "2005-01-10T11:00:00Z",
		"2005-07-10 12:00": "2005-07-10T10:00:00Z",
		"2005-03-27 01:59": "2005-03-27T00:59:00Z",
		"2005-03-27 02:30": "2005-03-27T02:30:00", // did not happen
		"2005-03-27 03:00": "2005-03-27T01:00:00Z",
		"2005-10-30 02:30": "2005-10-30T02:30:00", // happened twice
		"2005-10-30 03:00": "2005-10-30T02:00:00Z",
	} {
		if got, err := d.Time(value, ""); err != nil || got.String() != want {
			t.Errorf("Time(%q) = %v, %v; want %s", value, got, err, want)
		}
	}
}

func TestCutRow(t *testing.T) {
	d := dialect.Builtin()[0]
	tests := []struct {
		line      string
		separator byte
		want      []string
		problem   string
	}{
		{"a,b,c", ',', []string{"a", "b", "c"}, ""},
		{" a , b ,", ',', []string{"a", "b", ""}, ""},
		{"a\t\tb", '\t', []string{"a", "", "b"}, ""},
		{`"a,b","c ""d""", e`, ',', []string{"a,b", `c "d"`, "e"}, ""},
		{`"" ,x`, ',', []string{"", "x"}, ""},
		{`Tom "T" X,b`, ',', []string{`Tom "T" X`, "b"}, ""},
		{`"a`, ',', nil, "a quote is not closed"},
		{`"a"b,c`, ',', nil, "text after a quoted value"},
		{"", ',', []string{""}, ""},
		{`a,"b",`, ',', []string{"a", "b", ""}, ""},
	}
	for _, test := range tests {
		got, problem := d.CutRow(nil, test.line, test.separator)
		if problem != test.problem {
			t.Errorf("%q: problem %q, want %q", test.line, problem, test.problem)
			continue
		}
		if diff := cmp.Diff(test.want, got); problem == "" && diff != "" {
			t.Errorf("%q: %s", test.line, diff)
		}
	}
}

func TestCutPair(t *testing.T) {
	d := dialect.Builtin()[1]
	for line, want := range map[string][3]string{
		"a=b":            {"a", "b", ""},
		" a : b=c ":      {"a", "b=c", ""},
		"a=00:11:22":     {"a", "00:11:22", ""},
		`a="b # ""c"" "`: {"a", `b # "c" `, ""},
		"a=":             {"a", "", ""},
		"a":              {"", "", "no key and value"},
		"=b":             {"", "", "no key before the mark"},
		`a="b`:           {"a", "", "a quote is not closed"},
		`a="b"c`:         {"a", "b", "text after the quote"},
	} {
		key, value, problem := d.CutPair(line)
		if got := [3]string{key, value, problem}; got != want {
			t.Errorf("CutPair(%q) = %q, want %q", line, got, want)
		}
	}
}

// A row that is cut and put together with quotes is cut into the same values.
func FuzzCutRow(f *testing.F) {
	f.Add(`a,"b ""c""",d`)
	f.Add(`"`)
	d := dialect.Builtin()[0]
	f.Fuzz(func(t *testing.T, line string) {
		values, problem := d.CutRow(nil, line, ',')
		if problem != "" {
			return
		}
		var again []string
		for _, value := range values {
			again = append(again, `"`+strings.ReplaceAll(value, `"`, `""`)+`"`)
		}
		got, problem := d.CutRow(nil, strings.Join(again, ","), ',')
		if diff := cmp.Diff(values, got); problem != "" || diff != "" {
			t.Errorf("%q: %s %s", line, problem, diff)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(minimal))
	f.Add([]byte(minimal + "times = [\"2006\"]\n[columns]\ndevice = [\"x\"]\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		d, err := dialect.Parse(content, "mine.toml")
		if (err == nil) == (d == nil) {
			t.Fatalf("got %v beside %v", d, err)
		}
		if d != nil {
			_, _ = d.Time("2005-03-04 05:06:07", "")
			_, _ = d.CutRow(nil, "a,b", ',')
		}
	})
}
