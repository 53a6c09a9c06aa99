package pkcs11

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseURI(t *testing.T) {
	slot := uint(7)
	for _, test := range []struct {
		text string
		want URI
		back string // what String gives; empty: the text
	}{
		{"pkcs11:token=west?module-path=/usr/lib/a.so", URI{Token: "west", Module: "/usr/lib/a.so"}, ""},
		{"pkcs11:token=west;object=SAST%201;id=%01%FF?module-path=/usr/lib/a.so",
			URI{Token: "west", Object: "SAST 1", ID: []byte{1, 255}, Module: "/usr/lib/a.so"}, ""},
		{"PKCS11:serial=12ab;manufacturer=x;model=y;slot-id=7;type=private?module-path=/a%20b.so",
			URI{Serial: "12ab", Manufacturer: "x", Model: "y", SlotID: &slot, Module: "/a b.so"},
			"pkcs11:manufacturer=x;model=y;serial=12ab;slot-id=7?module-path=/a%20b.so"},
		{"pkcs11:token=A key;id=ab?module-path=/a.so", URI{Token: "A key", ID: []byte("ab"), Module: "/a.so"}, "pkcs11:token=A%20key;id=%61%62?module-path=/a.so"},
	} {
		got, err := ParseURI(test.text)
		if err != nil {
			t.Errorf("%s: %v", test.text, err)
			continue
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s:\n%s", test.text, diff)
		}
		if test.back == "" {
			test.back = test.text
		}
		if got.String() != test.back {
			t.Errorf("%s: writes %s", test.text, got)
		}
	}
}

func TestParseURIRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                                                      "begins with",
		"/etc/token.pem":                                        "begins with",
		"pkcs11:":                                               "module-path",
		"pkcs11:token=a":                                        "module-path",
		"pkcs11:token=a?module-path=lib.so":                     "no absolute path",
		"pkcs11:object=a?module-path=/a.so":                     "which token",
		"pkcs11:token=?module-path=/a.so":                       `"token" is empty`,
		"pkcs11:token=a;id=?module-path=/a.so":                  `"id" is empty`,
		"pkcs11:token=a;token=b?module-path=/a":                 "twice",
		"pkcs11:token=a;slot-id=x?module-path=/":                "no decimal number",
		"pkcs11:token=a;type=secret-key?module-path=/a":         "none of private",
		"pkcs11:token=a;library-version=1?module-path=/a":       "not known here",
		"pkcs11:token=a;object?module-path=/a":                  "not NAME=VALUE",
		"pkcs11:token=a%2?module-path=/a":                       "two hex digits",
		"pkcs11:token=a%zz?module-path=/a":                      "two hex digits",
		"pkcs11:token=a%0Ab?module-path=/a":                     "no printable text",
		"pkcs11:token=a\nb?module-path=/a":                      "control character",
		"pkcs11:token=%FF?module-path=/a":                       "no printable text",
		"pkcs11:token=a?module-path=/a%00":                      "no printable text",
		"pkcs11:token=a?module-name=softhsm2":                   "give module-path",
		"pkcs11:token=a?module-path=/a&x-vendor=1":              "not known here",
		"pkcs11:token=" + strings.Repeat("a", 5000):             "more than 4096",
		"pkcs11:token=a?module-path=/a&pin-value=SECRETSECRET":  "a PIN does not belong",
		"pkcs11:token=a?pin-source=file:SECRET&module-path=/a":  "a PIN does not belong",
		"pkcs11:token=a;pin-value=SECRET?module-path=/a":        "not known here",
		"pkcs11:token=a?module-path=/a&pin-value=%53%XSECRET":   "two hex digits",
		"pkcs11:token=a?module-path=/a?pin-value=SECRET&x=y":    "not known here",
		"pkcs11:token=a?module-path=/a;pin-value=SECRET&pin=xx": "not known here",
	} {
		got, err := ParseURI(text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%.60q: %v, %v instead of an error with %q", text, got, err, want)
		}
	}
}

// FuzzParseURI: what is read is written in a form that reads as the same.
func FuzzParseURI(f *testing.F) {
	for _, seed := range []string{"pkcs11:token=a;object=b;id=%01?module-path=/a.so", "pkcs11:slot-id=0;serial=%41?module-path=/%2F", "pkcs11:?&&", "pkcs11:token=%?module-path=/a"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		read, err := ParseURI(text)
		if err != nil {
			return
		}
		again, err := ParseURI(read.String())
		if len(read.String()) > maxURI {
			return // encoding makes it longer
		}
		if err != nil {
			t.Fatalf("%q writes %q: %v", text, read, err)
		}
		if diff := cmp.Diff(read, again); diff != "" {
			t.Fatal(diff)
		}
	})
}
