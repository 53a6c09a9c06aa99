package phonefile_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"

	"capf/legacy"
	"capf/legacy/dialect"
	"capf/legacy/phonefile"
	"capf/legacy/text"
)

func sections() *dialect.Dialect { return dialect.Builtin()[3] }

// phone is what tests write in every form.
type phone struct{ device, operation, state, when, mode, secret, size, description string }

var keys = []string{"device", "operation", "state", "status time", "auth mode", "auth string", "key size", "description"}

func (p phone) values() []string {
	return []string{p.device, p.operation, p.state, p.when, p.mode, p.secret, p.size, p.description}
}

// write puts phones into a form.
func write(form dialect.Form, phones []phone) string {
	var out strings.Builder
	if form == dialect.Delimited {
		out.WriteString(strings.Join(keys, ";") + "\r\n")
	}
	for _, p := range phones {
		values := p.values()
		if form == dialect.Delimited || form == dialect.Headerless {
			out.WriteString(strings.Join(values, ";") + "\r\n")
			continue
		}
		first := "device=" + p.device
		if form == dialect.Sections {
			first = "[" + p.device + "]"
		}
		out.WriteString(first + "\r\n")
		for i, key := range keys[1:] {
			out.WriteString(key + "=" + values[i+1] + "\r\n")
		}
	}
	return out.String()
}

func phones(count int, description string) (out []phone) {
	for i := range count {
		out = append(out, phone{
			fmt.Sprintf("SEP000AB80%05X", i), []string{"install", "delete"}[i%2], []string{"pending", "Upgrade Success"}[i/2%2],
			fmt.Sprintf("2005-03-%02d 10:00:00", i%28+1), "authentication string", fmt.Sprintf("%06d", i*7919%1_000_000),
			[]string{"512", "1024", "2048"}[i%3], description,
		})
	}
	return out
}

// The form is found, and the same is read in each.
func TestForms(t *testing.T) {
	for _, d := range dialect.Builtin() {
		file, err := phonefile.Open(legacy.BytesInput("CAPF.phone", []byte(write(d.Form, phones(12, "Lobby")))), dialect.Builtin())
		if err != nil {
			t.Errorf("%s: %v", d, err)
			continue
		}
		got, err := collect(file)
		if err != nil || file.Dialect.Name != d.Name || len(got.records) != 12 || len(got.kept) > 0 {
			t.Errorf("%s: read by %s, %d records, kept %v, %v", d, file.Dialect, len(got.records), got.reasons(), err)
			continue
		}
		r := got.records[7]
		if r.Device != "SEP000AB8000007" || r.Operation != legacy.OperationDelete || r.State != legacy.StateSuccess || r.Ended != "" ||
			r.AuthenticationMode != legacy.ModeAuthenticationString || r.AuthenticationString.Reveal() != "055433" || r.KeySize != 1024 ||
			r.StatusTime.String() != "2005-03-08T10:00:00" {
			t.Errorf("%s: %+v", d, r)
		}
		if d.Form == dialect.Headerless {
			if len(got.findings) != 1 || !strings.Contains(got.findings[0].Reason, "1 is device, 2 is operation, 3 is state, 4 is status-time") {
				t.Errorf("findings %v", got.findings)
			}
		} else if r.Description != "Lobby" {
			t.Errorf("%s: description %q", d, r.Description)
		}
	}
}

// The columns of a headerless file are told by shape, or the error names those that cannot be.
func TestHeaderless(t *testing.T) {
	for name, test := range map[string]struct{ content, want string }{
		"size or string":   {"SEP000AB8001C40,install,1024\nSEP000AB8001C41,delete,2048\n", "column 3 is authentication-string or key-size"},
		"two open columns": {"SEP000AB8001C40,none,1024\nSEP000AB8001C41,none,2048\n", "column 2 is operation or state, column 3 is authentication-string or key-size"},
		"two times":        {"SEP000AB8001C40,2005-01-02 10:00,2005-01-03 10:00\n", "column 2 is status-time or completes-by, column 3 is"},
		"two devices":      {"SEP000AB8001C40,000AB8001C41,install\n", "column 1 is device like another, column 2"},
		"device only":      {"SEP000AB8001C40,x\n", "no columns that have the shapes of a device and of an operation or a state"},
		"unknown words":    {"SEP000AB8001C40,einrichten,2005-01-02 10:00,512\n", "no columns that have the shapes of a device and of an operation or a state"},
		"unknown header":   {"Gerät,Vorgang\n" + strings.Repeat("SEP000AB8001C40,install\n", 20), "seems to be a header line"},
		"no device":        {"x,install\n", "no columns that have the shapes of a device"},
		"other widths":     {"SEP000AB8001C40,install\nSEP000AB8001C40,install,x\n", "do not have the same number of columns"},
		"two separators":   {"SEP000AB8001C40;install;x,SEP000AB8001C41,install\n", "lines can be cut by both ',' and ';'"},
		"many columns":     {"SEP000AB8001C40,install" + strings.Repeat(",", 70) + "\n", "do not have the same number"},
	} {
		_, err := phonefile.Open(legacy.BytesInput("CAPF.phone", []byte(test.content)), dialect.Builtin())
		if err == nil || !strings.Contains(err.Error(), "headerless: CAPF.phone:1: ") || !strings.Contains(err.Error(), test.want) ||
			!strings.Contains(err.Error(), "capf migrate dialect") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHeaderlessByOrder(t *testing.T) {
	d, err := dialect.Parse([]byte(`name = "mine"
files = ["phones"]
form = "headerless"
separators = [";", "!"]
order = ["device", "", "key-size", "authentication-string"]
`), "mine.toml")
	if err != nil {
		t.Fatal(err)
	}
	got := readAs(t, "SEP000AB8001C40!a;b!1024!1024\nSEP000AB8001C41!c!2048!4711\n"+strings.Repeat("SEP000AB8001C42!!512!\n", 17)+"x!\n", d)
	if len(got.records) != 19 || len(got.findings) != 0 || len(got.kept) != 1 || got.kept[0].Reason != "has 2 columns, the others have 4" {
		t.Fatalf("%d records, kept %v, findings %v", len(got.records), got.reasons(), got.findings)
	}
	if r := got.records[0]; r.KeySize != 1024 || r.AuthenticationString.Reveal() != "1024" || r.Extra[0].String() != "column 2=a;b" {
		t.Errorf("got %+v", r)
	}
}

func TestSections(t *testing.T) {
	content := "; phones\r\n[000ab8001c40]\r\noperation = install\r\n\r\nstate: pending\r\n# within\r\n\r\n" +
		"[Phone2]\r\nstate=ok\r\nMAC=000AB8001C41\r\n[General]\r\nversion=1\r\nstate=ok\r\n[SEP000AB8001C42]\r\nmac=000AB8001C42\r\nstate=ok\r\n" +
		"[SEP000AB8001C43]\r\nfloor=1\r\n[SEP000AB8001C44]\r\nst\x00ate=ok\r\n[SEP000AB8001C45]\r\nstate=gut\r\n"
	got := readAs(t, "state=ok\r\n"+content, sections())
	if len(got.records) != 2 {
		t.Fatalf("got %v, kept %v", got.records, got.reasons())
	}
	first, second := got.records[0], got.records[1]
	if first.Device != "SEP000AB8001C40" || first.Operation != legacy.OperationInstall || first.State != legacy.StatePending ||
		fmt.Sprint(first.Lines) != "[3 4 6]" || string(first.Bytes) != "[000ab8001c40]\r\noperation = install\r\nstate: pending\r\n" {
		t.Errorf("first %v, lines %v, %q", first, first.Lines, first.Bytes)
	}
	if second.Device != "SEP000AB8001C41" || second.State != legacy.StateSuccess || second.Line != 9 {
		t.Errorf("second %v", second)
	}
	for i, want := range map[int]string{
		0: "1 line 1: no section line above", 1: "12 record of lines 12 to 14: section is not named by a device and holds none",
		4: `15 record of lines 15 to 17: line 16: key "mac": device is given twice`, 7: "18 record of lines 18 to 19: no known key besides the device",
		9: "20 record of lines 20 to 21: line 21: NUL at byte 3", 11: `22 record of lines 22 to 23: column "state": "gut" is not a word of the dialect`,
	} {
		if i >= len(got.kept) || got.reasons()[i] != want {
			t.Errorf("kept %q, want at %d %q", got.reasons(), i, want)
		}
	}
	none := legacy.BytesInput("CAPF.phone", []byte("[General]\nversion=1\n"))
	if _, err := phonefile.Open(none, dialect.Builtin()); err == nil || !strings.Contains(err.Error(), "sections: CAPF.phone: no section [name] that") {
		t.Errorf("got %v", err)
	}
}

// The order of day and month is that of the whole column, in every form, however late the date that tells.
func TestSlashDates(t *testing.T) {
	const none = "nothing in its column tells which"
	for name, test := range map[string]struct {
		dates []string
		want  string // of the first record
		kept  string // the reason of the only line kept
	}{
		"day first":         {append(strings.Split(strings.Repeat("3/4/2005 10:00 ,", 40), " ,")[:40], "13/1/2005 10:00"), "2005-04-03T10:00:00", ""},
		"month first":       {[]string{"03/04/2005 10:00:00", "01/13/2005 10:00:00"}, "2005-03-04T10:00:00", ""},
		"month first, noon": {[]string{"3/4/2005 1:05:06 PM", "1/13/2005 10:00:00 AM"}, "2005-03-04T13:05:06", ""},
		"nothing tells":     {[]string{"03/04/2005 10:00:00", "05/06/2005 10:00:00"}, "", none},
		"equal figures":     {[]string{"04/04/2005 10:00:00", "05/05/2005 10:00:00"}, "2005-04-04T10:00:00", ""},
		"one in ten":        {append(strings.Split(strings.Repeat("13/04/2005 10:00:00,", 19), ",")[:19], "01/13/2005 10:00:00"), "2005-04-13T10:00:00", "the other way round"},
		"impossible":        {append(strings.Split(strings.Repeat("13/04/2005 10:00:00,", 19), ",")[:19], "31/02/2005 10:00:00"), "2005-04-13T10:00:00", "is not a time"},
		"mixed":             {append(strings.Split(strings.Repeat("13/04/2005 10:00:00,04/13/2005 10:00:00,", 10), ",")[:20], "03/04/2005 10:00:00"), "2005-04-13T10:00:00", none},
	} {
		for _, d := range dialect.Builtin() {
			some := phones(len(test.dates), "x")
			for i, date := range test.dates {
				some[i].when = date
			}
			file, err := phonefile.Open(legacy.BytesInput("CAPF.phone", []byte(write(d.Form, some))), dialect.Builtin())
			if test.want == "" {
				if err == nil || !strings.Contains(err.Error(), test.kept) {
					t.Errorf("%s in %s: %v", name, d, err)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s in %s: %v", name, d, err)
				continue
			}
			got, err := collect(file)
			if err != nil || len(got.records) < 1 || got.records[0].StatusTime.String() != test.want {
				t.Errorf("%s in %s: %v, kept %v, %v", name, d, got.records, got.reasons(), err)
			}
			if reasons := strings.Join(got.reasons(), "\n"); (test.kept == "") != (reasons == "") || !strings.Contains(reasons, test.kept) {
				t.Errorf("%s in %s: kept %v", name, d, got.reasons())
			}
		}
	}
}

// A dialect that is named decides by its one format, or leaves it to the column by both.
func TestSlashDatesNamed(t *testing.T) {
	const head = "name = \"mine\"\nfiles = [\"phones\"]\nform = \"delimited\"\nseparators = [\",\"]\n"
	const content = "device,status time\nSEP000AB8001C40,03/04/2005 10:00\n"
	for formats, want := range map[string]string{`"02/01/2006 15:04"`: "2005-04-03T10:00:00", `"01/02/2006 15:04"`: "2005-03-04T10:00:00", `"02/01/2006 15:04", "01/02/2006 15:04"`: ""} {
		d, err := dialect.Parse([]byte(head+"times = ["+formats+"]\n"), "mine.toml")
		if err != nil {
			t.Fatal(err)
		}
		got := readAs(t, content, d)
		if want == "" && len(got.records) == 0 && len(got.kept) == 1 {
			continue
		}
		if len(got.records) != 1 || got.records[0].StatusTime.String() != want {
			t.Errorf("%s: %v, kept %v", formats, got.records, got.reasons())
		}
	}
}

func TestPlaces(t *testing.T) {
	file, err := phonefile.OpenAs(legacy.BytesInput("f", []byte("device,auth string,Bemerkung,PIN\r\n SEP000AB8001C40 ,\"0042\",B\xfcro \xe412,1x\r\nSEP000AB8001C41,4711\r\n")), delimited())
	if err != nil {
		t.Fatal(err)
	}
	file.Trace = 1 << 20
	got, err := collect(file)
	if err != nil {
		t.Fatal(err)
	}
	want := "[[line 2 bytes 2-16: device=SEP000AB********C40 line 2 bytes 20-23: auth string=******** line 2 bytes 26-33: Bemerkung=Büro ä12 " +
		"line 2 bytes 35-36: PIN=********] [line 3 bytes 1-15: column 1=SEP000AB********C41 line 3 bytes 17-20: column 2=********]]"
	if printed := fmt.Sprintf("%v", got.places); printed != want || fmt.Sprintf("%#v", got.places[0][1]) == "" {
		t.Errorf("got  %s\nwant %s", printed, want)
	}
	block, err := phonefile.OpenAs(legacy.BytesInput("f", []byte("[Phone1]\n mac = 000AB8001C40\nstate: \"ok\"\n")), sections())
	if err != nil {
		t.Fatal(err)
	}
	block.Trace = 1
	if got, _ = collect(block); fmt.Sprint(got.places) != "[[line 1 bytes 2-7: section=Phone1 line 2 bytes 8-19: mac=000AB********C40 line 3 bytes 9-10: state=ok]]" {
		t.Errorf("got %v", got.places)
	}
}

// Every form in every encoding, damaged at random: what is read and what is kept aside are together what was there.
func TestUnionOfFormsAndEncodings(t *testing.T) {
	bom := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM)
	for page, test := range map[text.Encoding]struct {
		by          encoding.Encoding
		description string
	}{
		text.UTF8: {unicode.UTF8, "Büro"}, text.UTF16LE: {bom, "会議室"}, text.Windows932: {japanese.ShiftJIS, "表示ソ会議室"},
		text.Windows936: {simplifiedchinese.GBK, "会议室 前台"}, text.Windows949: {korean.EUCKR, "안내데스크"}, text.Windows950: {traditionalchinese.Big5, "功能會議室"},
	} {
		for _, d := range dialect.Builtin() {
			for seed := range uint64(6) {
				random := rand.New(rand.NewPCG(seed, 2))
				content, err := test.by.NewEncoder().Bytes([]byte(write(d.Form, phones(40, test.description))))
				if err != nil {
					t.Fatal(err)
				}
				content = damaged(content, random, int(seed))
				file, err := phonefile.Open(legacy.BytesInput("f", content), dialect.Builtin())
				if err != nil {
					t.Errorf("%s in %s, %d damaged: %v", d, page, seed, err)
					continue
				}
				file.Trace = 1 << 20
				got, err := collect(file)
				if err != nil || file.Dialect.Name != d.Name || file.Encoding != page {
					t.Errorf("%s in %s: read by %s in %s, %v", d, page, file.Dialect, file.Encoding, err)
				}
				covered(t, content, got, page)
			}
		}
	}
}

// damaged writes rubbish over a few bytes after the first lines, and may tear the end off.
func damaged(content []byte, random *rand.Rand, count int) []byte {
	for range count / 2 {
		at := 400 + random.IntN(len(content)-400)
		content[at] = []byte{0, 0x1a, 0xff, ';'}[random.IntN(4)]
	}
	switch count {
	case 1:
		return content[:len(content)-11]
	case 3:
		return append(content, 0x1a)
	}
	return content
}

// endless writes rows as long as it is read.
type endless struct {
	rows, at int
	row      func(int) string
	rest     string
}

func (e *endless) Read(into []byte) (int, error) {
	if e.rest == "" {
		if e.at == e.rows {
			return 0, io.EOF
		}
		e.rest = e.row(e.at)
		e.at++
	}
	n := copy(into, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

func (e *endless) Close() error { return nil }

// A file of any size is read in the same memory, but for a few bits a line and for the lines that are cut ahead.
func TestMemoryIsFlat(t *testing.T) {
	peak := func(rows int, form dialect.Form) uint64 {
		input := legacy.Input{File: "f", Open: func() (io.ReadCloser, error) {
			return &endless{rows: rows, row: func(i int) string {
				if i%20 == 7 {
					return strings.Repeat("rubbish ", 30) + "\r\n"
				}
				return write(form, phones(1, "Lobby"))
			}}, nil
		}}
		var most uint64
		file, err := phonefile.Open(input, dialect.Builtin())
		if err != nil {
			t.Fatal(err)
		}
		count := 0
		for _, err := range file.Items() {
			if err != nil {
				t.Fatal(err)
			}
			if count++; count%(rows/4) == 0 {
				var stats runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&stats)
				most = max(most, stats.HeapAlloc)
			}
		}
		return most
	}
	for _, form := range []dialect.Form{dialect.Headerless, dialect.Blocks} {
		small, large := peak(2_000, form), peak(40_000, form)
		if large > small+1<<20 { // the rows are 5 MB
			t.Errorf("%s: %d bytes of memory for 2,000 rows, %d for 40,000", form, small, large)
		}
	}
}
