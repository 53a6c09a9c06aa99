package phonefile_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"capf/legacy"
	"capf/legacy/dialect"
	"capf/legacy/phonefile"
)

// reading is all that a file gives.
type reading struct {
	records  []phonefile.Record
	kept     []legacy.KeptLine
	findings []legacy.Finding
	passed   []string
	places   [][]phonefile.Place // of each record and kept line
}

func (r reading) reasons() (out []string) {
	for _, kept := range r.kept {
		out = append(out, fmt.Sprintf("%d %s", kept.Line, kept.Reason))
	}
	return out
}

func collect(file *phonefile.File) (out reading, err error) {
	for item, err := range file.Items() {
		if err != nil {
			return out, err
		}
		if item.Record != nil || item.Kept != nil {
			out.places = append(out.places, item.Places)
		}
		switch item.Kind {
		case phonefile.KindRecord:
			out.records = append(out.records, *item.Record)
		case phonefile.KindKept:
			out.kept = append(out.kept, *item.Kept)
		case phonefile.KindFinding:
			out.findings = append(out.findings, *item.Finding)
		default:
			out.passed = append(out.passed, fmt.Sprintf("%d %s", item.Position.Line, item.Kind))
		}
	}
	return out, nil
}

// readAs reads content by a dialect that was named.
func readAs(t testing.TB, content string, d *dialect.Dialect) reading {
	t.Helper()
	file, err := phonefile.OpenAs(legacy.BytesInput("CAPF.phone", []byte(content)), d)
	if err != nil {
		t.Fatal(err)
	}
	out, err := collect(file)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func delimited() *dialect.Dialect { return dialect.Builtin()[0] }
func blocks() *dialect.Dialect    { return dialect.Builtin()[1] }

func TestDelimited(t *testing.T) {
	const row = "SEP000AB8001C40,Install/Upgrade,Operation Pending,2005-03-04 05:06:07,2005-04-01 00:00:00," +
		"By Authentication String,0042,1024,\"Lobby, left\",Floor 1\r\n"
	content := "# comment\r\n\r\n" +
		"Device Name,Operation,Status,Status Time,Completes By,Authentication Mode,Auth String,Key Size,Description,Location\r\n" +
		row + "000ab8001c41,,,,,,,,,\r\n"
	got := readAs(t, content, delimited())
	want := phonefile.Record{
		Position: legacy.Position{File: "CAPF.phone", Line: 4}, Lines: []int{4},
		Offset: int64(strings.Index(content, row)), Bytes: []byte(row),
		Device: "SEP000AB8001C40", Operation: legacy.OperationInstall, State: legacy.StatePending,
		AuthenticationMode: legacy.ModeAuthenticationString, AuthenticationString: legacy.NewSecret("0042"), KeySize: 1024,
		StatusTime:  legacy.Time{Clock: time.Date(2005, 3, 4, 5, 6, 7, 0, time.UTC)},
		CompletesBy: legacy.Time{Clock: time.Date(2005, 4, 1, 0, 0, 0, 0, time.UTC)},
		Description: "Lobby, left",
		Extra:       []phonefile.Extra{{Name: "Location", Value: legacy.NewSecret("Floor 1")}},
	}
	compare := cmp.Comparer(func(a, b legacy.Secret) bool { return a.Reveal() == b.Reveal() })
	if diff := cmp.Diff(want, got.records[0], compare); diff != "" {
		t.Error(diff)
	}
	empty := phonefile.Record{Position: legacy.Position{File: "CAPF.phone", Line: 5}, Lines: []int{5}, Device: "SEP000AB8001C41"}
	empty.Offset, empty.Bytes = want.Offset+int64(len(row)), []byte("000ab8001c41,,,,,,,,,\r\n")
	if diff := cmp.Diff(empty, got.records[1], compare); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"1 comment", "2 blank", "3 header"}, got.passed); diff != "" || len(got.kept) > 0 {
		t.Errorf("%s, kept %v", diff, got.kept)
	}
}

func TestDelimitedSeparators(t *testing.T) {
	for _, separator := range []string{",", ";", "\t", "|"} {
		content := strings.ReplaceAll("device,state,description\nSEP000AB8001C40,ok,x\n", ",", separator)
		if got := readAs(t, content, delimited()); len(got.records) != 1 || got.records[0].Description != "x" {
			t.Errorf("%q: got %v, kept %v", separator, got.records, got.kept)
		}
	}
}

// Each line is kept aside whole, for its reason, and the lines around it are read.
func TestDelimitedKeepsAside(t *testing.T) {
	const device = "SEP000AB8001C40"
	tests := []struct{ name, line, reason string }{
		{"too few columns", device + ",install", "has 2 columns, the header has 7"},
		{"too many columns", device + ",install,,,,,,x", "has 8 columns, the header has 7"},
		{"no device", ",install,,,,,", `column "device": no device is given`},
		{"device too short", "SEP000AB8001C4,install,,,,,", `column "device": "SEP000AB********C4" is not SEP and 12 hex digits, or a MAC address`},
		{"device with an odd digit", "SEP000AB8001C4G,install,,,,,", `column "device"`},
		{"device of another kind", "CSFALICE,install,,,,,", `column "device": "CSFALICE" is not`},
		{"operation", device + ",instal,,,,,", `column "operation": "instal" is not a word of the dialect`},
		{"state", device + ",,47110815,,,,", `column "state": "********" is not a word of the dialect`},
		{"mode", device + ",,,by string!!!x,,,", `column "mode": "by string!!!x" is not a word of the dialect`},
		{"string too short", device + ",,,,123,,", `column "auth string": is not 4 to 10 digits`},
		{"string too long", device + ",,,,12345678901,,", `column "auth string": is not 4 to 10 digits`},
		{"string with a letter", device + ",,,,1234a,,", `column "auth string": is not 4 to 10 digits`},
		{"key size", device + ",,,,,768,", `column "key size": "768" is not 512, 1024 or 2048`},
		{"impossible date", device + ",,,,,,2005-02-30 10:00:00", `column "status time": "********-02-30 10:00:00" is not a time`},
		{"a quote that is not closed", device + `,,,,,,"2005`, "a quote is not closed"},
		{"NUL", device + ",,\x00,,,,", "NUL at byte 18"},
		{"the header again", "device,operation,state,mode,auth string,key size,status time", `column "device"`},
		{"a long value", device + "," + strings.Repeat("x", 90) + ",,,,,", strings.Repeat("x", 40) + "…"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := readAs(t, "device,operation,state,mode,auth string,key size,status time\n"+
				device+",install,,,,,\n"+test.line+"\n"+device+",delete,,,,,\n", delimited())
			if len(got.records) != 2 || len(got.kept) != 1 {
				t.Fatalf("%d records, kept %v", len(got.records), got.kept)
			}
			kept := got.kept[0]
			if kept.Line != 3 || string(kept.Bytes) != test.line+"\n" || !strings.Contains(kept.Reason, test.reason) {
				t.Errorf("kept %d %q: %s", kept.Line, kept.Bytes, kept.Reason)
			}
		})
	}
}

func TestDevices(t *testing.T) {
	for _, value := range []string{
		"SEP000AB8001C4F", "sep000ab8001c4f", "000AB8001C4F", "00:0a:b8:00:1c:4f", "00-0A-B8-00-1C-4F",
		"000a.b800.1c4f", "00.0a.b8.00.1c.4f", "000ab8-001c4f",
	} {
		got := readAs(t, "device,operation\n"+value+",install\n", delimited())
		if len(got.records) != 1 || got.records[0].Device != "SEP000AB8001C4F" {
			t.Errorf("%s: got %v, kept %v", value, got.records, got.kept)
		}
	}
	for _, value := range []string{
		"SEP00:0a:b8:00:1c:4f", "00:0a:b8:00:1c-4f", "000:ab8:001:c4f", "00:0a:b8:00:1c:4", "0:0", "-", ":::::::::::::::::",
		"ATA000AB8001C4F", "000AB8001C4FFF",
	} {
		if got := readAs(t, "device,operation\n"+value+",install\n", delimited()); len(got.records) != 0 {
			t.Errorf("%s: got %v", value, got.records)
		}
	}
}

func TestStructure(t *testing.T) {
	tests := []struct {
		name, content, want string
		by                  *dialect.Dialect
	}{
		{"no device column", "\nname,operation\nx,y\n", "CAPF.phone:2: header line has no column for the device", delimited()},
		{"device only", "device\nSEP000AB8001C40\n", "CAPF.phone:1: header line has no column", delimited()},
		{"two for one", "device,mac,operation\n", `columns "device" and "mac" both stand for device`, delimited()},
		{"two separators", "device,state,x;device;state\n", "can be cut by both", delimited()},
		{"no header", "\x00\n", "no header line", delimited()},
		{"no block", "device\n", "no block that begins with a device", blocks()},
		{"device only", "device=SEP000AB8001C40\n", "no block that begins with a device", blocks()},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			file, err := phonefile.OpenAs(legacy.BytesInput("CAPF.phone", []byte(test.content)), test.by)
			if err != nil {
				t.Fatal(err)
			}
			if _, err = collect(file); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

func TestBlocks(t *testing.T) {
	content := "; comment\r\n" +
		"device=SEP000AB8001C40\r\noperation = install\r\nstate: pending\r\nauth string=\"0042\"\r\nFloor=1\r\n" +
		"device=00-0A-B8-00-1C-41\r\n# within\r\nstate=ok\r\n" +
		"\r\n" +
		"device=SEP000AB8001C42\r\nstate=failed\r\ndescription=a=b\r\n"
	got := readAs(t, content, blocks())
	if len(got.kept) > 0 || len(got.records) != 3 {
		t.Fatalf("got %v, kept %v", got.records, got.kept)
	}
	first, second, third := got.records[0], got.records[1], got.records[2]
	if first.Operation != legacy.OperationInstall || first.State != legacy.StatePending ||
		first.AuthenticationString.Reveal() != "0042" || first.Extra[0].String() != "Floor=1" || first.Line != 2 {
		t.Errorf("first: %v", first)
	}
	if second.Device != "SEP000AB8001C41" || second.State != legacy.StateSuccess || !cmp.Equal(second.Lines, []int{7, 9}) ||
		string(second.Bytes) != "device=00-0A-B8-00-1C-41\r\nstate=ok\r\n" {
		t.Errorf("second: %v, lines %v, %q", second, second.Lines, second.Bytes)
	}
	if third.Description != "a=b" || int(third.Offset) != strings.LastIndex(content, "device") {
		t.Errorf("third: %v at %d", third, third.Offset)
	}
}

func TestBlocksKeepAside(t *testing.T) {
	const good = "device=SEP000AB8001C40\nstate=ok\n\n"
	tests := []struct {
		name, block string
		reasons     []string
	}{
		{"no device", "state=ok\nmode=null\n", []string{
			"4 record of lines 4 to 5: no device at the beginning of the block",
			"5 record of lines 4 to 5: no device at the beginning of the block",
		}},
		{"text before the device", "version=1\ndevice=SEP000AB8001C41\nstate=ok\n", []string{
			"4 no device at the beginning of the block",
		}},
		{"nothing but a device", "device=SEP000AB8001C41\n", []string{"4 no known key besides the device"}},
		{"given twice", "device=SEP000AB8001C41\nstate=ok\nstatus=ok\n", []string{
			`4 record of lines 4 to 6: line 6: key "status": state is given twice`,
			`5 record of lines 4 to 6: line 6: key "status": state is given twice`,
			`6 record of lines 4 to 6: line 6: key "status": state is given twice`,
		}},
		{"a line that is none", "device=SEP000AB8001C41\nsta\n", []string{
			"4 record of lines 4 to 5: line 5: no key and value",
			"5 record of lines 4 to 5: line 5: no key and value",
		}},
		{"a damaged line", "device=SEP000AB8001C41\nsta\x00te=ok\n", []string{
			"4 record of lines 4 to 5: line 5: NUL at byte 4",
			"5 NUL at byte 4",
		}},
		{"a value", "device=SEP000AB8001C41\nkey size=4711\n", []string{
			`4 record of lines 4 to 5: column "key size": "********" is not 512, 1024 or 2048`,
			`5 record of lines 4 to 5: column "key size": "********" is not 512, 1024 or 2048`,
		}},
		{"a section", "[phones]\n", []string{"4 line 4: no key and value"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := readAs(t, good+test.block+"\n"+good, blocks())
			if diff := cmp.Diff(test.reasons, got.reasons()); diff != "" {
				t.Error(diff)
			}
			if want := 2 + strings.Count(test.name, "text before"); len(got.records) != want {
				t.Errorf("%d records", len(got.records))
			}
		})
	}
}

func TestLongBlockIsKeptInParts(t *testing.T) {
	content := "device=SEP000AB8001C40\nstate=ok\n" + strings.Repeat("x=y\n", 2500) + "\ndevice=SEP000AB8001C41\nstate=ok\n"
	got := readAs(t, content, blocks())
	if len(got.records) != 1 || len(got.kept) != 2502 || !strings.Contains(got.kept[0].Reason, "too long") {
		t.Errorf("%d records, %d lines kept, %s", len(got.records), len(got.kept), got.kept[0].Reason)
	}
}

func TestOpenFindsTheDialect(t *testing.T) {
	row := "SEP000AB8001C40,ok\n"
	block := "device=SEP000AB8001C40\nstate=ok\n\n"
	tests := []struct{ name, content, dialect, problem string }{
		{"delimited", "device,state\n" + row, "delimited", ""},
		{"blocks", block, "blocks", ""},
		{"header only", "device,state\n", "delimited", ""},
		{"one bad line in ten", "device,state\n" + strings.Repeat(row, 9) + "x\n", "delimited", ""},
		{"one bad line in nine", "device,state\n" + strings.Repeat(row, 8) + "x\n", "", "delimited: reads 8 of 9 lines, fewer than nine in ten: line 10: has 1 column"},
		{"a block among rows", "device,state\n" + strings.Repeat(row, 99) + "device=SEP000AB8001C41\nstate=ok\n", "", "delimited: line 101 is read by blocks only"},
		{"neither", "hello\nworld\n", "", "delimited: CAPF.phone:1: header line has no column"},
		{"columns of the wrong shape", "device,state\n" + strings.Repeat("ok,SEP000AB8001C40\n", 9), "", `column "device": "ok"`},
		{"nothing", "", "", ""},
		{"comments only", "# a\n\n# b\n", "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			file, err := phonefile.Open(legacy.BytesInput("CAPF.phone", []byte(test.content)), dialect.Builtin())
			if (err == nil) != (test.problem == "") {
				t.Fatalf("got %v", err)
			}
			if err != nil {
				if !strings.Contains(err.Error(), test.problem) || strings.Contains(err.Error(), "\n") {
					t.Errorf("error %q lacks %q", err, test.problem)
				}
				return
			}
			if name := nameOf(file.Dialect); name != test.dialect {
				t.Errorf("chose %q", name)
			}
			if _, err := collect(file); err != nil {
				t.Error(err)
			}
		})
	}
}

func nameOf(d *dialect.Dialect) string {
	if d == nil {
		return ""
	}
	return d.Name
}

func TestNamedDialect(t *testing.T) {
	d, err := dialect.Parse([]byte(`name = "werk"
files = ["phones"]
form = "delimited"
encoding = "windows-1252"
separators = ["!"]
times = ["02/01/2006 15:04"]
time-zone = "Europe/Berlin"
[columns]
device = ["Gerät"]
state = ["Zustand"]
status-time = ["Stand"]
[states]
success = ["fertig"]
`), "werk.toml")
	if err != nil {
		t.Fatal(err)
	}
	got := readAs(t, "Ger\xe4t!Zustand!Stand!Raum\n000AB8001C40!Fertig!03/04/2005 10:00!B\xfcro\n000AB8001C41!success!!\n", d)
	if len(got.records) != 1 || got.records[0].Extra[0].Value.Reveal() != "Büro" ||
		got.records[0].StatusTime.String() != "2005-04-03T08:00:00Z" {
		t.Errorf("got %v", got.records)
	}
	if len(got.kept) != 1 || !strings.Contains(got.kept[0].Reason, `column "Zustand"`) {
		t.Errorf("kept %v", got.kept)
	}
	if empty := readAs(t, "", d); len(empty.records)+len(empty.kept) != 0 {
		t.Errorf("an empty file gives %v", empty)
	}
}

// The lines of a key are withheld by every dialect, so that they do not count against one. Nothing but a key is no file
// of phones.
func TestKeysDoNotCount(t *testing.T) {
	const key = "-----BEGIN PRIVATE KEY-----\nMIIEowIBAAKCAQEA\n-----END PRIVATE KEY-----\n"
	input := func(content string) legacy.Input { return legacy.BytesInput("CAPF.phone", []byte(content)) }
	file, err := phonefile.Open(input("device,operation,state\nSEP000AB8001C40,install,ok\n"+key), dialect.Builtin())
	if err != nil || file.Dialect == nil {
		t.Fatalf("one record beside a key: %v, %v", file, err)
	}
	if _, err := phonefile.Open(input(key), dialect.Builtin()); err == nil {
		t.Error("a key alone is read as a file of phones")
	}
}

func TestFindings(t *testing.T) {
	torn := readAs(t, "device,state\nSEP000AB8001C40,ok", delimited())
	if len(torn.records) != 1 || len(torn.findings) != 1 || !strings.Contains(torn.findings[0].Reason, "without a line end") {
		t.Errorf("torn: %v", torn.findings)
	}
	column := readAs(t, "device,state\nSEP000AB8001C40,good\nSEP000AB8001C40,ok\n", delimited())
	if len(column.findings) != 1 || !strings.Contains(column.findings[0].Reason, `column "state" was not understood in 1 of 2 records`) {
		t.Errorf("column: %v", column.findings)
	}
	key := readAs(t, "device,state\n-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\nSEP000AB8001C40,ok\n", delimited())
	if len(key.records) != 1 || len(key.kept) != 1 || !key.kept[0].PrivateKey || len(key.findings) != 1 ||
		!strings.Contains(key.findings[0].Reason, "private key") {
		t.Errorf("key: %v %v", key.kept, key.findings)
	}
}

func TestRecordsDoNotShowSecrets(t *testing.T) {
	got := readAs(t, "device,auth string,PIN,note\nSEP00000000000A,47110815,47110815x,47110815\n", delimited())
	record := got.records[0]
	printed := fmt.Sprintf("%v %+v %#v %v %#v %v", record, record, record, record.Extra, record.Extra, record.AuthenticationString)
	if strings.Contains(printed, "47110815") || !strings.Contains(printed, record.Device) {
		t.Errorf("printed %s", printed)
	}
}

func TestStopEarly(t *testing.T) {
	file, err := phonefile.OpenAs(legacy.BytesInput("f", []byte("device=SEP000AB8001C40\nx\n\nx\ny\n")), blocks())
	if err != nil {
		t.Fatal(err)
	}
	for range file.Items() {
		break // the iterator must not go on
	}
}
