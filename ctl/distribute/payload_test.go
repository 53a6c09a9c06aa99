package distribute

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func names(payload *Payload) (names []string) {
	for _, file := range payload.files {
		names = append(names, file.name)
	}
	return names
}

// The publisher's certificate plays another CAPF certificate: only its name and bytes count here.
func TestPayloadOfTwo(t *testing.T) {
	capf, other := certificate(t, "capf"), certificate(t, "publisher")
	both, alone := listOfTwo(t, other), list(t, 1000, "1024", "2048")
	with := "CAPF.cer CAPF-1A2B3C4D.0 " + other.Subject.CommonName + ".0 CTLFile.tlv"
	for name, test := range map[string]struct {
		list  []byte
		given Certificates
		want  string
	}{
		"in the list":           {both, Certificates{InForce: capf, Others: []*x509.Certificate{other}}, with},
		"not named":             {both, Certificates{InForce: capf}, "CAPF.cer CAPF-1A2B3C4D.0 CTLFile.tlv"},
		"not in the list yet":   {alone, Certificates{InForce: capf, Others: []*x509.Certificate{other}}, "CAPF.cer CAPF-1A2B3C4D.0 CTLFile.tlv"},
		"an anchor":             {alone, Certificates{InForce: capf, Anchors: []*x509.Certificate{other}}, with},
		"an anchor in the list": {both, Certificates{InForce: capf, Anchors: []*x509.Certificate{other, other}, Others: []*x509.Certificate{other, capf}}, with},
		"in force itself":       {both, Certificates{InForce: capf, Anchors: []*x509.Certificate{capf}, Others: []*x509.Certificate{capf}}, "CAPF.cer CAPF-1A2B3C4D.0 CTLFile.tlv"},
	} {
		made, err := NewPayload(test.given, test.list)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := strings.Join(names(made), " "); got != test.want {
			t.Errorf("%s: %s instead of %s", name, got, test.want)
		}
		for _, file := range made.files {
			if block, _ := pem.Decode(file.data); strings.HasSuffix(file.name, ".0") && (block == nil || file.place != CertificatesFolder) {
				t.Errorf("%s: %s is no PEM in the certificates folder", name, file.name)
			}
		}
	}
}

// withITL is a payload with both kinds of list.
func withITL(t *testing.T, list, itl []byte) *Payload {
	t.Helper()
	made := payload(t, list)
	if err := made.AddITL(itl); err != nil {
		t.Fatal(err)
	}
	return made
}

func TestPayloadWithITL(t *testing.T) {
	ctl := list(t, 1000, "1024", "2048")
	good := itl(t, 1000, "1024", "2048")
	if got := strings.Join(names(withITL(t, ctl, good)), " "); got != "CAPF.cer CAPF-1A2B3C4D.0 CTLFile.tlv ITLFile.tlv" {
		t.Error(got)
	}
	damaged := bytes.Clone(good)
	damaged[len(damaged)-1] ^= 1
	foreign, err := NewPayload(Certificates{InForce: certificate(t, "publisher")}, listOfTwo(t, certificate(t, "publisher")))
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		payload *Payload
		itl     []byte
		want    string
	}{
		"damaged":                      {payload(t, ctl), damaged, "the ITL to distribute does not verify"},
		"a CTL":                        {payload(t, ctl), ctl, `"CTLFile.tlv" instead of "ITLFile.tlv"`},
		"without the CAPF certificate": {foreign, good, "the ITL to distribute was made without the present CAPF certificate"},
	} {
		files := len(test.payload.files)
		if err := test.payload.AddITL(test.itl); err == nil || !strings.Contains(err.Error(), test.want) || len(test.payload.files) != files {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := NewPayload(Certificates{InForce: certificate(t, "capf")}, good); err == nil {
		t.Error("an ITL is taken for a CTL")
	}
}

// The certificates of the sample end in 2049.
func TestReminders(t *testing.T) {
	made := payload(t, list(t, 1000, "1024", "2048"))
	if lines := made.Reminders(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)); lines != nil {
		t.Errorf("in 2030: %q", lines)
	}
	lines := made.Reminders(time.Date(2049, 12, 1, 0, 0, 0, 0, time.UTC))
	if len(lines) != 4 || !strings.Contains(lines[0], "ended on 2049-11-21T20:27:09Z") {
		t.Errorf("at the end of 2049: %q", lines)
	}
}

// Two certificates of one name are two files, whatever the order in which they are given; the younger has the
// plain name if it is free.
func TestPayloadOfOneName(t *testing.T) {
	capf := certificate(t, "capf")
	named := func(name string, year int, raw string) *x509.Certificate {
		twin := *certificate(t, "publisher")
		twin.Subject.CommonName, twin.Raw, twin.NotBefore = name, []byte(raw), time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
		return &twin
	}
	suffixed := func(name, raw string) string {
		sum := sha256.Sum256([]byte(raw))
		return fmt.Sprintf("%s-%x.0", name, sum[:4])
	}
	anchors := []*x509.Certificate{named("capf-1a2b3c4D", 2004, "a"), named("old", 2005, "b"), named("OLD", 2006, "c"), named("../up", 2003, "d")}
	want := []string{"CAPF.cer", "CAPF-1A2B3C4D.0", "OLD.0", suffixed("old", "b"), suffixed("capf-1a2b3c4D", "a"),
		fmt.Sprintf("%x.0", sha256.Sum256([]byte("d"))), "CTLFile.tlv"}
	for range 2 {
		slices.Reverse(anchors)
		made, err := NewPayload(Certificates{InForce: capf, Anchors: anchors}, list(t, 1000, "1024", "2048"))
		if err != nil || !slices.Equal(names(made), want) {
			t.Errorf("%q instead of %q, %v", names(made), want, err)
		}
		for _, name := range names(made) {
			if filepath.Base(name) != name {
				t.Errorf("%q leaves the folder", name)
			}
		}
	}
}
