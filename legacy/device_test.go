package legacy_test

import (
	"strings"
	"testing"

	"capf/legacy"
)

func TestDeviceName(t *testing.T) {
	for text, want := range map[string]string{
		"SEP001122aabbcc": "SEP001122AABBCC", "sep001122AABBCC": "SEP001122AABBCC", "001122aabbcc": "SEP001122AABBCC",
		"00:11:22:aa:bb:cc": "SEP001122AABBCC", "0011.22aa.bbcc": "SEP001122AABBCC", "SEP00-11-22-aa-bb-cc": "SEP001122AABBCC",
		"CSFALICE": "CSFALICE", "ATA0011_2.x-y": "ATA0011_2.x-y", strings.Repeat("n", 64): strings.Repeat("n", 64),
		"00:11-22:aa:bb:cc": "", "001122aabbccdd:": "", "..": "", "a..b": "", "-a": "", "": "", "a b": "", "a/b": "", "é": "",
		strings.Repeat("n", 65): "", "00::11:22:aa:bb:cc": "", "SEP001122aabbcc\n": "",
	} {
		got, ok := legacy.DeviceName(text)
		if ok != (want != "") || ok && got != want {
			t.Errorf("DeviceName(%q) = %q, %v, want %q", text, got, ok, want)
		}
	}
}
