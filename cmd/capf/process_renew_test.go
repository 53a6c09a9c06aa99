package main

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"capf/runtime/capf"
	"capf/runtime/phone"
)

// renewal is a cluster of two nodes whose CAPF certificate is renewed while phones are served.
type renewal struct {
	*installation
	service *service
	keys    *keyring
	admin   string // URL
}

func newRenewal(t *testing.T) *renewal {
	t.Helper()
	r := &renewal{installation: newInstallation(t), keys: newKeyring(t, 1024, 20)}
	samples, err := filepath.Abs("../../testdata/ctl")
	if err != nil {
		t.Fatal(err)
	}
	for name, certificate := range map[string]string{"pub": "publisher", "sub": "ec"} {
		folder := filepath.Join(filepath.Dir(r.data), name)
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		arguments := []string{"node", "add", name, "--role", "ccm+tftp", "--address", "192.0.2.1", "--target", "file://" + folder,
			"--certificate", filepath.Join(samples, "servers", certificate+".pem")}
		if name == "pub" {
			arguments = append(arguments, "--publisher")
		}
		r.capf(arguments...)
	}
	for _, token := range []string{"1024", "2048"} {
		r.capf("ctl", "token", "add", token, "--file", filepath.Join(samples, "tokens", token+".pem"))
	}
	r.build()
	r.service = r.serve()
	for _, word := range strings.Fields(r.service.text()) {
		if url, is := strings.CutPrefix(word, "admin="); is {
			r.admin = url
		}
	}
	return r
}

// build makes a list and brings it to the nodes.
func (r *renewal) build() {
	r.t.Helper()
	r.capf("ctl", "build")
	r.capf("ctl", "distribute")
}

// list is how phones check the service that take their list from a node now.
func (r *renewal) list() phone.VerifyServer {
	r.t.Helper()
	raw, err := os.ReadFile(filepath.Join(filepath.Dir(r.data), "sub", "TFTPPath", "CTLFile.tlv"))
	if err != nil {
		r.t.Fatal(err)
	}
	verify, err := phone.TrustList(raw)
	if err != nil {
		r.t.Fatal(err)
	}
	return verify
}

func (r *renewal) pending(device, mode string) {
	r.t.Helper()
	r.capf("phone", "add", device, "--operation", "install", "--key-size", "1024", "--auth", mode)
}

func (r *renewal) config(device string, verify phone.VerifyServer) phone.Config {
	return phone.Config{Device: device, Server: r.service.address, Mode: capf.AuthByNullString, Keys: r.keys.source(), VerifyServer: verify,
		Timeout: patience, Flash: phone.NewMemoryFlash()}
}

func (r *renewal) certificate() *x509.Certificate {
	r.t.Helper()
	der, err := os.ReadFile(filepath.Join(r.data, "CAPF.cer"))
	if err != nil {
		r.t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		r.t.Fatal(err)
	}
	return certificate
}

// enrols has a phone call, and holds its LSC and the handshake against a CAPF certificate.
func (r *renewal) enrols(config phone.Config, by *x509.Certificate) {
	r.t.Helper()
	r.checkIssued(phoneCalls(r.t, config), by)
}

func (r *renewal) checkIssued(outcome phone.Outcome, by *x509.Certificate) {
	r.t.Helper()
	if outcome.Err != nil {
		r.t.Fatalf("%s: %v", outcome.Device, outcome.Err)
	}
	if !outcome.Server.Equal(by) {
		r.t.Errorf("%s was answered by %s, not by %s", outcome.Device, outcome.Server.Subject, by.Subject)
	}
	if err := outcome.Certificate.CheckSignatureFrom(by); err != nil {
		r.t.Errorf("the LSC of %s is not of %s: %v", outcome.Device, by.Subject, err)
	}
}

// call has a phone call, with whatever comes of it.
func phoneCalls(t testing.TB, config phone.Config) phone.Outcome {
	t.Helper()
	made, err := phone.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return made.Run(context.Background())
}

// hanging counts the phones that hang on an anchor.
func (r *renewal) hanging(on *x509.Certificate) int {
	r.t.Helper()
	var anchors []struct {
		Serial string
		Phones int
	}
	r.read(&anchors, "anchor", "list")
	for _, anchor := range anchors {
		if anchor.Serial == capf.FormatSerial(on.SerialNumber) {
			return anchor.Phones
		}
	}
	r.t.Fatalf("no anchor %s", on.Subject)
	return 0
}

// TestRenewalWhilePhonesAreServed is the rule *Two CAPF certificates* from end to end: made, in lists,
// distributed, in force, with phones before, meanwhile and after, of which each has a list.
func TestRenewalWhilePhonesAreServed(t *testing.T) {
	r := newRenewal(t)
	before, oldList := r.certificate(), r.list()
	first, parked, late := "SEP0000000000A1", "SEP0000000000A2", "SEP0000000000A3"
	r.pending(first, "null-string")
	holder := r.config(first, oldList)
	r.enrols(holder, before)

	r.capf("ca", "renew")
	if _, problems, err := r.try("ca", "activate"); err == nil || !strings.Contains(problems, `node "pub"`) || !strings.Contains(problems, `node "sub"`) {
		t.Fatalf("put in force before any node has a list with it: %v\n%s", err, problems)
	}
	r.build()
	newList := r.list()

	finish := r.park(parked, newList)
	r.capf("ca", "activate")
	after := r.certificate()
	if after.Equal(before) {
		t.Fatal("CAPF.cer is still the one before")
	}
	r.pending(late, "null-string")
	r.enrols(r.config(late, newList), after)
	r.checkIssued(finish(), before)
	r.capf("ctl", "distribute")

	r.capf("phone", "set", late, "--operation", "install")
	if outcome := phoneCalls(t, r.config(late, oldList)); outcome.Err == nil || outcome.Certificate != nil {
		t.Errorf("a phone whose list does not hold the new certificate took it: %v", outcome.Err)
	}
	if old, new := r.hanging(before), r.hanging(after); old != 2 || new != 1 {
		t.Errorf("%d phones hang on the one before, %d on the one in force", old, new)
	}
	serial := capf.FormatSerial(before.SerialNumber)
	if _, problems, err := r.try("anchor", "remove", serial); err == nil || !strings.Contains(problems, "2 phones") {
		t.Errorf("an anchor in use was removed: %v\n%s", err, problems)
	}

	// What the one before issued still lets its phone in.
	r.capf("phone", "set", first, "--operation", "install", "--auth", "existing-certificate-lsc")
	holder.Mode, holder.VerifyServer = capf.AuthByLSC, newList
	r.enrols(holder, after)
	if old := r.hanging(before); old != 1 {
		t.Errorf("%d phones hang on the one before", old)
	}
	r.capf("anchor", "remove", serial, "--force")
}

// park brings a phone to where it makes its keys, and gives what lets it go on to its end.
func (r *renewal) park(device string, verify phone.VerifyServer) (finish func() phone.Outcome) {
	r.t.Helper()
	r.pending(device, "null-string")
	making, goOn, done := make(chan struct{}), make(chan struct{}), make(chan phone.Outcome, 1)
	config, keys := r.config(device, verify), r.keys.source()
	config.Keys = func(ctx context.Context, device string, size capf.KeySize) (crypto.Signer, error) {
		close(making)
		<-goOn
		return keys(ctx, device, size)
	}
	made, err := phone.New(config)
	if err != nil {
		r.t.Fatal(err)
	}
	go func() { done <- made.Run(context.Background()) }()
	select {
	case <-making:
	case outcome := <-done:
		r.t.Fatalf("%s ended before it made keys: %v", device, outcome.Err)
	}
	return func() phone.Outcome {
		close(goOn)
		return <-done
	}
}

// shown reads of a phone what its certificate comes to.
func (r *renewal) shown(device string) (fields struct {
	Status string `json:"lsc-status"`
	Result string `json:"result"`
}) {
	r.t.Helper()
	r.read(&fields, "phone", "show", device)
	return fields
}

// fetchCRL gives what the service serves for the CAPF certificate in force.
func (r *renewal) fetchCRL() (*x509.RevocationList, []byte) {
	r.t.Helper()
	return r.fetchCRLAt("/capf.crl")
}

func (r *renewal) fetchCRLAt(path string) (*x509.RevocationList, []byte) {
	r.t.Helper()
	answer, err := http.Get(r.admin + path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != "application/pkix-crl" {
		r.t.Fatalf("%s, %s, %v: %s", answer.Status, answer.Header.Get("Content-Type"), err, content)
	}
	list, err := x509.ParseRevocationList(content)
	if err != nil {
		r.t.Fatal(err)
	}
	return list, content
}

// TestRevokedWhilePhonesAreServed: the LSC that an administrator revokes is on the next CRL, does not let its
// phone in any more (result 4), and the phone gets another by another mode.
func TestRevokedWhilePhonesAreServed(t *testing.T) {
	r := newRenewal(t)
	device := "SEP0000000000B1"
	r.pending(device, "null-string")
	config := r.config(device, r.list())
	outcome := phoneCalls(t, config)
	r.checkIssued(outcome, r.certificate())
	empty, _ := r.fetchCRL()
	if again, _ := r.fetchCRL(); len(empty.RevokedCertificateEntries) != 0 || again.Number.Cmp(empty.Number) != 0 {
		t.Errorf("%d entries, numbers %v and %v", len(empty.RevokedCertificateEntries), empty.Number, again.Number)
	}

	serial := capf.FormatSerial(outcome.Certificate.SerialNumber)
	said, warned, err := r.try("ca", "revoke", serial, "--reason", "key-compromise")
	if err != nil || !strings.Contains(said, device) || !strings.Contains(warned, "may hold no other LSC") {
		t.Fatalf("%v: %s%s", err, said, warned)
	}
	if status := r.shown(device).Status; status != "unknown" {
		t.Errorf("LSC status %q", status)
	}
	list, content := r.fetchCRL()
	if entries := list.RevokedCertificateEntries; len(entries) != 1 || entries[0].SerialNumber.Cmp(outcome.Certificate.SerialNumber) != 0 ||
		entries[0].ReasonCode != 1 || list.Number.Cmp(empty.Number) <= 0 {
		t.Errorf("CRL number %v: %v", list.Number, entries)
	}
	r.checkByOpenSSL(content, outcome.Certificate)

	r.capf("phone", "set", device, "--operation", "install", "--auth", "existing-certificate-lsc")
	config.Mode = capf.AuthByLSC
	if outcome := phoneCalls(t, config); outcome.Err == nil {
		t.Error("a revoked LSC let its phone in")
	}
	if result := r.shown(device).Result; result != "4" {
		t.Errorf("result %q", result)
	}
	r.capf("phone", "set", device, "--operation", "install", "--auth", "null-string")
	config.Mode = capf.AuthByNullString
	r.enrols(config, r.certificate())
	if _, _, err := r.try("ca", "revoke", serial); !exited(err, 1) {
		t.Errorf("revoked twice: %v", err)
	}
}

// checkByOpenSSL verifies the CRL, and by it the certificate.
func (r *renewal) checkByOpenSSL(list []byte, revoked *x509.Certificate) {
	r.t.Helper()
	program := foreign(r.t, "openssl", installOpenSSL)
	crl := r.write("crl.pem", string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: list})))
	leaf := r.write("leaf.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: revoked.Raw})))
	for want, arguments := range map[string][]string{
		"verify OK":           {"crl", "-in", crl, "-CAfile", r.certificateFile(), "-noout", "-verify"},
		"certificate revoked": {"verify", "-auth_level", "0", "-crl_check", "-CAfile", r.certificateFile(), "-CRLfile", crl, leaf},
	} {
		said, _ := exec.Command(program, arguments...).CombinedOutput() // `verify` fails: that is what it is to say
		if !strings.Contains(string(said), want) {
			r.t.Errorf("openssl %s: no %q in: %s", arguments[0], want, said)
		}
	}
}

func exited(err error, status int) bool {
	var exit *exec.ExitError
	return errors.As(err, &exit) && exit.ExitCode() == status
}
