package capf

import (
	"strings"
	"testing"
)

func TestAuthorityAddress(t *testing.T) {
	parameter, err := FindParameter(ParamCAAddress)
	if err != nil {
		t.Fatal(err)
	}
	for _, good := range []string{"", "10.1.2.3", "2001:db8::1", "ca", "ca.example", "CA_1.example", "3com.example", "http://ca.example/certsrv/mscep/mscep.dll",
		"https://10.1.2.3:8443/scep?x=1", "http://[2001:db8::1]/", strings.Repeat("a", 63) + ".example"} {
		if got, err := parameter.Normalise(good); err != nil || got != good {
			t.Errorf("%q: %q, %v", good, got, err)
		}
	}
	for _, bad := range []string{"not a host", "10.1.2", "10.1.2.300", "ca.example:80", "ca..example", ".", "-ca", "ca-.example", "fe80::1%eth0", "ca/example",
		"ftp://ca.example", "http://", "http:///x", "http://user:geheim@ca.example/", "http://ca.example/#x", "http://ca.example:0/", "http://ca.example:99999/",
		"http://ca example/", "http://ca.example/\u202e", "c\u00e4.example", "ca\u202e", strings.Repeat("a", 64), strings.Repeat("a.", 130) + "a",
		"http://ca.example/" + strings.Repeat("x", 255)} {
		if got, err := parameter.Normalise(bad); !HasCode(err, CodeInvalid) {
			t.Errorf("%q: %q, %v", bad, got, err)
		}
	}
}

// FuzzAuthorityAddress holds that what is let through stays as it is, on one line of printable ASCII.
func FuzzAuthorityAddress(f *testing.F) {
	f.Add("http://ca.example/certsrv/mscep/mscep.dll")
	f.Add("10.1.2.3")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := authorityAddress(text)
		if err == nil && (got != text || len(got) > maxURL || strings.ContainsFunc(got, isNoURL)) {
			t.Errorf("%q was let through as %q", text, got)
		}
	})
}
