package legacy_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"capf/internal/plain"
	"capf/legacy"
)

func TestMask(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"string of four digits", "device;1234;x", "device;********;x"},
		{"string of ten digits", "0123456789", "********"},
		{"three digits stay", "floor 123", "floor 123"},
		{"eleven digits stay", "12345678901", "12345678901"},
		{"digits at both ends", "1234 56 7890", "******** 56 ********"},
		{"digits within a word", "SEP000AB8001C40", "SEP000AB********C40"},
		{"password", "password = open sesame; x", "password =********"},
		{"password-like key", `TracePassword: "ab,c"`, `TracePassword:********`},
		{"key between quotes", `"auth string","ab"`, `"auth string",********`},
		{"German key", "Kennwort=geheim", "Kennwort=********"},
		{"short key", "PIN: ab1", "PIN:********"},
		{"key ended by a tab", "secret\tabc", "secret ********"},
		{"no mark, no value", "password", "password"},
		{"line end and end mark", "abc\r\n\x1a", "abc"},
		{"control characters", "a\x1b[31mb\x07", "a [31mb "},
		{"CP1252", "M\xfcller 12345", "Müller ********"},
		{"empty", "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := legacy.Mask([]byte(test.in)); got != test.want {
				t.Errorf("Mask(%q) = %q, want %q", test.in, got, test.want)
			}
		})
	}
}

func TestMaskReadsThroughUTF16(t *testing.T) {
	var wide []byte
	for _, unit := range utf16.Encode([]rune("phone;4711;x")) {
		wide = append(wide, byte(unit), byte(unit>>8))
	}
	if got := legacy.Mask(wide); got != "phone;********;x" {
		t.Errorf("got %q", got)
	}
}

func TestIsSecretKey(t *testing.T) {
	for key, want := range map[string]bool{
		"Password": true, "CA_Admin-Passwd": true, "Authentication String": true, "challenge phrase": true, "pin": true,
		"Pinboard": false, "Authentication Mode": false, "KeySize": false, "": false,
	} {
		if got := legacy.IsSecretKey(key); got != want {
			t.Errorf("IsSecretKey(%q) = %v", key, got)
		}
	}
}

// No run of 4 to 10 digits and no control character comes out, whatever goes in.
func FuzzMask(f *testing.F) {
	f.Add([]byte("a;1234;b"))
	f.Add([]byte("password=1 2 3"))
	f.Add([]byte{0xff, 0xfe, '1', 0, '2', 0, '3', 0, '4', 0})
	f.Fuzz(func(t *testing.T, content []byte) {
		got := legacy.Mask(content)
		if !utf8.ValidString(got) || strings.ContainsAny(got, "\r\n\x00\x1b") {
			t.Errorf("%q cannot be shown", got)
		}
		for _, run := range strings.FieldsFunc(got, func(r rune) bool { return r < '0' || r > '9' }) {
			if len(run) >= 4 && len(run) <= 10 {
				t.Errorf("Mask(%q) = %q shows %q", content, got, run)
			}
		}
	})
}

func TestSecretsAreNotPrinted(t *testing.T) {
	const text = "47110815"
	secret := legacy.NewSecret(text)
	holder := struct {
		Secret legacy.Secret
		Kept   legacy.KeptLine
	}{secret, legacy.Keep(legacy.Position{File: "f", Line: 3}, 0, []byte(text), "why")}
	encoded, err := json.Marshal(holder.Secret)
	if err != nil {
		t.Fatal(err)
	}
	for _, printed := range []string{
		fmt.Sprint(secret), fmt.Sprintf("%v %+v %#v %s %q", secret, secret, secret, secret, secret),
		fmt.Sprintf("%v %+v %#v", holder.Kept, holder.Kept, holder.Kept), holder.Kept.Shown(), string(encoded),
	} {
		if strings.Contains(printed, text) {
			t.Errorf("%s shows the secret", printed)
		}
	}
	if secret.Reveal() != text || secret.IsZero() || !legacy.NewSecret("").IsZero() {
		t.Error("the secret is not what was put in")
	}
}

func TestPositions(t *testing.T) {
	for want, position := range map[string]legacy.Position{
		"CAPF.phone:7":    {File: "CAPF.phone", Line: 7},
		"CAPF.phone":      {File: "CAPF.phone"},
		`"a\nerror: b.0"`: {File: "a\nerror: b.0"},
	} {
		if got := position.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestCounted(t *testing.T) {
	for count, want := range map[int]string{0: "0 columns", 1: "1 column", 2: "2 columns"} {
		if got := plain.Counted(count, "column"); got != want {
			t.Errorf("plain.Counted(%d) is %q, want %q", count, got, want)
		}
	}
}

func TestTimes(t *testing.T) {
	clock := time.Date(2005, 3, 4, 5, 6, 7, 0, time.UTC)
	for want, given := range map[string]legacy.Time{
		"":                     {},
		"2005-03-04T05:06:07":  {Clock: clock},
		"2005-03-04T05:06:07Z": {Clock: clock, Absolute: true},
	} {
		if got := given.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestWithholdKeepsNoBytes(t *testing.T) {
	kept := legacy.WithholdKey(legacy.Position{File: "f", Line: 2}, 5, 10, 300, [32]byte{1}, "private key")
	if kept.Bytes != nil || !kept.PrivateKey || kept.Count != 5 || !strings.Contains(kept.Shown(), "300 bytes") {
		t.Errorf("got %+v, shown %q", kept, kept.Shown())
	}
}
