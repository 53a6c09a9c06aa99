package phonelist_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"capf/legacy"
	"capf/legacy/phonefile"
	"capf/legacy/phonelist"
	"capf/legacy/text"
)

func open(t testing.TB, content string) *phonelist.File {
	t.Helper()
	read, err := phonelist.Open(legacy.BytesInput("list.csv", []byte(content)), "")
	if err != nil {
		t.Fatal(err)
	}
	return read
}

// lines reads a list through and describes what it gives, a line each.
func lines(t testing.TB, file *phonelist.File) (out []string) {
	t.Helper()
	for item, err := range file.Items() {
		if err != nil {
			t.Fatal(err)
		}
		switch item.Kind {
		case phonefile.KindRecord:
			r := item.Record
			words := []string{fmt.Sprint(r.Line), r.Device, string(r.Operation), string(r.State), string(r.Ended), string(r.AuthenticationMode),
				r.AuthenticationString.Reveal(), fmt.Sprint(r.KeySize) + r.Curve, r.CompletesBy.String(), r.Description}
			out = append(out, strings.Join(words, "|"))
		case phonefile.KindKept:
			out = append(out, fmt.Sprint(item.Kept.Line, " kept: ", item.Kept.Reason))
		case phonefile.KindFinding:
			out = append(out, fmt.Sprint(item.Finding.Line, " finding: ", item.Finding.Reason))
		}
	}
	return out
}

func TestKinds(t *testing.T) {
	tests := []struct {
		name, content  string
		known, unknown string
		want           []string
	}{
		{"CAPF report", "Device Name,Device Description,Certificate Operation,Certificate Operation Status,Authentication Mode,Authentication String," +
			"Key Size (Bits),Operation Completes By,LSC Expires,Security Profile\r\n" +
			"SEP001122334401,Lobby,Install/Upgrade,Operation Pending,By Authentication String,0042,2048,2006:10:31:12,,Standard\r\n" +
			"SEP001122334402,,No Pending Operation,Upgrade Success,By Null String,,1024,,2010-05-06,Standard\r\n" +
			"SEP001122334403,'=1+1,No Pending Operation,Delete Failed,By Existing Certificate (precedence to LSC),None,512,soon,,\r\n",
			"Device Description, Certificate Operation, Certificate Operation Status, Authentication Mode, Authentication String, Key Size (Bits), Operation Completes By",
			"LSC Expires, Security Profile",
			[]string{
				"2|SEP001122334401|install|pending||authentication-string|0042|2048|2006-10-31T12:00:00|Lobby",
				"3|SEP001122334402|none|success|install|null-string||1024||",
				"4|SEP001122334403|none|failed|delete|existing-certificate-lsc||512||=1+1",
			}},
		{"our report", "device,description,operation,status,status-text,auth-mode,auth-string,key-size,completes-by,security-mode,lsc-status\n" +
			"SEP001122334401,'-x,install,pending,Operation Pending,authentication-string,12345678,p256,2026-03-01T12:00:00Z,encrypted,none\n" +
			"SEP001122334402,,none,expired,Upgrade Failed,null-string,,4096,,non-secure,unknown\n" +
			"CSFALICE,,none,none,None,existing-certificate-mic,,2048,,non-secure,unknown\n" +
			"SEP001122334404,,install,in-progress,Operation Pending,null-string,,p521,,non-secure,unknown\n" +
			"SEP001122334405,,none,success,Upgrade Failed,null-string,,p521,,non-secure,unknown\n",
			"description, operation, status, status-text, auth-mode, auth-string, key-size, completes-by", "security-mode, lsc-status",
			[]string{
				"2|SEP001122334401|install|pending||authentication-string|12345678|0p256|2026-03-01T12:00:00Z|-x",
				"3|SEP001122334402|none|failed|install|null-string||4096||",
				"4|CSFALICE|none|none||existing-certificate-mic||2048||",
				"5|SEP001122334404|install|pending||null-string||0p521||",
				"6 kept: state says success, state text says failed",
			}},
		{"bulk export", "sep=;\n\nDevice Name;Description;MAC Address;Key Order;RSA Key Size (Bits);EC Key Size (Bits);Operation Status\n" +
			"SEP001122334401;\"Room 1;\n2nd \"\"floor\"\"\";001122334401;RSA Only;2048;384;None;;\n" +
			"SEP001122334402;;;EC Only;2048;384;None\n" +
			"SEP001122334403;;;EC Preferred, RSA Backup;2048;256;None\n" +
			"SEP001122334404;;;;;521;None\n",
			"Description, Key Order, RSA Key Size (Bits), EC Key Size (Bits), Operation Status", "MAC Address",
			[]string{
				"4|SEP001122334401||none||||2048||Room 1;\n2nd \"floor\"", "6|SEP001122334402||none||||0p384||",
				"7|SEP001122334403||none||||2048||", "8|SEP001122334404||none||||0p521||",
			}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			file := open(t, test.content)
			if got := strings.Join(file.Known, ", "); got != test.known {
				t.Errorf("known: %s", got)
			}
			if got := strings.Join(file.Unknown, ", "); got != test.unknown || len(file.Findings) != 1+strings.Count(test.unknown, "MAC") {
				t.Errorf("unknown: %s, findings %v", got, file.Findings)
			}
			if diff := cmp.Diff(test.want, lines(t, file)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhatIsNotUnderstoodIsKept(t *testing.T) {
	const header = "Device Name,Certificate Operation,Operation Status,Authentication Mode,Authentication String,Key Size,Key Order,EC Key Size,Status Time"
	for row, want := range map[string]string{
		"SEP0011,none,,,,,,,":                                "",
		"a b,none,,,,,,,":                                    `device: "a b" is not the name of a device`,
		",none,,,,,,,":                                       "no device is given",
		"SEP001122334401,renew,,,,,,,":                       `operation: "renew" is not an operation`,
		"SEP001122334401,,Upgrade Perhaps,,,,,,":             `state: "Upgrade Perhaps" is not the state of an operation`,
		"SEP001122334401,,None Success,,,,,,":                `state: "None Success" is not the state of an operation`,
		"SEP001122334401,,,By Fax,,,,,":                      `authentication mode: "By Fax" is not an authentication mode`,
		"SEP001122334401,,,,geheim,,,,":                      "authentication string: is not 4 to 10 digits",
		"SEP001122334401,,,,12345678901,,,,":                 "authentication string: is not 4 to 10 digits",
		"SEP001122334401,,,,,1000,,,":                        `key size: "********" is not the size of a key`,
		"SEP001122334401,,,,,256,,,":                         `key size: "256" is not the size of a key`,
		"SEP001122334401,,,,,,EC first,,":                    `key order: "EC first" is not an order of keys`,
		"SEP001122334401,,,,,,EC Only,255,":                  `EC key size: "255" is not 256, 384 or 521`,
		"SEP001122334401,,,,,,,,03/04/2005":                  `status time: "03/04/********" is not a time in a form that is known`,
		"SEP001122334401,,,,,,,":                             "has 8 columns, the header has 9",
		"SEP001122334401,,,,,,,,,x":                          "has 10 columns, the header has 9",
		`SEP001122334401,"in"stall,,,,,,,`:                   "text after a quoted value",
		`SEP001122334401,"install,,,,,,,`:                    "a quote is not closed",
		"SEP001122334401,a\x00b,,,,,,,":                      "NUL at byte 18",
		`SEP001122334401,,,,"=""0042""",,,,2005-01-02 03:04`: "",
	} {
		got := lines(t, open(t, header+"\n"+row+"\nSEP0011223344FF,none,,,,,,,\n"))
		switch {
		case len(got) != 2 || !strings.HasPrefix(got[1], "3|SEP0011223344FF|none"):
			t.Errorf("%q: got %q", row, got)
		case want == "" && strings.Contains(got[0], "kept"), want != "" && got[0] != "2 kept: "+want:
			t.Errorf("%q: got %q, want %q", row, got[0], want)
		}
	}
}

// TestColumnTwice: which of two values is meant nobody can tell, so the line is kept aside; two that are alike are one.
func TestColumnTwice(t *testing.T) {
	content := "Device Name,Description,Description,Operation\n" +
		"SEP001122334401,Lobby,Lobby,none\nSEP001122334402,Lobby,Hall,none\n"
	want := []string{"2|SEP001122334401", `3 kept: "Description" is there twice, and says two things`}
	got := lines(t, open(t, content))
	if len(got) != len(want) || !strings.HasPrefix(got[0], want[0]) || !strings.HasSuffix(got[0], "|Lobby") || got[1] != want[1] {
		t.Errorf("got %q", got)
	}
}

func TestEncodings(t *testing.T) {
	const content = "Device;Description;Operation\r\nSEP001122334401;M\xfcller;none\r\n"
	wide := []byte{0xff, 0xfe}
	for _, b := range []byte(content) {
		wide = append(wide, b, 0)
	}
	for _, given := range [][]byte{[]byte(content), wide, append([]byte("\xef\xbb\xbf"), strings.ReplaceAll(content, "\xfc", "ü")...)} {
		file, err := phonelist.Open(legacy.BytesInput("list.csv", given), "")
		if err != nil {
			t.Fatal(err)
		}
		if got := lines(t, file); len(got) != 1 || !strings.HasSuffix(got[0], "|Müller") {
			t.Errorf("%s: got %q", file.Encoding, got)
		}
	}
	file, err := phonelist.Open(legacy.BytesInput("list.csv", []byte(content)), text.Windows1252)
	if err != nil || file.Encoding != text.Windows1252 {
		t.Errorf("got %v, %v", file, err)
	}
}

func TestOtherFiles(t *testing.T) {
	for content, want := range map[string]string{
		"": "names no column", "a,b\n1,2\n": "names no column", "\x00\n": "names no column", "Operation,Status\n": "names no column",
		`"Device,Operation` + "\n": "names no column", "D\x00e\x00v\x00i\x00c\x00e\x00,\x00O\x00\n\x00": "UTF-16 without a byte-order mark",
		"Device\n" + strings.Repeat("\xc3\xbc\n\xfc\n", 5): "encoding is not clear",
		strings.Repeat("x,", 6000) + "device\n":            "names no column",
	} {
		_, err := phonelist.Open(legacy.BytesInput("list.csv", []byte(content)), "")
		var other *phonelist.OtherError
		if !errors.As(err, &other) || !strings.Contains(other.Reason, want) {
			t.Errorf("%.40q: got %v", content, err)
		}
	}
	if !open(t, "Device,Operation\n").AboutCertificates() || open(t, "Device,Description\n").AboutCertificates() {
		t.Error("what a list is about is told wrongly")
	}
	gone := legacy.Input{File: "gone.csv", Open: func() (io.ReadCloser, error) { return nil, os.ErrNotExist }}
	if _, err := phonelist.Open(gone, ""); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestPrivateKeyAndTornEnd(t *testing.T) {
	got := lines(t, open(t, "Device,Operation\n-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----\nSEP001122334401,none"))
	want := []string{"2 kept: private key, not kept", "2 finding: " + legacy.PrivateKeyAdvice, "5|SEP001122334401|none||||" + "|0||",
		"5 finding: the file ends without a line end: see whether the last record is whole"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// One quote that is not closed does not take the lines behind it.
func TestOpenQuote(t *testing.T) {
	var content strings.Builder
	content.WriteString("Device,Operation\n\"SEP001122334400,none\n")
	for i := range 50 {
		fmt.Fprintf(&content, "SEP0011223344%02d,none\n", i)
	}
	got := lines(t, open(t, content.String()))
	if len(got) != 51 || got[0] != "2 kept: a quote is not closed" || !strings.HasPrefix(got[50], "52|SEP001122334449|") {
		t.Errorf("got %d lines, the first %q", len(got), got[0])
	}
}

// Nor does it where a later record has quotes, at which it would end.
func TestOpenQuoteBeforeQuotes(t *testing.T) {
	got := lines(t, open(t, "Device,Operation,Description\nSEP001122334401,\"install,a\nSEP001122334402,none,b\nSEP001122334403,none,\"c, d\"\n"))
	if len(got) != 3 || !strings.HasPrefix(got[0], "2 kept: a quote goes on to line 4: ") || !strings.HasPrefix(got[1], "3|SEP001122334402|") ||
		!strings.HasPrefix(got[2], "4|SEP001122334403|") {
		t.Errorf("got %q", got)
	}
}

// Whatever the list is, all of its bytes but the lines before the records are in records or kept aside, and reading
// twice gives the same.
func FuzzOpen(f *testing.F) {
	f.Add([]byte("Device,Operation,Authentication String\nSEP001122334401,install,0042\nx\n\"a\nb\",none,\n"))
	f.Add([]byte("sep=;\ndevice;status;status-text\r\nSEP001122334401;success;Upgrade Success\r\n"))
	f.Add([]byte("mac\n-----BEGIN PRIVATE KEY-----\nabc\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		file, err := phonelist.Open(legacy.BytesInput("list.csv", content), "")
		if err != nil {
			return
		}
		var got []byte
		hidden := 0
		for item, err := range file.Items() {
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case item.Record != nil:
				got = append(got, item.Record.Bytes...)
			case item.Kept != nil && item.Kept.PrivateKey:
				hidden += int(item.Kept.Size)
			case item.Kept != nil:
				got = append(got, item.Kept.Bytes...)
			}
		}
		if bytes.Contains(got, []byte("BEGIN PRIVATE KEY")) {
			t.Errorf("a key is kept of %q", content)
		}
		if hidden == 0 && !isRest(content, got) {
			t.Errorf("%q is kept of %q", got, content)
		}
	})
}

// isRest tells whether what was kept is the content without its header, mark and blank lines.
func isRest(content, kept []byte) bool {
	squeeze := func(b []byte) []byte {
		return bytes.Join(bytes.FieldsFunc(b, func(r rune) bool { return r <= ' ' || r == 0x1a || r == 0xfffd }), nil)
	}
	return bytes.HasSuffix(squeeze(content), squeeze(kept)) || bytes.IndexByte(content, 0) >= 0
}

// TestEncodingIsNoted: what was found about the encoding without being certain is said, as for the files of CAPF itself.
func TestEncodingIsNoted(t *testing.T) {
	for content, want := range map[string]string{
		"device,key size,description\nSEP001122334401,1024,Caf\xe9 M\xfcller\n": "read as windows-1252",
		"device,key size,description\nSEP001122334401,1024,Café Müller\n":       "",
		"device,key size,description\nSEP001122334401,1024,Lobby\n":             "",
	} {
		var found []string
		for _, one := range open(t, content).Findings {
			found = append(found, fmt.Sprint(one.Severity, " ", one.Reason))
		}
		if got := strings.Join(found, "; "); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%q: findings %q", content, got)
		}
	}
}

// TestTwoDeviceColumns: which of two columns is taken for the phone is said, and a line in which they differ is kept aside.
func TestTwoDeviceColumns(t *testing.T) {
	file := open(t, "Device Name,Operation,Device\n"+
		"SEP001122334401,install,0011.2233.4401\nSEP001122334402,install,SEP001122334403\nSEP001122334404,none,7960\n,none,SEP001122334405\n")
	if said := fmt.Sprint(file.Findings); !strings.Contains(said, `the phone is taken from column "Device", and not from "Device Name"`) {
		t.Errorf("findings %s", said)
	}
	got := lines(t, file)
	want := []string{"2|SEP001122334401|", `3 kept: "Device" and "Device Name" name two phones, SEP001122334403 and SEP001122334402`,
		"4|7960|", "5|SEP001122334405|"}
	for i := range want {
		if len(got) != len(want) || !strings.HasPrefix(got[i], want[i]) {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
}
