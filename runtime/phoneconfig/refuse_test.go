package phoneconfig

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"golang.org/x/text/encoding/unicode"
)

var utf16LE = unicode.UTF16(unicode.LittleEndian, unicode.UseBOM)

// What is no configuration of a phone is refused, with the place.
func TestRefused(t *testing.T) {
	little := func(text string) string { return string(encoded(t, utf16LE, text)) }
	for name, test := range map[string]struct{ document, want string }{
		"nothing":                {"", "line 1, byte 0: the document has no element"},
		"no XML":                 {"\x7fELF", "line 1, byte 0: "},
		"text":                   {"hello", "line 1, byte 0: not well-formed: text outside of the root"},
		"document type":          {"<?xml version='1.0'?>\n<!DOCTYPE device [<!ENTITY a 'b'>]><device/>", "line 2, byte 22: a document type"},
		"entity of its own":      {"<device>\n&lol9;</device>", "line 2, byte "},
		"entity in an attribute": {"<device a='&b;'/>", "line 1, byte "},
		"another root":           {"<Default/>", `line 1, byte 0: the root is "Default", not device`},
		"root with a prefix":     {"<x:device/>", `the root is "x:device"`},
		"two roots":              {"<device/><device/>", "line 1, byte 9: not well-formed: a second element"},
		"torn":                   {"<device>\r\n<capfAuthMode>", `line 2, byte 24: not well-formed: the document ends within "capfAuthMode"`},
		"torn in a tag":          {"<device><capf", "byte 13: not well-formed"},
		"wrong end":              {"<device>\n<a></device>", `line 2, byte 12: not well-formed: the end of "device" within "a"`},
		"end of nothing":         {"<device/></a>", `byte 9: not well-formed: the end of "a", which has not begun`},
		"attribute twice":        {"<device><a b='1' c='2' b='3'/></device>", `byte 8: not well-formed: attribute "b" is there twice`},
		"attribute bare":         {"<device a=b/>", "not well-formed"},
		"text behind":            {"<device/>x", "byte 9: not well-formed: text outside"},
		"character behind":       {"<device/>&#32;", "byte 9: not well-formed: text outside"},
		"0x1A behind":            {"<device/>\x1a", "not well-formed"},
		"late declaration":       {" <?xml version='1.0'?><device/>", "byte 1: not well-formed: an XML declaration"},
		"XML 1.1":                {"<?xml version='1.1'?><device/>", "unsupported version"},
		"elements in a value":    {"<device>\n <capfAuthMode><b/></capfAuthMode></device>", "line 2, byte 10: capfAuthMode has elements within"},
		"elements in a port":     {"<device><capfList><capf><phonePort><b/></phonePort></capf></capfList></device>", "byte 24: phonePort has elements within"},
		"no UTF-8":               {"<device>\n\xe9</device>", "line 2, byte 9: a byte that is no UTF-8; where"},
		"Shift-JIS":              {"<?xml version='1.0' encoding='Shift_JIS'?><device/>", `line 1, byte 0: it declares the encoding "shift_jis"`},
		"mark and Latin":         {utf8Mark + "<?xml version='1.0' encoding='iso-8859-1'?><device/>", `byte 3: it declares the encoding "iso-8859-1"`},
		"UTF-16 without mark":    {"<\x00d\x00", "byte 0: UTF-16 without a byte-order mark"},
		"big without mark":       {"\x00<\x00d", "byte 0: UTF-16 without a byte-order mark"},
		"UTF-16, declared else":  {little("<?xml version='1.0' encoding='utf-8'?><device/>"), `byte 2: it declares the encoding "utf-8"`},
		"UTF-16, torn":           {little("<device/>") + "\n", "line 1, byte 20: half a character"},
		"UTF-16, half a pair":    {little("<device>\n") + "\x34\xd8<\x00", "line 2, byte 20: half a pair"},
		"UTF-16, pair torn":      {little("<!--𝄞-->\n") + "\x34\xd8", "line 2, byte 22: half a pair"},
		"UTF-16, pair reversed":  {little("") + "\xff\xfe\x1e\xdd\x34\xd8", "half a pair"},
		"UTF-16, document type":  {little("<?xml version='1.0'?>\r\n<!DOCTYPE a><device/>"), "line 2, byte 48: a document type"},
		"UTF-16, mark twice":     {"\xff\xfe" + little("<device/>"), "byte 2: not well-formed: text outside"},
		"UTF-32":                 {"\xff\xfe\x00\x00<\x00\x00\x00", "not well-formed"},
		"Latin, document type":   {"<?xml version='1.0' encoding='latin1'?><!--\xe9\xe9-->\n<!DOCTYPE a><device/>", "line 2, byte 49: a document type"},
		"Latin, wrong end":       {"<?xml version='1.0' encoding='cp1252'?><device><\xe9></\xe8></device>", "byte 50: not well-formed"},
	} {
		merged, changed, err := Merge([]byte(test.document), sample)
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "line ") {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
		if merged != nil || changed != nil {
			t.Errorf("%s: an outcome beside an error: %q, %v", name, merged, changed)
		}
	}
}

func TestSignedIsRefused(t *testing.T) {
	_, _, err := Merge([]byte("\x01\x00\x02\x01\x02\x02\x00\x02\x01\x3c<device/>"), sample)
	if !errors.Is(err, ErrSigned) || !strings.HasPrefix(err.Error(), "line 1, byte 0: ") {
		t.Error(err)
	}
}

// Documents made to cost much are refused, or cost little.
func TestLimits(t *testing.T) {
	const ours = 6 // elements; they count too
	wide := "<device>" + strings.Repeat("<a/>", maxElements-1-ours)
	long := "<device><capfAuthMode>" + strings.Repeat("9<![CDATA[9]]>", 50000) + "</capfAuthMode>"
	for name, test := range map[string]struct{ document, want string }{
		"as wide as may be": {wide + "</device>", ""},
		"too wide":          {wide + "<a/></device>", "the file as it would become: line 1, byte"},
		"as deep as may be": {"<device>" + strings.Repeat("<a>", maxDepth-1) + strings.Repeat("</a>", maxDepth-1) + "</device>", ""},
		"much too wide":     {wide + strings.Repeat("<a/>", ours+1), "more than 20000 elements"},
		"too deep":          {"<device>" + strings.Repeat("<a>", maxDepth), "64 within each other"},
		"as long as may be": {"<device>" + all + "</device>" + strings.Repeat(" ", MaxFile-len("<device></device>")-len(all)), ""},
		"no room":           {"<device/>" + strings.Repeat(" ", MaxFile-len("<device/>")), "the file as it would become: line 1, byte"},
		"too long":          {"<device/>" + strings.Repeat("\n", MaxFile), "longer than 1048576 bytes"},
		"a long value":      {long + "</device>", ""},
		"many members":      {"<device><capfList>" + strings.Repeat("<capf/>", maxElements-2) + "</capfList></device>", ""},
		"a long name":       {"<" + strings.Repeat("n", MaxFile-2) + ">", "the root is"},
		"a long entity":     {"<device>&" + strings.Repeat("n", MaxFile-20) + ";</device>", "not well-formed"},
	} {
		merged, _, err := Merge([]byte(test.document), sample)
		switch {
		case test.want == "":
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			judge(t, []byte(test.document), merged, sample)
		case err == nil || !strings.Contains(err.Error(), test.want) || len(err.Error()) > 300:
			t.Errorf("%s: %.500v", name, err)
		}
	}
}

// FuzzMerge: what is taken has the settings afterwards and else what it had, as a foreign reader sees it, and a second
// time nothing changes.
func FuzzMerge(f *testing.F) {
	for _, test := range merges {
		f.Add([]byte(test.before), uint16(3804))
		f.Add([]byte(utf8Mark+test.after), uint16(3999))
		f.Add([]byte("<?xml version='1.0' encoding='windows-1252'?><!--\x80-->"+test.before), uint16(1))
		text, err := utf16LE.NewEncoder().Bytes([]byte(test.before))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, uint16(2))
	}
	f.Fuzz(func(t *testing.T, document []byte, port uint16) {
		settings := sample
		settings.Port = max(1, int(port))
		given := bytes.Clone(document)
		merged, changed, err := Merge(document, settings)
		if !bytes.Equal(document, given) {
			t.Fatal("the document was written to")
		}
		if err != nil {
			if !strings.Contains(err.Error(), "line ") {
				t.Fatalf("without a place: %v", err)
			}
			return
		}
		again, none, err := Merge(merged, settings)
		if err != nil || !bytes.Equal(again, merged) || len(none) > 0 {
			t.Fatalf("a second time changes %v: %v, %q, %q", none, err, merged, again)
		}
		if len(changed) == 0 != bytes.Equal(merged, document) {
			t.Fatalf("changed %v of %q to %q", changed, document, merged)
		}
		if wellFormed(document) == nil { // names of other encodings are taken more easily here
			judge(t, document, merged, settings)
		}
	})
}
