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
