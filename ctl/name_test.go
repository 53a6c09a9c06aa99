package ctl

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNameString(t *testing.T) {
	commonName, organization := asn1.ObjectIdentifier{2, 5, 4, 3}, asn1.ObjectIdentifier{2, 5, 4, 10}
	raw := func(tag int, value string) asn1.RawValue { return asn1.RawValue{Tag: tag, Bytes: []byte(value)} }
	cases := []struct {
		name, want string
		sequence   []relativeNameSET
	}{
		{"empty", "", nil},
		{"order", "CN=b,O=a", []relativeNameSET{{{organization, raw(19, "a")}}, {{commonName, raw(12, "b")}}}},
		{"multi-valued", "CN=b+O=a", []relativeNameSET{{{commonName, raw(12, "b")}, {organization, raw(19, "a")}}}},
		{"twice", "O=b,O=a", []relativeNameSET{{{organization, raw(19, "a")}}, {{organization, raw(19, "b")}}}},
		{"special characters", `CN=a\,b\+c\"d\\e\<f\>g\;h=i#`, []relativeNameSET{{{commonName, raw(12, `a,b+c"d\e<f>g;h=i#`)}}}},
		{"spaces", `CN=\ a b\ `, []relativeNameSET{{{commonName, raw(12, " a b ")}}}},
		{"one space", `CN=\ `, []relativeNameSET{{{commonName, raw(12, " ")}}}},
		{"hash", `CN=\#a`, []relativeNameSET{{{commonName, raw(12, "#a")}}}},
		{"NUL and escape", `CN=a\00b\1B`, []relativeNameSET{{{commonName, raw(12, "a\x00b\x1b")}}}},
		{"UTF-8", "CN=Zürich", []relativeNameSET{{{commonName, raw(12, "Zürich")}}}},
		{"Latin-1", "CN=Zürich", []relativeNameSET{{{commonName, raw(20, "Z\xfcrich")}}}},
		{"BMP", "CN=Zü", []relativeNameSET{{{commonName, raw(30, "\x00Z\x00\xfc")}}}},
		{"torn BMP", "CN=#1e03005a00", []relativeNameSET{{{commonName, raw(30, "\x00Z\x00")}}}},
		{"bad UTF-8", "CN=#0c01ff", []relativeNameSET{{{commonName, raw(12, "\xff")}}}},
		{"number", "CN=#020105", []relativeNameSET{{{commonName, raw(2, "\x05")}}}},
		{"unknown type", "1.2.840.113549.1.9.1=#160161", []relativeNameSET{{{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, raw(22, "a")}}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			der, err := asn1.Marshal(c.sequence)
			if err != nil {
				t.Fatal(err)
			}
			got, err := NameString(der)
			if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
	for name, der := range map[string][]byte{"nothing": nil, "no sequence": {4, 0}, "more after it": {0x30, 0, 0}} {
		if got, err := NameString(der); err == nil {
			t.Errorf("%s reads as %q", name, got)
		}
	}
}

// TestNameLikeStandardLibrary holds ordinary names to what crypto/x509/pkix makes of them.
func TestNameLikeStandardLibrary(t *testing.T) {
	for _, name := range []pkix.Name{
		{CommonName: "SEP001122334455", OrganizationalUnit: []string{"Security"}, Organization: []string{"Example, Inc."}},
		{CommonName: "a+b", Country: []string{"DE"}, Locality: []string{"Köln"}, Province: []string{"NRW"}, SerialNumber: "7"},
	} {
		sequence := name.ToRDNSequence()
		der, err := asn1.Marshal(sequence)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := NameString(der); err != nil || got != sequence.String() {
			t.Errorf("%q, %v instead of %q", got, err, sequence.String())
		}
	}
}

func TestSameName(t *testing.T) {
	same := [][2]string{
		{"CN=a,O=b", "CN=a,O=b"}, {"CN=a,O=b", "cn=a;o=b"}, {"CN=a,O=b", "O=b, CN=a"}, {`CN=a\,b`, `CN="a,b"`},
		{`CN=a\2Cb`, `CN=a\,b`}, {`CN=a\ `, `CN="a "`}, {"CN=a+O=b", "O=b+CN=a"},
	}
	for _, pair := range same {
		if !sameName(pair[0], pair[1]) || !sameName(pair[1], pair[0]) {
			t.Errorf("%q and %q are the same name", pair[0], pair[1])
		}
	}
	different := [][2]string{
		{"CN=a", "CN=b"}, {"CN=a", "CN=A"}, {"CN=a", "O=a"}, {"CN=a,O=b", "CN=a"}, {`CN=a\,O=b`, "CN=a,O=b"}, {"", "CN=a"}, {`CN=a\`, "CN=a"},
	}
	for _, pair := range different {
		if sameName(pair[0], pair[1]) || sameName(pair[1], pair[0]) {
			t.Errorf("%q and %q are different names", pair[0], pair[1])
		}
	}
}

func TestSerialBytes(t *testing.T) {
	for number, want := range map[int64]string{0: "\x00", 1: "\x01", 0x7F: "\x7f", 0x80: "\x80", 0xFF: "\xff", 0x0100: "\x01\x00", 0x8000: "\x80\x00", -1: "\xff", -5: "\xfb", -128: "\x80", -129: "\xff\x7f"} {
		got := SerialBytes(&x509.Certificate{SerialNumber: big.NewInt(number)})
		if string(got) != want {
			t.Errorf("%d: % x instead of % x", number, got, want)
		}
	}
}

// FuzzName reads names from any bytes: what comes out has no control characters and is the same as itself.
func FuzzName(f *testing.F) {
	der, err := asn1.Marshal(pkix.Name{CommonName: " a,b\x00", Country: []string{"DE"}}.ToRDNSequence())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der)
	f.Fuzz(func(t *testing.T, der []byte) {
		name, err := NameString(der)
		if err != nil {
			return
		}
		for _, char := range []byte(name) {
			if char < ' ' {
				t.Errorf("%q has a control character", name)
			}
		}
		if !sameName(name, name+"") || sameName(name, name+",CN=x") {
			t.Errorf("%q is compared wrongly", name)
		}
	})
}
