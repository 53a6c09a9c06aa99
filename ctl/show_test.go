package ctl

import (
	"crypto/sha1"
	"crypto/x509"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestShowGolden(t *testing.T) {
	var shown strings.Builder
	if err := Show(&shown, goldens(t)[0]); err != nil {
		t.Fatal(err)
	}
	want := string(readFile(t, data+"/golden-sha1.txt"))
	if diff := cmp.Diff(want, shown.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestShowSaysWhatDoesNotVerify(t *testing.T) {
	raw := goldens(t)[0]
	raw[len(raw)-1] ^= 1
	var shown strings.Builder
	if err := Show(&shown, raw); err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(shown.String(), "verification error\n") || !strings.Contains(shown.String(), "does NOT verify: byte 139") {
		t.Errorf("shown at the end: %s", shown.String()[shown.Len()-200:])
	}
	if err := Show(&shown, raw[:100]); err == nil {
		t.Error("half a list is shown")
	}
}

// TestShowIsSafeOnATerminal puts control characters into texts.
func TestShowIsSafeOnATerminal(t *testing.T) {
	header := leastHeader()
	header[3] = Element{Tag: TagFileName, Value: text("a\x1b[31m\nCTL Record #:9\xff\u202e")}
	var shown strings.Builder
	if err := Show(&shown, list(header)); err != nil {
		t.Fatal(err)
	}
	if text := shown.String(); strings.ContainsAny(text, "\x1b\u202e") || strings.Contains(text, "\xff") || strings.Contains(text, "\nCTL Record") {
		t.Errorf("shown as it came: %q", text)
	}
}

func TestDescribe(t *testing.T) {
	description, err := Describe(goldens(t)[1])
	if err != nil {
		t.Fatal(err)
	}
	want := SignatureDescription{Verified: true, Signer: "CN=SAST-2048,OU=Security Tokens,O=Example",
		Issuer: "CN=SAST-2048,OU=Security Tokens,O=Example", Serial: "20480001", Digest: "sha512", KeySize: 2048}
	if diff := cmp.Diff(want, description.Signature); diff != "" {
		t.Errorf("signature (-want +got):\n%s", diff)
	}
	var records []string
	for _, r := range description.Records {
		records = append(records, fmt.Sprint(r.Number, " ", r.Role, " ", r.DNSName, " ", r.Address, " ", r.Serial, " ", r.SignedList))
	}
	if diff := cmp.Diff([]string{
		"1 sast  0.0.0.0 83e9080000005545af31 false", "2 sast  0.0.0.0 20480001 true",
		"3 ccm+tftp publisher.example 10.1.2.3 f00d0001 false", "4 tftp 10.1.2.4 10.1.2.4 00 false", "5 capf publisher.example 10.1.2.3 07 false",
	}, records); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	position := 0
	for _, element := range description.Header {
		if element.Length == nil {
			position++
		} else if position != element.Position {
			t.Errorf("%s at %d instead of %d", element.Name, element.Position, position)
		} else if element.Tag == TagSignerID || element.Tag == TagSignatureInfo || element.Tag == TagSignatureAlgorithmInfo {
			position += overhead
		} else {
			position += overhead + *element.Length
		}
	}
	if position != description.HeaderLength {
		t.Errorf("the header's elements end at %d, not %d", position, description.HeaderLength)
	}
}

// TestDescribeHashes compares hash records with known certificates.
func TestDescribeHashes(t *testing.T) {
	known := []*x509.Certificate{loadCertificate(t, "ec"), loadCertificate(t, "publisher")}
	sum := sha1.Sum(known[1].Raw)
	of := []Element{hashRecord[0], {Tag: TagCertificateHash, Value: sum[:]}, hashRecord[2]}
	raw := list(leastHeader(), of, hashRecord)
	for name, test := range map[string]struct {
		known []*x509.Certificate
		want  []string // Known of both records
		shown []string
	}{
		"nothing is known": {nil, []string{"", ""}, nil},
		"one of two": {known, []string{`"CN=publisher.example,OU=CallManager,O=Example" serial f00d0001`, "none"},
			[]string{`The hash (sha1) is that of "CN=publisher.example`, "No certificate that is known here has this hash (sha1)."}},
	} {
		description, err := Describe(raw, test.known...)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range test.want {
			if got := description.Records[i]; got.Known != want || got.Hash != "sha1" {
				t.Errorf("%s: record %d: %q, %q", name, i+1, got.Known, got.Hash)
			}
		}
		var shown strings.Builder
		if err := description.Print(&shown); err != nil {
			t.Fatal(err)
		}
		for _, want := range test.shown {
			if !strings.Contains(shown.String(), want) {
				t.Errorf("%s: not shown: %s", name, want)
			}
		}
	}
}

// TestDescribeITL shows what the one kind of list has other than the other.
func TestDescribeITL(t *testing.T) {
	contents := sampleContents(t)
	contents.ITL = true
	raw := mustBuild(t, contents, loadToken(t, "1024"))
	description, err := Describe(raw)
	if err != nil {
		t.Fatal(err)
	}
	if record := description.Records[3]; !description.Signature.Verified || record.Key != "EC P-256" || record.NotAfter.Year() != 2049 {
		t.Errorf("%+v, %+v", description.Signature, description.Records[3])
	}
	var shown strings.Builder
	if err := description.Print(&shown); err != nil {
		t.Fatal(err)
	}
	if text := shown.String(); !strings.HasPrefix(text, "ITL file ITLFile.tlv, ") || !strings.Contains(text, "\nITL Record #:1\n") || strings.Contains(text, "CTL Record") {
		t.Errorf("shown: %.200s", text)
	}
}
