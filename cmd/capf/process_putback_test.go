package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"capf/ctl"
)

// node gives the list that a node has now.
func (r *renewal) node(name string) []byte {
	r.t.Helper()
	raw, err := os.ReadFile(filepath.Join(filepath.Dir(r.data), name, "TFTPPath", ctl.FileName))
	if err != nil {
		r.t.Fatal(err)
	}
	return raw
}

func (r *renewal) refuses(arguments []string, words ...string) {
	r.t.Helper()
	_, problems, err := r.try(arguments...)
	for _, word := range words {
		if err == nil || !strings.Contains(problems, word) {
			r.t.Errorf("%q: %v, without %q\n%s", arguments, err, word, problems)
		}
	}
}

// TestOlderListIsPutBack: what is said of phones before an older list is put back is what they then do. Phones that load
// it go on with the service, which goes on with the certificate that it has.
func TestOlderListIsPutBack(t *testing.T) {
	r := newRenewal(t)
	before, first := r.certificate(), r.node("sub")
	r.capf("ca", "renew")
	r.build()
	second := r.node("sub")
	device := "SEP0000000000B1"
	r.pending(device, "null-string")
	holder := r.config(device, r.list())
	r.enrols(holder, before)

	// The signature is good by the list that phones hold; the time is not, unless both are of one second.
	if err := ctl.VerifySuccession(first, second); err != nil && !errors.Is(err, ctl.ErrOlder) {
		t.Fatalf("the older list: %v", err)
	}
	_, said, err := r.try("ctl", "distribute", "--version", "1")
	if err != nil || !strings.Contains(said, "phones that hold version 2 take version 1 by its signature") || !strings.Contains(said, "see that one phone takes it") {
		t.Fatalf("%v\n%s", err, said)
	}
	for _, name := range []string{"pub", "sub"} {
		if string(r.node(name)) != string(first) {
			t.Errorf("%s does not hold the older list", name)
		}
	}
	r.capf("phone", "set", device, "--operation", "install")
	holder.VerifyServer = r.list()
	r.enrols(holder, before)
	r.refuses([]string{"ca", "activate"}, `node "pub"`, `node "sub"`, "does not hold the certificate")

	// The other way round: once the next certificate is in force, phones with the older list would take nothing.
	r.build()
	r.capf("ca", "activate")
	after := r.certificate()
	r.capf("phone", "set", device, "--operation", "install")
	holder.VerifyServer = r.list()
	r.enrols(holder, after)
	r.refuses([]string{"ctl", "distribute", "--version", "1"}, "list version 1", "capf ctl build")
	r.refuses([]string{"ctl", "distribute", "--version", "1", "--start-over"}, "list version 1", "made without the present CAPF certificate")
}
