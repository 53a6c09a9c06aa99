package plain

import (
	"testing"
	"unicode/utf8"
)

func TestLine(t *testing.T) {
	for text, want := range map[string]string{
		"Müller 3. OG":           "Müller 3. OG",
		"a\x1b[2Jb\r\nc\td":      "a [2Jb  c d",
		"\u009b31m":              " 31m",
		"\u202eevil\u2066x":      " evil x",
		"a\u200fb":               "a b",
		"two\u2028lines\u2029":   "two lines ",
		"torn \xff\xfe":          "torn ?",
		"\x00\x7f":               "  ",
		"\u05d0\u05d1 is Hebrew": "\u05d0\u05d1 is Hebrew",
	} {
		if got := Line(text); got != want {
			t.Errorf("Line(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestClip(t *testing.T) {
	for _, one := range []struct {
		text string
		most int
		want string
	}{
		{"short", 5, "short"},
		{"longer", 5, "lo…"},
		{"aéiou", 5, "a…"}, // é has two bytes
		{"ééé", 3, "…"},
		{"", 0, ""},
	} {
		if got := ClipTo(one.text, one.most); got != one.want {
			t.Errorf("ClipTo(%q, %d) = %q, want %q", one.text, one.most, got, one.want)
		}
	}
	if got := QuoteTo("a\nb", 10); got != `"a\nb"` {
		t.Errorf("QuoteTo = %s", got)
	}
	if got := QuoteTo("aéi\nbc", 6); got != `"aé"…` {
		t.Errorf("QuoteTo = %s", got)
	}
}

func TestWords(t *testing.T) {
	for text, want := range map[string][2]bool{ // printable, a word
		"host.example": {true, true},
		"two words":    {true, false},
		"a\u00a0b":     {false, false},
		"a\tb":         {false, false},
		"a\ufffdb":     {true, false},
		"a\xff":        {false, false},
		"":             {true, true},
	} {
		if got := [2]bool{IsPrintable(text), IsWord(text)}; got != want {
			t.Errorf("%q: printable and a word %v, want %v", text, got, want)
		}
	}
}

func TestCounted(t *testing.T) {
	for want, got := range map[string]string{
		"1 phone": Counted(1, "phone"), "0 phones": Counted(0, "phone"), "2 phones": Counted(2, "phone"),
		"1 entry": CountedAs(1, "entry", "entries"), "3 entries": CountedAs(3, "entry", "entries"),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// FuzzLine: whatever comes, what is shown is valid and has no control character, and a part of it is no longer than asked.
func FuzzLine(f *testing.F) {
	f.Add("a\x1bb\xff", 3)
	f.Fuzz(func(t *testing.T, text string, most int) {
		line := Line(text)
		if !utf8.ValidString(line) {
			t.Fatalf("%q is not UTF-8", line)
		}
		for _, r := range line {
			if IsControl(r) {
				t.Fatalf("%q has a control character", line)
			}
		}
		if most < 0 {
			return
		}
		if got := ClipTo(line, most); len(got) > max(most, len(ellipsis)) || !utf8.ValidString(got) {
			t.Fatalf("ClipTo(%q, %d) = %q", line, most, got)
		}
	})
}
