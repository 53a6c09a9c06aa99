package capf_test

import (
	"strings"
	"testing"

	"capf/runtime/capf"
)

func TestParseDevice(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"SEP0011223344AA", "SEP0011223344AA"},
		{"sep0011223344aa", "SEP0011223344AA"},
		{"0011223344aa", "SEP0011223344AA"},
		{"00:11:22:33:44:AA", "SEP0011223344AA"},
		{"00-11-22-33-44-aa", "SEP0011223344AA"},
		{"0011.2233.44aa", "SEP0011223344AA"},
		{"SEP00:11:22:33:44:aa", "SEP0011223344AA"},
		{"CSFALICE", "CSFALICE"},
		{"csf.alice-2_x", "csf.alice-2_x"},
		{"SEP1", "SEP1"},
		{strings.Repeat("a", 64), strings.Repeat("a", 64)},
	} {
		got, err := capf.ParseDevice(test.text)
		if err != nil || got != test.want {
			t.Errorf("ParseDevice(%q) = %q, %v; want %q", test.text, got, err, test.want)
		}
		if again, err := capf.ParseDevice(got); err != nil || again != got {
			t.Errorf("ParseDevice(%q) is not stable: %q, %v", got, again, err)
		}
	}
}

func TestParseDeviceRefuses(t *testing.T) {
	for _, text := range []string{"", ".hidden", "-x", "_x", "a..b", "a/b", `a\b`, "a b", "a\x00", "ü", strings.Repeat("a", 65),
		"00:11:22:33:44", "00:11-22:33:44:AA", "0:011:22:33:44:AA", "00:11:22:33:44:AA:"} {
		if got, err := capf.ParseDevice(text); err == nil || !capf.HasCode(err, capf.CodeInvalid) {
			t.Errorf("ParseDevice(%q) = %q, %v; want CodeInvalid", text, got, err)
		}
	}
}

func FuzzParseDevice(f *testing.F) {
	f.Add("00:11:22:33:44:AA")
	f.Add("SEP..")
	f.Fuzz(func(t *testing.T, text string) {
		name, err := capf.ParseDevice(text)
		if err != nil {
			return
		}
		if again, err := capf.ParseDevice(name); err != nil || again != name {
			t.Errorf("%q gives %q, which gives %q, %v", text, name, again, err)
		}
		if strings.ContainsAny(name, "/\\\x00 ") || strings.Contains(name, "..") || len(name) > 64 {
			t.Errorf("%q gives %q, which is no safe file name", text, name)
		}
	})
}

// Of a migration or a session every phone comes by here several times.
func TestParseDeviceTakesWhatIsNormalised(t *testing.T) {
	allocations := testing.AllocsPerRun(100, func() {
		if _, err := capf.ParseDevice("SEP0011223344AA"); err != nil {
			t.Fatal(err)
		}
	})
	if allocations != 0 {
		t.Errorf("a name that has its form already takes %v allocations", allocations)
	}
}
