package distribute

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"capf/ctl"
)

// listOfTwo is a list with the CAPF certificate and another one as CAPF's.
func listOfTwo(t *testing.T, other *x509.Certificate) []byte {
	t.Helper()
	contents := ctl.Contents{Timestamp: time.Unix(3000, 0)}
	var first *ctl.Token
	for _, name := range []string{"1024", "2048"} {
		token, err := ctl.LoadToken(filepath.Join(data, "tokens", name+".pem"))
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = token
		}
		contents.Tokens = append(contents.Tokens, ctl.SAST{Name: name, Certificate: token.Certificate})
	}
	server := ctl.Server{Name: "pub", Address: netip.MustParseAddr("10.1.2.3"), Role: ctl.RoleCCMTFTP, Certificate: certificate(t, "publisher")}
	contents.Servers = []ctl.Server{server}
	for _, one := range []*x509.Certificate{certificate(t, "capf"), other} {
		server.Certificate = one
		contents.CAPF = append(contents.CAPF, server)
	}
	raw, err := ctl.Build(contents, first)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func names(payload *Payload) (names []string) {
	for _, file := range payload.files {
		names = append(names, file.name)
	}
	return names
}

// The publisher's certificate plays the next CAPF certificate: only its name and bytes count here.
func TestPayloadOfTwo(t *testing.T) {
	next := certificate(t, "publisher")
	both := listOfTwo(t, next)
	for name, test := range map[string]struct {
		list   []byte
		others []*x509.Certificate
		want   string
	}{
		"in the list":         {both, []*x509.Certificate{next}, "CAPF.cer CAPF-1A2B3C4D.0 " + next.Subject.CommonName + ".0 CTLFile.tlv"},
		"not named":           {both, nil, "CAPF.cer CAPF-1A2B3C4D.0 CTLFile.tlv"},
		"not in the list yet": {list(t, 1000, "1024", "2048"), []*x509.Certificate{next}, "CAPF.cer CAPF-1A2B3C4D.0 CTLFile.tlv"},
		"in force itself":     {both, []*x509.Certificate{certificate(t, "capf")}, "CAPF.cer CAPF-1A2B3C4D.0 CTLFile.tlv"},
	} {
		made, err := NewPayload(certificate(t, "capf"), test.list, test.others...)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := strings.Join(names(made), " "); got != test.want {
			t.Errorf("%s: %s instead of %s", name, got, test.want)
		}
	}
}

func TestPayloadRefusesOneNameForTwo(t *testing.T) {
	next := certificate(t, "publisher")
	both := listOfTwo(t, next)
	twin := *next
	twin.Subject.CommonName = "capf-1a2b3c4D" // the same file on Windows
	if _, err := NewPayload(certificate(t, "capf"), both, &twin); err == nil || !strings.Contains(err.Error(), "would be one file") {
		t.Errorf("%v", err)
	}
	twin.Subject.CommonName = "../up"
	if _, err := NewPayload(certificate(t, "capf"), both, &twin); err == nil || !strings.Contains(err.Error(), "../up") {
		t.Errorf("%v", err)
	}
}

func TestLacking(t *testing.T) {
	next := certificate(t, "publisher")
	both, one := listOfTwo(t, next), list(t, 1000, "1024", "2048")
	damaged := bytes.Clone(both)
	damaged[len(damaged)-10] ^= 1
	tests := []struct {
		name string
		list []byte
		want string // empty: it lacks nothing
	}{
		{"has", both, ""}, {"older", one, "does not hold"}, {"damaged", damaged, "does not verify"}, {"none", nil, "is not there"},
	}
	var nodes []Node
	for _, test := range tests {
		node, folder := node(t, test.name)
		if test.list != nil {
			put(t, folder, "TFTPPath/CTLFile.tlv", test.list)
		}
		nodes = append(nodes, node)
	}
	gone := Node{Name: "gone", Target: "file://" + filepath.ToSlash(filepath.Join(t.TempDir(), "gone"))}
	results := Lacking(context.Background(), append(nodes, gone), next, Options{})
	for i, test := range tests {
		if err := results[i]; (test.want == "") != (err == nil) || err != nil && (!strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), test.name)) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	if results[len(tests)] == nil {
		t.Error("a node that is not there lacks nothing")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Lacking(ctx, nodes[:1], next, Options{})[0]; !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}
