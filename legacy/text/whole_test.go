package text_test

import (
	"strings"
	"testing"

	"golang.org/x/text/encoding/unicode"

	"capf/legacy/text"
)

func TestAsUTF8(t *testing.T) {
	const content = "name = \"Größe 日本\"\r\n\r\n# Ċ\r\nlast"
	want := strings.ReplaceAll(content, "\r", "")
	for _, order := range []unicode.Endianness{unicode.LittleEndian, unicode.BigEndian} {
		wide, err := unicode.UTF16(order, unicode.UseBOM).NewEncoder().String(content)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := text.AsUTF8([]byte(wide)); err != nil || string(got) != want {
			t.Errorf("got %q, %v", got, err)
		}
		if _, err := text.AsUTF8([]byte(wide + "x")); err == nil || !strings.Contains(err.Error(), "line 4: odd number of bytes") {
			t.Errorf("got %v", err)
		}
	}
	for _, same := range []string{content, "\xff", ""} {
		if got, err := text.AsUTF8([]byte(same)); err != nil || string(got) != same {
			t.Errorf("got %q, %v", got, err)
		}
	}
	if got, err := text.AsUTF8([]byte("\ufeff" + content)); err != nil || string(got) != content {
		t.Errorf("got %q, %v", got, err)
	}
}
