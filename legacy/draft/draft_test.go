package draft_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"

	"capf/legacy"
	"capf/legacy/cfgfile"
	"capf/legacy/dialect"
	"capf/legacy/draft"
	"capf/legacy/phonefile"
	"capf/legacy/text"
)

// secrets are in all files here, and must be in no draft.
const oneSecret, otherSecret = "47110815", "2468"

var forms = map[string]string{
	"delimited": "Device Name|Operation|Status|Status Time|Auth Mode|Auth String|Key Size|Room\r\n" +
		"SEP000AB8001C40|install|pending|13/01/2005 10:00|string|" + oneSecret + "|1024|Lobby\r\n" +
		"SEP000AB8001C41|none|Delete Failed|03/04/2005 10:00|string|" + otherSecret + "|2048|Floor 1\r\n",
	"headerless": "000AB8001C40\tinstall\tpending\t2005-01-02 03:04:05\tstring\t" + oneSecret + "\t1024\tx\r\n" +
		"000AB8001C41\tdelete\tok\t04.03.2005 10:00\tnull\t" + otherSecret + "\t2048\t\r\n",
	"blocks": "# phones\r\ndevice: SEP000AB8001C40\r\nop: install\r\nstate: pending\r\nauth string: " + oneSecret + "\r\ntime: 1/2/2005 3:04:05 PM\r\n\r\n" +
		"device = SEP000AB8001C41\r\nop=delete\r\nstate=ok\r\nauth string=\"" + otherSecret + "\"\r\ntime=1/13/2005 3:04:05 PM\r\nPIN=" + otherSecret + "x\r\n",
	"sections": "[SEP000AB8001C40]\r\nop=install\r\nstate=pending\r\nauth string=" + oneSecret + "\r\n[Phone2]\r\nmac=000AB8001C41\r\nstatus=Upgrade Success\r\nauth string=" + otherSecret + "\r\n",
}

func records(t *testing.T, file *phonefile.File, err error) (out []phonefile.Record) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	for item, err := range file.Items() {
		if err != nil {
			t.Fatal(err)
		}
		if item.Record != nil {
			out = append(out, *item.Record)
		}
		if item.Kept != nil {
			t.Errorf("kept aside: %v", item.Kept)
		}
	}
	return out
}

var sameSecrets = cmp.Comparer(func(a, b legacy.Secret) bool { return a.Reveal() == b.Reveal() })

// What is drafted from a file that a built-in dialect reads, loads, and reads the same.
func TestRoundTrip(t *testing.T) {
	for form, content := range forms {
		t.Run(form, func(t *testing.T) {
			input := legacy.BytesInput("CAPF.phone", []byte(content))
			drafted, err := draft.Phones(input, "")
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(drafted, oneSecret) || strings.Contains(drafted, otherSecret) {
				t.Errorf("a secret is in\n%s", drafted)
			}
			d, err := dialect.Parse([]byte(drafted), "drafted.toml")
			if err != nil {
				t.Fatalf("%v in\n%s", err, drafted)
			}
			if string(d.Form) != form {
				t.Errorf("form %q", d.Form)
			}
			builtin, err := phonefile.Open(input, dialect.Builtin())
			want := records(t, builtin, err)
			named, err := phonefile.OpenAs(input, d)
			if diff := cmp.Diff(want, records(t, named, err), sameSecrets); diff != "" || len(want) != 2 {
				t.Errorf("%s\n%s", diff, drafted)
			}
		})
	}
}

// Columns that are padded with spaces are read by no built-in dialect. What is drafted for them reads every record.
func TestPadded(t *testing.T) {
	japanese, err := japanese.ShiftJIS.NewEncoder().String("Device Name      Operation   Auth String  Room\r\n" +
		"SEP000AB8001C40  install     " + oneSecret + "     東京受付 2階\r\nSEP000AB8001C41  delete      " + otherSecret + "         大阪ソ\r\n")
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ content, want, other string }{
		"header": {"Device Name      Operation    Status             Status Time          Key Size  Auth String\r\n" +
			"SEP000AB8001C40  install      Operation Pending  2005-01-02 03:04:05       1024  " + oneSecret + "\r\n" +
			"SEP000AB8001C41  delete       ok                 2005-01-02 10:04:05        512\r\n", "starts = [1, 18, 31, 50, 71, 81]", ""},
		"headerless": {"SEP000AB8001C40  install   " + oneSecret + "  1024\r\nSEP000AB8001C41  delete    " + otherSecret + "      2048\r\n",
			"starts = [1, 18, 28, 38]", ""},
		"ragged": {"SEP000AB8001C40 install  " + oneSecret + "  1024\r\nSEP000AB8001C41   delete    " + otherSecret + " 2048\r\n",
			"repeated-separators = true", ""},
		"double width": {japanese, "starts = [1, 18, 30, 43]", `encoding = "windows-932"`},
	} {
		input := legacy.BytesInput("CAPF.phone", []byte(test.content))
		if file, err := phonefile.Open(input, dialect.Builtin()); err == nil && file.Dialect != nil {
			t.Errorf("%s: is read by %v", name, file.Dialect)
		}
		drafted, line := open(t, []byte(test.content))
		if line != "" || !strings.Contains(drafted, test.want) || !strings.Contains(drafted, test.other) || strings.Contains(drafted, oneSecret) {
			t.Errorf("%s: %q is open in\n%s", name, line, drafted)
			continue
		}
		d, err := dialect.Parse([]byte(drafted), "drafted.toml")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		file, err := phonefile.OpenAs(input, d)
		got := records(t, file, err)
		if len(got) != 2 || got[1].Device != "SEP000AB8001C41" || got[1].Operation != legacy.OperationDelete || got[0].AuthenticationString.Reveal() != oneSecret {
			t.Errorf("%s: %+v by\n%s", name, got, drafted)
		}
	}
}

// open drafts a file and says what the load error names.
func open(t *testing.T, content []byte) (drafted, line string) {
	t.Helper()
	drafted, err := draft.Phones(legacy.BytesInput("CAPF.phone", content), "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = dialect.Parse([]byte(drafted), "drafted.toml")
	if err == nil {
		return drafted, ""
	}
	var number int
	if _, err := fmt.Sscanf(err.Error(), "dialect drafted.toml:%d: still open", &number); err != nil {
		t.Fatalf("%v in\n%s", err, drafted)
	}
	return drafted, strings.Split(drafted, "\n")[number-1]
}

// What the data leave open is a line to be filled in, and the draft loads when all are.
func TestOpen(t *testing.T) {
	many := func(row string) string { return strings.Repeat(row, 5) }
	for name, test := range map[string]struct{ content, line, filled string }{
		"size or string": {many("SEP000AB8001C40;install;1024\n"), `	"FILL-IN",  # column 3: could be authentication-string or key-size; "" if none of them`, `"key-size",`},
		"day or month": {"device,status time,state\n" + many("SEP000AB8001C40,03/04/2005 10:00,ok\n"),
			`	"FILL-IN",  # "2/1/2006 15:04" (day first) or "1/2/2006 15:04" (the other)? No date tells`, `"2/1/2006 15:04",`},
		"unknown format": {"device,status time\n" + many("SEP000AB8001C40,10h30 3-Mar 05\n"),
			`	"FILL-IN",  # times are written like "99a99 9-aaa 99" (9 is a figure, a is a letter): write that moment so, or, where that cannot be (no time of day, words of another language), take this line away and give the column no meaning`, `"15h04 2-Jan 06",`},
		"unknown words": {"device,operation\nSEP000AB8001C40,einrichten\n" + many("SEP000AB8001C41,delete\n"), `FILL-IN-1 = ["einrichten"]`, ""},
		"names": {"Apparat;Nr\n" + many("SEP000AB8001C40;"+otherSecret+"\n"),
			`FILL-IN-1 = ["Nr"]  # could be authentication-string: put that in the place of FILL-IN-1, or take the line away`, `authentication-string = ["Nr"]`},
		"two times":  {many("SEP000AB8001C40;2005-01-02 10:00;2005-01-03 10:00\n"), `	"FILL-IN",  # column 2: could be status-time or completes-by; "" if none of them`, `"completes-by",`},
		"no device":  {"Telefon;Vorgang\n" + many("Lobby;install\n"), `device = ["FILL-IN"]  # no column has that name or shape: write the name of the one that has the phones`, `device = ["Telefon"]`},
		"no header":  {many("Lobby5;1;install\n"), `	"FILL-IN",  # column 1: no column has the shape of a device: put "device" where it is`, `"device",`},
		"other mark": {many("SEP000AB8001C40!install!13/01/2005 10:00\n"), "", ""},
	} {
		drafted, line := open(t, []byte(test.content))
		if line != test.line {
			t.Errorf("%s: open is %q, want %q in\n%s", name, line, test.line, drafted)
			continue
		}
		for line != "" && test.filled != "" {
			drafted = strings.Replace(drafted, line, test.filled, 1)
			if _, err := dialect.Parse([]byte(drafted), "drafted.toml"); err == nil {
				break
			} else if test.filled = `"",`; !strings.Contains(err.Error(), "still open") {
				t.Errorf("%s: %v in\n%s", name, err, drafted)
				break
			}
			_, line = again(t, drafted)
		}
	}
}

// again gives the line of a draft that is still open.
func again(t *testing.T, drafted string) (string, string) {
	t.Helper()
	for _, line := range strings.Split(drafted, "\n") {
		if before, _, _ := strings.Cut(line, "#"); strings.Contains(before, dialect.FillIn) {
			return drafted, line
		}
	}
	t.Fatalf("nothing is open in\n%s", drafted)
	return "", ""
}

// A file in another language, in an encoding that is found: names and shapes tell most.
func TestForeign(t *testing.T) {
	content, err := japanese.ShiftJIS.NewEncoder().Bytes([]byte("電話機\t操作\t状態\t日時\t暗証\t場所\r\n" +
		strings.Repeat("SEP000AB8001C40\tinstall\t完了\t2005/01/02 03:04:05\t"+oneSecret+"\tロビー\r\nSEP000AB8001C41\tdelete\tok\t2005/01/02 03:04:05\t"+otherSecret+"\t表示\r\n", 3)))
	if err != nil {
		t.Fatal(err)
	}
	drafted, line := open(t, content)
	for _, want := range []string{
		`encoding = "windows-932"`, `separators = ["\u0009"]`, `device = ["電話機"]  # by the shape`, `operation = ["操作"]  # by the shape`,
		`state = ["状態"]  # by the greater part`, `status-time = ["日時"]`, `= ["暗証"]  # could be authentication-string`, `field: "場所"`, `FILL-IN-2 = ["完了"]`,
	} {
		if !strings.Contains(drafted, want) {
			t.Errorf("%q is not in\n%s", want, drafted)
		}
	}
	if strings.Contains(drafted, oneSecret) || !strings.HasPrefix(line, "FILL-IN-1") {
		t.Errorf("open is %q in\n%s", line, drafted)
	}
}

// An encoding that is not clear is left open, unless it is named.
func TestUnclearEncoding(t *testing.T) {
	content, err := charmap.Windows1251.NewEncoder().Bytes([]byte("Телефон;Действие\r\nSEP000AB8001C40;Установить\r\nSEP000AB8001C41;install\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	drafted, line := open(t, content)
	if !strings.HasPrefix(line, `encoding = "FILL-IN"  # lines that are not UTF-8 (2)`) || !strings.Contains(line, "windows-1251") {
		t.Errorf("open is %q in\n%s", line, drafted)
	}
	drafted, err = draft.Phones(legacy.BytesInput("CAPF.phone", content), text.Windows1251)
	if err != nil || !strings.Contains(drafted, `encoding = "windows-1251"  # named`) || !strings.Contains(drafted, `device = ["Телефон"]`) ||
		!strings.Contains(drafted, `FILL-IN-1 = ["Установить"]`) {
		t.Errorf("%v\n%s", err, drafted)
	}
	wide, err := draft.Phones(legacy.BytesInput("CAPF.phone", []byte("d\x00e\x00v\x00i\x00c\x00e\x00,\x00o\x00p\x00\n\x00"+
		strings.Repeat("\x00", 0)+"S\x00E\x00P\x000\x000\x000\x00A\x00B\x008\x000\x000\x001\x00C\x004\x000\x00,\x00i\x00n\x00s\x00t\x00a\x00l\x00l\x00\n\x00")), "")
	if err != nil || !strings.Contains(wide, `encoding = "utf-16le"  # looks like UTF-16 without a byte-order mark`) || !strings.Contains(wide, `operation = ["op"]`) {
		t.Errorf("%v\n%s", err, wide)
	}
}

func TestConfiguration(t *testing.T) {
	for form, content := range map[string]string{
		"blocks": "[General]\r\nKeySize = 1024\r\nCAPF Phone Port: 3804\r\nTracePassword=" + oneSecret + "\r\n", "headerless": "KeySize;1024\r\nPassword;" + oneSecret + "\r\n",
	} {
		input := legacy.BytesInput("CAPF.cfg", []byte(content))
		drafted, err := draft.Configuration(input, "")
		if err != nil || strings.Contains(drafted, oneSecret) {
			t.Fatalf("%v\n%s", err, drafted)
		}
		d, err := dialect.Parse([]byte(drafted), "drafted.toml")
		if err != nil || string(d.Form) != form {
			t.Fatalf("%v in\n%s", err, drafted)
		}
		want, err := cfgfile.Read(input, dialect.Builtin())
		if err != nil {
			t.Fatal(err)
		}
		got, err := cfgfile.ReadAs(input, d)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want.Settings, got.Settings, sameSecrets); diff != "" || len(want.Settings) < 2 {
			t.Errorf("%s\n%s", diff, drafted)
		}
	}
}

func TestNothingToDraft(t *testing.T) {
	for _, content := range []string{"", "# x\n", "\x00\n"} {
		if _, err := draft.Phones(legacy.BytesInput("CAPF.phone", []byte(content)), ""); err == nil || !strings.Contains(err.Error(), "has no line") {
			t.Errorf("%q: %v", content, err)
		}
	}
}

// Whatever the file is, what is printed loads, or its error names a line to be filled in; and no run of figures of a
// value is in it.
func FuzzPhones(f *testing.F) {
	for _, content := range forms {
		f.Add([]byte(content))
	}
	f.Add([]byte("0 000AB8001C40\n0 000AB8001C41\n"))
	f.Add([]byte("SEP000AB8001C40  install   1234  1024\r\nSEP000AB8001C41  delete    5678  2048\r\n"))
	f.Add([]byte("a\"\\;b\n=\x7f;[x]\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		for _, make := range []func(legacy.Input, text.Encoding) (string, error){draft.Phones, draft.Configuration} {
			drafted, err := make(legacy.BytesInput("f", content), "")
			if err != nil {
				continue
			}
			if _, err := dialect.Parse([]byte(drafted), "f"); err != nil && !strings.Contains(err.Error(), "still open") {
				t.Fatalf("%v in\n%s", err, drafted)
			}
		}
	})
}
