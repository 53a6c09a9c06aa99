package phoneconfig

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"capf/runtime/capf"
)

var sample = Settings{AuthMode: capf.AuthByLSC, SecurityMode: capf.Encrypted, Server: "pub", Port: 3999}

const (
	leaves = "<deviceSecurityMode>3</deviceSecurityMode><capfAuthMode>3</capfAuthMode>"
	member = "<capf><phonePort>3999</phonePort><processNodeName>pub</processNodeName></capf>"
	all    = leaves + "<capfList>" + member + "</capfList>"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var merges = []struct{ name, before, after string }{
	{"bare root", "<device/>", "<device>" + all + "</device>"},
	{"bare root with attributes", `<device xsi:type="axl:XIPPhone" />`, `<device xsi:type="axl:XIPPhone">` + all + "</device>"},
	{"empty root", "<device>\n</device>", "<device>" + all + "\n</device>"},
	{"empty elements", "<device><capfList/><capfAuthMode/><deviceSecurityMode /></device>",
		"<device><capfList>" + member + "</capfList><capfAuthMode>3</capfAuthMode><deviceSecurityMode>3</deviceSecurityMode></device>"},
	{"empty elements with ends", "<device><capfList></capfList><capfAuthMode></capfAuthMode><deviceSecurityMode></deviceSecurityMode></device>",
		"<device><capfList>" + member + "</capfList><capfAuthMode>3</capfAuthMode><deviceSecurityMode>3</deviceSecurityMode></device>"},
	{"empty member", "<device>" + leaves + "<capfList a='1'><capf/></capfList></device>", "<device>" + leaves + "<capfList a='1'>" + member + "</capfList></device>"},
	{"indented", "<device>\n  <a>1</a>\n  <capfList>\n    <x/>\n  </capfList>\n</device>\n",
		"<device>\n  <a>1</a>\n  <capfList>\n    <x/>\n    <capf>\n      <phonePort>3999</phonePort>\n      <processNodeName>pub</processNodeName>\n    </capf>\n  </capfList>\n  <deviceSecurityMode>3</deviceSecurityMode>\n  <capfAuthMode>3</capfAuthMode>\n</device>\n"},
	{"indented root, tabs, a new list", "\n\t<device>\n\t\t<a/>\n\t</device>",
		"\n\t<device>\n\t\t<a/>\n\t\t<deviceSecurityMode>3</deviceSecurityMode>\n\t\t<capfAuthMode>3</capfAuthMode>\n\t\t<capfList>\n\t\t\t<capf>\n\t\t\t\t<phonePort>3999</phonePort>\n\t\t\t\t<processNodeName>pub</processNodeName>\n\t\t\t</capf>\n\t\t</capfList>\n\t</device>"},
	{"half a member", "<device>" + leaves + "<capfList>\n <capf>\n  <phonePort>3804</phonePort>\n </capf>\n</capfList></device>",
		"<device>" + leaves + "<capfList>\n <capf>\n  <phonePort>3999</phonePort>\n  <processNodeName>pub</processNodeName>\n </capf>\n</capfList></device>"},
	{"surplus members", "<device>" + leaves + "<capfList>\n <!-- first --><capf><processNodeName>a</processNodeName><phonePort>1</phonePort></capf>\n <capf/>\n <!-- third -->\n <capf><phonePort>2</phonePort></capf>\n</capfList></device>",
		"<device>" + leaves + "<capfList>\n <!-- first --><capf><processNodeName>pub</processNodeName><phonePort>3999</phonePort></capf>\n <!-- third -->\n</capfList></device>"},
	{"several times", "<device><capfAuthMode>0</capfAuthMode><capfList/><b/><capfAuthMode/><capfList><capf/></capfList><deviceSecurityMode>1</deviceSecurityMode></device>",
		"<device><capfAuthMode>3</capfAuthMode><capfList>" + member + "</capfList><b/><capfAuthMode>3</capfAuthMode><capfList>" + member + "</capfList><deviceSecurityMode>3</deviceSecurityMode></device>"},
	{"commented out", "<device>\n<!-- <capfAuthMode>1</capfAuthMode> <capfList/> -->\n</device><!-- <device/> -->", "<device>" + all + "\n<!-- <capfAuthMode>1</capfAuthMode> <capfList/> -->\n</device><!-- <device/> -->"},
	{"comments within", "<device><!-- a -->" + "<capfAuthMode><!-- b -->0<?c d?></capfAuthMode><capfList><!-- e -->" + member + "</capfList><deviceSecurityMode>3</deviceSecurityMode></device>",
		"<device><!-- a --><capfAuthMode>3<!-- b --><?c d?></capfAuthMode><capfList><!-- e -->" + member + "</capfList><deviceSecurityMode>3</deviceSecurityMode></device>"},
	{"CDATA", "<device><x><![CDATA[<capfAuthMode>1</capfAuthMode>]]></x><capfAuthMode><![CDATA[3]]></capfAuthMode><deviceSecurityMode><![CDATA[1]]></deviceSecurityMode><capfList>" + member + "</capfList></device>",
		"<device><x><![CDATA[<capfAuthMode>1</capfAuthMode>]]></x><capfAuthMode><![CDATA[3]]></capfAuthMode><deviceSecurityMode>3</deviceSecurityMode><capfList>" + member + "</capfList></device>"},
	{"elsewhere, and with a prefix", "<device><b><capfAuthMode>1</capfAuthMode></b><x:capfAuthMode>1</x:capfAuthMode>" + all + "</device>", "<device><b><capfAuthMode>1</capfAuthMode></b><x:capfAuthMode>1</x:capfAuthMode>" + all + "</device>"},
	{"attributes and entities", "<device a='&lt;' b=\"/\">\n<t c = 'd'>&amp;&#65;</t >\n<capfAuthMode unset=\"/\">&#49;</capfAuthMode >\n" + "<deviceSecurityMode>&#51;</deviceSecurityMode><capfList>" + member + "</capfList></device >",
		"<device a='&lt;' b=\"/\">\n<t c = 'd'>&amp;&#65;</t >\n<capfAuthMode unset=\"/\">3</capfAuthMode >\n" + "<deviceSecurityMode>&#51;</deviceSecurityMode><capfList>" + member + "</capfList></device >"},
	{"white space around a value", "<device><capfAuthMode> 3 </capfAuthMode><deviceSecurityMode>3\n</deviceSecurityMode><capfList>" + member + "</capfList></device>",
		"<device><capfAuthMode>3</capfAuthMode><deviceSecurityMode>3</deviceSecurityMode><capfList>" + member + "</capfList></device>"},
	{"as it should be", "\n<device >" + all + "</device>\n\n", "\n<device >" + all + "</device>\n\n"},
}

// writings are how a document can be written; each gives it with another declaration, or none.
var writings = []struct {
	name  string
	write func(t *testing.T, text string) []byte
}{
	{"bare", func(_ *testing.T, text string) []byte { return []byte(text) }},
	{"UTF-8", func(_ *testing.T, text string) []byte {
		return []byte("<?xml version=\"1.0\" encoding='UTF-8' standalone=\"yes\"?><!-- Köln, 日本 𝄞 -->" + text)
	}},
	{"UTF-8 with mark", func(_ *testing.T, text string) []byte {
		return []byte(utf8Mark + "<?xml version=\"1.0\"?><!-- Köln -->" + text)
	}},
	{"CRLF", func(_ *testing.T, text string) []byte { return []byte(strings.ReplaceAll(text, "\n", "\r\n")) }},
	{"ISO 8859-1", func(t *testing.T, text string) []byte {
		return encoded(t, charmap.ISO8859_1, `<?xml version="1.0" encoding="iso-8859-1"?><!-- Köln -->`+text)
	}},
	{"Windows 1252", func(t *testing.T, text string) []byte {
		return encoded(t, charmap.Windows1252, `<?xml version="1.0" encoding="windows-1252"?><!-- Köln, 5 € -->`+text)
	}},
	{"UTF-16 little-endian", func(t *testing.T, text string) []byte {
		return encoded(t, unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), `<?xml version="1.0" encoding="UTF-16"?><!-- Köln, 日本 𝄞 -->`+text)
	}},
	{"UTF-16 big-endian", func(t *testing.T, text string) []byte {
		return encoded(t, unicode.UTF16(unicode.BigEndian, unicode.UseBOM), strings.ReplaceAll("<!-- 𝄞 -->"+text, "\n", "\r\n"))
	}},
}

func TestMerge(t *testing.T) {
	for _, writing := range writings {
		for _, test := range merges {
			t.Run(writing.name+"/"+test.name, func(t *testing.T) {
				before, want := writing.write(t, test.before), writing.write(t, test.after)
				got, changed, err := Merge(before, sample)
				must(t, err)
				if !bytes.Equal(got, want) {
					t.Fatalf("got %q\nwant %q", got, want)
				}
				if len(changed) == 0 != bytes.Equal(before, want) {
					t.Errorf("changed: %v", changed)
				}
				judge(t, before, got, sample)
			})
		}
	}
}

func TestMergeNamesWhatItChanges(t *testing.T) {
	for document, want := range map[string][]string{
		"<device/>":                                  {securityElement, authElement, listElement},
		"<device>" + all + "</device>":               nil,
		"<device><capfList/>" + leaves + "</device>": {listElement},
		"<device>" + leaves + "<capfList>" + member + member + "</capfList></device>": {listElement},
		strings.Replace("<device>"+all+"</device>", ">3</capf", ">0</capf", 1):        {authElement},
		strings.Replace("<device>"+all+"</device>", "3999", "3804", 1):                {listElement},
	} {
		if _, got, err := Merge([]byte(document), sample); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v; want %v", document, got, err, want)
		}
	}
}

// Every value that a phone knows, as capf-protocol.md numbers them.
func TestValues(t *testing.T) {
	for auth, number := range map[capf.AuthMode]string{capf.AuthByString: "1", capf.AuthByNullString: "2", capf.AuthByLSC: "3", capf.AuthByMIC: "4"} {
		for security, mode := range map[capf.SecurityMode]string{capf.NonSecure: "1", capf.Authenticated: "2", capf.Encrypted: "3"} {
			document, err := Minimal(Settings{AuthMode: auth, SecurityMode: security, Server: "192.0.2.1", Port: 3804})
			must(t, err)
			want := "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<device>\n\t<deviceSecurityMode>" + mode + "</deviceSecurityMode>\n\t<capfAuthMode>" + number +
				"</capfAuthMode>\n\t<capfList>\n\t\t<capf>\n\t\t\t<phonePort>3804</phonePort>\n\t\t\t<processNodeName>192.0.2.1</processNodeName>\n\t\t</capf>\n\t</capfList>\n</device>\n"
			if string(document) != want {
				t.Errorf("%s, %s: %s", auth, security, document)
			}
		}
	}
}

func TestSettings(t *testing.T) {
	wrong := map[string]func(*Settings){
		"authentication mode":    func(s *Settings) { s.AuthMode = "" },
		"security mode":          func(s *Settings) { s.SecurityMode = "open" },
		"port 0":                 func(s *Settings) { s.Port = 0 },
		"port 65536":             func(s *Settings) { s.Port = 65536 },
		`server ""`:              func(s *Settings) { s.Server = "" },
		`server "a b"`:           func(s *Settings) { s.Server = "a b" },
		`server "a\n"`:           func(s *Settings) { s.Server = "a\n" },
		`server "\xff"`:          func(s *Settings) { s.Server = "\xff" },
		`server "aaaaaaaaaaaaaa`: func(s *Settings) { s.Server = strings.Repeat("a", maxServer+1) },
	}
	for want, change := range wrong {
		settings := sample
		change(&settings)
		if _, _, err := Merge([]byte("<device/>"), settings); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// A name that XML has other uses for, or that the encoding of a file has no characters for.
func TestServerIsEscaped(t *testing.T) {
	settings := sample
	settings.Server = `a<&>'"ü日`
	for _, writing := range writings {
		before := writing.write(t, "<device/>")
		got, _, err := Merge(before, settings)
		must(t, err)
		judge(t, before, got, settings)
	}
}
