package cfgfile_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"capf/legacy"
	"capf/legacy/cfgfile"
	"capf/legacy/dialect"
	"capf/legacy/text"
)

func read(content string) (*cfgfile.File, error) {
	return cfgfile.Read(legacy.BytesInput("CAPF.cfg", []byte(content)), dialect.Builtin())
}

func mustRead(t testing.TB, content string) *cfgfile.File {
	t.Helper()
	file, err := read(content)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestRead(t *testing.T) {
	file := mustRead(t, "; comment\r\nCertificateIssuer=CAPF\r\n\r\n[ Network ]\r\nCAPF Phone Port: 3804\r\n"+
		"TraceFolder = \"C:\\Program Files\"\r\n# x\r\nAdmin Password=geheim 12345\r\nKeonJurisdictionID=\r\nM\xfcll=\xe4\r\n\x1a")
	var got []string
	for _, setting := range file.Settings {
		got = append(got, fmt.Sprintf("%d|%s|%s|%s|%s|%v", setting.Line, setting.Section, setting.Key, setting.Parameter,
			setting.Value.Reveal(), setting.Secret))
	}
	want := []string{
		"2||CertificateIssuer|certificate-issuer|CAPF|false",
		"5|Network|CAPF Phone Port|capf-phone-port|3804|false",
		`6|Network|TraceFolder||C:\Program Files|false`,
		"8|Network|Admin Password||geheim 12345|true",
		"9|Network|KeonJurisdictionID|keon-jurisdiction-id||false",
		"10|Network|Müll||ä|false",
	}
	if diff := cmp.Diff(want, got); diff != "" || len(file.Kept) > 0 || len(file.Findings) != 1 ||
		!strings.Contains(file.Findings[0].Reason, "read as windows-1252") {
		t.Errorf("%s\nkept %v, findings %v", diff, file.Kept, file.Findings)
	}
	if file.Dialect.Name != "blocks" || file.Encoding != text.Windows1252 {
		t.Errorf("read by %v in %s", file.Dialect, file.Encoding)
	}
	if raw := string(file.Settings[0].Bytes); raw != "CertificateIssuer=CAPF\r\n" {
		t.Errorf("bytes %q", raw)
	}
}

// Name and value may be columns; the separator is the one that stands after names of parameters.
func TestReadColumns(t *testing.T) {
	for _, separator := range []string{",", ";", "\t", "|"} {
		content := strings.ReplaceAll("# settings\nKeySize;1024\nCAPF Phone Port;3804\nTrace; 5\nIssuer;\"O=A, CN=CAPF: x\"\n", ";", separator)
		file := mustRead(t, content)
		if file.Dialect.Name != "headerless" || len(file.Settings) != 4 || len(file.Kept) > 0 {
			t.Fatalf("%q: %v, kept %v", separator, file.Settings, file.Kept)
		}
		last := file.Settings[3]
		if last.Parameter != "certificate-issuer" || last.Value.Reveal() != "O=A, CN=CAPF: x" || string(last.Bytes[last.From:last.To]) != last.Value.Reveal() {
			t.Errorf("%q: %v, bytes %d to %d of %q", separator, last, last.From, last.To, last.Bytes)
		}
	}
	file := mustRead(t, "KeySize,1024\n"+strings.Repeat("a,b\n", 30)+"a\n,b\na,b,c\n")
	if len(file.Settings) != 31 || len(file.Kept) != 3 {
		t.Errorf("%d settings, kept %v", len(file.Settings), file.Kept)
	}
}

func TestBytesOfValues(t *testing.T) {
	for content, want := range map[string]string{
		"KeySize=1024\r\n": "1024", "a : \"b \" \r\n": "b ", "Tr\xfcmmer\t=\t\xe4\xf6 \r\n": "\xe4\xf6", "a=\r\n": "", "a=\"\"\r\n": "",
	} {
		s := mustRead(t, content).Settings[0]
		if got := string(s.Bytes[s.From:s.To]); got != want {
			t.Errorf("%q: bytes %d to %d are %q", content, s.From, s.To, got)
		}
	}
}

func TestSettingsDoNotShowSecrets(t *testing.T) {
	file := mustRead(t, "TracePassword=geheim\nUser=u47110815\nCAPFPhonePort=3804\n")
	printed := fmt.Sprintf("%v %+v %#v", file.Settings, file.Settings, file.Settings)
	if strings.Contains(printed, "geheim") || strings.Contains(printed, "47110815") || !strings.Contains(printed, "3804") {
		t.Errorf("printed %s", printed)
	}
}

func TestKeptAside(t *testing.T) {
	good := strings.Repeat("a=b\n", 30)
	for line, reason := range map[string]string{
		"do not edit":              "no key and value",
		"=x":                       "no key before the mark",
		"a=\x00":                   "NUL at byte 3",
		`a="b`:                     "a quote is not closed",
		"[a":                       "no key and value",
		"-----BEGIN PRIVATE KEY--": "private key without its end, not kept",
	} {
		file := mustRead(t, good+line+"\n"+"c,=d\n")
		if len(file.Settings) != 31 || len(file.Kept) != 1 {
			t.Errorf("%q: %d settings, kept %v", line, len(file.Settings), file.Kept)
			continue
		}
		kept := file.Kept[0]
		if kept.Line != 31 || kept.Reason != reason || !kept.PrivateKey && string(kept.Bytes) != line+"\n" {
			t.Errorf("%q: kept %d %q: %s", line, kept.Line, kept.Bytes, kept.Reason)
		}
	}
}

// The lines of a key are withheld by every dialect, so that they do not count against one, however few others there are.
func TestKeysDoNotCount(t *testing.T) {
	const key = "-----BEGIN PRIVATE KEY-----\nMIIEowIBAAKCAQEA\n-----END PRIVATE KEY-----\n"
	for content, settings := range map[string]int{"KeySize=1024\n" + key + "a=b\nc=d\n": 3, "KeySize=1024\n" + key + key: 1, key: 0} {
		file := mustRead(t, content)
		if len(file.Settings) != settings || len(file.Kept) != strings.Count(content, key) || !file.Kept[0].PrivateKey ||
			!strings.Contains(fmt.Sprint(file.Findings), legacy.PrivateKeyAdvice) {
			t.Errorf("%q: settings %v, kept %v, findings %v", content, file.Settings, file.Kept, file.Findings)
		}
	}
	if _, err := read("KeySize=1024\n" + key + "what is this\n"); err == nil || !strings.Contains(err.Error(), "reads 1 of 2 lines") {
		t.Errorf("lines beside a key that are not understood: %v", err)
	}
}

func TestReadRefuses(t *testing.T) {
	tests := []struct{ name, content, want string }{
		{"too many lines that are none", strings.Repeat("a=b\n", 8) + "x\n", "CAPF.cfg: no dialect fits: blocks: reads 8 of 9 lines, fewer than nine in ten: line 9: no key and value in \"x\""},
		{"no setting", "hello\n", "blocks: no line with a key and a value"},
		{"too large", strings.Repeat("a=b\n", cfgfile.MaxFile/4+1), "CAPF.cfg:262145: larger than 1048576 bytes"},
		{"encoding", "ä=1\n\xe4=1\n", "encoding is not clear"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := read(test.content); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

// TestNamesOnALine: a table of settings is not read, not even where it looks like a name and a value, and what to do is
// said; a dialect that was named keeps it aside.
func TestNamesOnALine(t *testing.T) {
	const advice = "names several settings and has no value: names on one line and values on the next are not read"
	for _, content := range []string{
		"KeySize,CAPF Phone Port\r\n2048,3804\r\n", "# x\n\"KeySize\";\"CAPF Phone Port\";Trace\n2048;3804;5\n", "KeySize\tCertificateIssuer\n2048\tCAPF\n",
		"KeySize CertificateIssuer Trace\n2048 CAPF 5\n",
	} {
		_, err := read(content)
		if err == nil || !strings.Contains(err.Error(), advice) || !strings.Contains(err.Error(), "capf parameter set") || !strings.HasPrefix(err.Error(), "CAPF.cfg:") {
			t.Errorf("%q: %v", content, err)
		}
		named := dialect.Builtin()
		for _, one := range named {
			if !one.Reads(dialect.Configuration) {
				continue
			}
			file, err := cfgfile.ReadAs(legacy.BytesInput("CAPF.cfg", []byte(content)), one)
			if err != nil || len(file.Kept) == 0 || !strings.Contains(fmt.Sprint(file.Findings), advice) {
				t.Errorf("%q by %s: %v, kept %v, %v", content, one.Name, file.Findings, file.Kept, err)
			}
		}
	}
	file := mustRead(t, "KeySize=1024\nCertificate Issuer: CAPF\nTrace=KeySize CertificateIssuer\n")
	if len(file.Settings) != 3 || len(file.Kept) != 0 {
		t.Errorf("settings %v, kept %v", file.Settings, file.Kept)
	}
}

func TestNothingToRead(t *testing.T) {
	for _, content := range []string{"", "\r\n", "; x\n[a]\n"} {
		if file := mustRead(t, content); file.Dialect != nil || len(file.Settings) > 0 {
			t.Errorf("%q: got %+v", content, file)
		}
	}
}

func TestNamedDialect(t *testing.T) {
	d, err := dialect.Parse([]byte(`name = "werk"
files = ["configuration"]
form = "blocks"
marks = [">"]
[parameters]
key-size = ["Schlüssellänge"]
`), "werk.toml")
	if err != nil {
		t.Fatal(err)
	}
	file, err := cfgfile.ReadAs(legacy.BytesInput("CAPF.cfg", []byte("Schl\xfcssel-L\xe4nge > 2048\n[a]\nx=y\n")), d)
	if err != nil {
		t.Fatal(err)
	}
	if len(file.Settings) != 1 || file.Settings[0].Parameter != "key-size" || file.Settings[0].Value.Reveal() != "2048" || len(file.Kept) != 2 {
		t.Errorf("got %v, kept %v", file.Settings, file.Kept)
	}
}

func TestFindings(t *testing.T) {
	file := mustRead(t, "KeySize=1024\nkey size=2048\nKeyLength=1024\nCAPFPhonePort=38")
	var got []string
	for _, finding := range file.Findings {
		got = append(got, finding.String())
	}
	want := []string{
		"CAPF.cfg:4: warning: the file ends without a line end: see whether the last value is whole",
		"CAPF.cfg:2: warning: sets key-size, which line 1 sets to another value",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Each line that is not blank, a comment or a section is a setting or kept aside, and no key text comes out.
func FuzzRead(f *testing.F) {
	f.Add([]byte("a=b\n[x]\n; y\nz\n"))
	f.Add([]byte("a: \"b\"\r\n-----BEGIN PRIVATE KEY-----\r\nMIIE\r\n-----END PRIVATE KEY-----\r\nc=d\x1a"))
	f.Add([]byte("KeySize;1024\nx;\"y\"\n;\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		for _, by := range dialect.Builtin() {
			if by.Reads(dialect.Configuration) {
				checkLines(t, content, by)
			}
		}
		_, _ = read(string(content))
	})
}

func checkLines(t *testing.T, content []byte, by *dialect.Dialect) {
	input := legacy.BytesInput("CAPF.cfg", content)
	file, err := cfgfile.ReadAs(input, by)
	if err != nil {
		return
	}
	given := map[int64]string{}
	for _, setting := range file.Settings {
		given[int64(setting.Line)<<32] = string(setting.Bytes)
		if setting.From > setting.To || setting.To > len(setting.Bytes) {
			t.Fatalf("line %d: bytes %d to %d of %q", setting.Line, setting.From, setting.To, setting.Bytes)
		}
	}
	for _, kept := range file.Kept {
		given[int64(kept.Line)<<32|kept.Offset] = string(kept.Bytes)
	}
	for line := range text.Lines(input, file.Encoding) {
		_, section := by.CutSection(line.Text)
		if line.Problem == "" && (strings.TrimSpace(line.Text) == "" || by.IsComment(line.Text) || section) {
			continue
		}
		whole, isSetting := given[int64(line.Number)<<32]
		if !isSetting || line.Problem != "" {
			whole = given[int64(line.Number)<<32|line.Offset]
		}
		if whole != string(line.Raw) {
			t.Fatalf("%s: line %d: %q instead of %q", by, line.Number, whole, line.Raw)
		}
	}
}
