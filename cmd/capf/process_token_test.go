package main

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"capf/runtime/pkcs11/softhsmtest"
)

// inToken is an installation whose CAPF key lies in a token of SoftHSM.
type inToken struct {
	*installation
	hsm *softhsmtest.HSM
}

func newInToken(t *testing.T, without ...string) *inToken {
	t.Helper()
	hsm := softhsmtest.New(t, without...)
	hsm.AddToken("vault")
	program, err := buildProgram()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("CAPF_KEY_PIN_VAULT", softhsmtest.PIN)
	t.Setenv("CAPF_KEY_PIN", "not that of this one")
	i := &inToken{installation: &installation{t: t, program: program, data: filepath.Join(t.TempDir(), "data")}, hsm: hsm}
	return i
}

// install adds phones that get an LSC by the null string.
func (i *inToken) install(devices ...string) {
	i.t.Helper()
	for _, device := range devices {
		i.capf("phone", "add", device, "--operation", "install", "--auth", "null-string", "--key-size", "1024")
	}
}

// simulate has one phone call at one version of TLS; empty: whatever both know.
func (i *inToken) simulate(s *service, device, version string) (stdout, stderr string, err error) {
	arguments := []string{"--json", "simulate", "--server", s.address, "--first", device, "--no-ctl", "--retry-wait", "10ms"}
	if version != "" {
		arguments = append(arguments, "--tls", version)
	}
	return i.try(arguments...)
}

func (i *inToken) authority() *x509.Certificate {
	i.t.Helper()
	content, err := os.ReadFile(filepath.Join(i.data, "CAPF.cer"))
	if err != nil {
		i.t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(content)
	if err != nil {
		i.t.Fatal(err)
	}
	return certificate
}

// checkLSC sees that a device has an LSC of the CAPF certificate in force.
func (i *inToken) checkLSC(device string) {
	i.t.Helper()
	all := i.certificates(device)
	if len(all) != 1 || all[0].State != "confirmed" {
		i.t.Fatalf("%s has %v", device, all)
	}
	block, _ := pem.Decode([]byte(all[0].PEM))
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err == nil {
		err = i.authority().CheckSignature(certificate.SignatureAlgorithm, certificate.RawTBSCertificate, certificate.Signature)
	}
	if err != nil {
		i.t.Errorf("LSC of %s: %v", device, err)
	}
}

// TestKeyInToken enrols phones of every TLS version with a service whose key never leaves a token.
func TestKeyInToken(t *testing.T) {
	i := newInToken(t)
	uri := "pkcs11:token=vault?module-path=" + i.hsm.Module
	i.capf("init", "--common-name", capfName, "--pkcs11", uri)
	i.capf("init", "--pkcs11", uri) // changes nothing
	identity, err := os.ReadFile(filepath.Join(i.data, "keys", "capf.pem"))
	if err != nil || bytes.Contains(identity, []byte("PRIVATE KEY")) || !bytes.Contains(identity, []byte("URI: pkcs11:token=vault;object=CAPF;id=%")) {
		t.Fatalf("%s, %v", identity, err)
	}
	s := i.serve()
	for n, version := range []string{"1.0", "1.1", "1.2", "1.3", ""} {
		device := fmt.Sprintf("SEP0011223344%02d", n)
		i.install(device)
		stdout, stderr, err := i.simulate(s, device, version)
		if err != nil || version != "" && !strings.Contains(stdout, "TLS "+version) {
			t.Fatalf("TLS %s: %v\n%s%s\n%s", version, err, stdout, stderr, s.text())
		}
		i.checkLSC(device)
	}
	i.capf("ca", "crl")
	if _, said, err := i.try("backup", filepath.Join(t.TempDir(), "backup")); err != nil || !strings.Contains(said, "the CAPF key lies in a token (pkcs11:token=vault;") {
		t.Errorf("backup says %q (%v)", said, err)
	}
	if strings.Contains(s.text(), softhsmtest.PIN) {
		t.Error("the PIN is in the log")
	}
}

// TestTokenPulled takes the token away from a running service and gives it back.
func TestTokenPulled(t *testing.T) {
	i := newInToken(t)
	i.capf("init", "--common-name", capfName, "--pkcs11", "pkcs11:token=vault?module-path="+i.hsm.Module)
	s := i.serve()
	i.install("SEP001122334400", "SEP001122334401")
	if _, stderr, err := i.simulate(s, "SEP001122334400", "1.0"); err != nil {
		t.Fatal(err, stderr)
	}
	i.hsm.Pull("vault")
	for _, version := range []string{"1.0", "1.2", "1.3"} {
		if _, _, err := i.simulate(s, "SEP001122334401", version); err == nil {
			t.Fatalf("TLS %s without the token", version)
		}
	}
	i.hsm.Plug("vault")
	// A token that was not there is left alone for a second.
	for deadline := time.Now().Add(patience); ; {
		_, stderr, err := i.simulate(s, "SEP001122334401", "1.0")
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v\n%s\n%s", err, stderr, s.text())
		}
	}
	i.checkLSC("SEP001122334401")
	if log := s.text(); strings.Count(log, "cannot be got at") != 1 || strings.Count(log, `msg="the CAPF key is there again"`) != 1 {
		t.Error(log)
	}
}

// TestTokenThatCannotAll serves with what tokens lack said at the start.
func TestTokenThatCannotAll(t *testing.T) {
	i := newInToken(t, "CKM_RSA_PKCS_PSS")
	_, stderr, err := i.try("init", "--common-name", capfName, "--pkcs11", "pkcs11:token=vault?module-path="+i.hsm.Module)
	if err != nil || !strings.Contains(stderr, "TLS 1.3 falls away") {
		t.Fatal(err, stderr)
	}
	s := i.serve()
	if !strings.Contains(s.text(), "TLS 1.3 falls away") {
		t.Error(s.text())
	}
	for n, test := range []struct{ version, spoken string }{{"1.0", "TLS 1.0"}, {"1.2", "TLS 1.2"}, {"", "TLS 1.2"}} {
		device := fmt.Sprintf("SEP0011223344%02d", n)
		i.install(device)
		if stdout, stderr, err := i.simulate(s, device, test.version); err != nil || !strings.Contains(stdout, test.spoken) {
			t.Errorf("TLS %q: %v\n%s%s", test.version, err, stdout, stderr)
		}
	}
	if _, _, err := i.simulate(s, "SEP001122334400", "1.3"); err == nil {
		t.Error("TLS 1.3 without PSS")
	}
}

// TestTokenPINs holds what the service says without the PIN, and with a wrong one.
func TestTokenPINs(t *testing.T) {
	i := newInToken(t)
	i.capf("init", "--common-name", capfName, "--pkcs11", "pkcs11:token=vault?module-path="+i.hsm.Module)
	for _, test := range []struct {
		pin    string
		status int
		want   string
	}{{"0000SECRET", 1, "refuses the PIN"}, {"", 2, "set $CAPF_KEY_PIN_VAULT or $CAPF_KEY_PIN"}} {
		t.Setenv("CAPF_KEY_PIN_VAULT", test.pin)
		t.Setenv("CAPF_KEY_PIN", "")
		command := i.command("serve", "--listen", "127.0.0.1:0")
		output, _ := command.CombinedOutput()
		if got := command.ProcessState.ExitCode(); got != test.status || !strings.Contains(string(output), test.want) || strings.Contains(string(output), "SECRET") {
			t.Errorf("exits with %d:\n%s", got, output)
		}
		// What needs the certificate alone goes on without a PIN.
		i.capf("ca", "list")
		i.capf("init")
	}
	i.hsm.Pull("vault")
	t.Setenv("CAPF_KEY_PIN_VAULT", softhsmtest.PIN)
	if _, stderr, err := i.try("serve", "--listen", "127.0.0.1:0"); err == nil || !strings.Contains(stderr, `"token=vault" is not there`) {
		t.Error(err, stderr)
	}
}

// TestRenewInToken renews a CAPF key that lies in a token, into the same token and then into a file.
func TestRenewInToken(t *testing.T) {
	i := newInToken(t)
	uri := func(object string) string { return i.hsm.URI("vault", object) }
	i.capf("init", "--common-name", capfName, "--pkcs11", uri("first"))
	first := i.authority()
	s := i.serve()
	for _, test := range []struct {
		want      string
		arguments []string
	}{
		{"the next one would lie in a file", nil},
		{"is the one of the CAPF certificate " + capfName, []string{"--pkcs11", uri("first")}},
		{"module-path", []string{"--pkcs11", "pkcs11:token=vault"}},
	} {
		if _, stderr, err := i.try(append([]string{"ca", "renew"}, test.arguments...)...); err == nil || !strings.Contains(stderr, test.want) {
			t.Errorf("ca renew %v: %v, %s", test.arguments, err, stderr)
		}
	}
	for n, arguments := range [][]string{{"--pkcs11", uri("second")}, {"--key-in-file"}} {
		i.capf(append([]string{"ca", "renew"}, arguments...)...)
		i.capf("ca", "activate", "--force")
		device := fmt.Sprintf("SEP0011223344%02d", n)
		i.install(device)
		if _, stderr, err := i.simulate(s, device, "1.0"); err != nil {
			t.Fatal(err, stderr, s.text())
		}
		i.checkLSC(device)
	}
	crl, err := x509.ParseRevocationList(i.past(fmt.Sprintf("%x", first.SerialNumber)))
	if err == nil {
		err = crl.CheckSignatureFrom(first)
	}
	if err != nil {
		t.Errorf("the CRL of the past key in the token: %v", err)
	}
}

// past gives the CRL of a past CAPF certificate.
func (i *inToken) past(serial string) []byte {
	i.t.Helper()
	block, _ := pem.Decode([]byte(i.capf("ca", "crl", "--issuer", serial)))
	if block == nil {
		i.t.Fatal("no CRL")
	}
	return block.Bytes
}

// TestKeyOfTokenIsNotForCAPF refuses to let one key sign lists and enrol phones.
func TestKeyOfTokenIsNotForCAPF(t *testing.T) {
	i := newInToken(t)
	t.Setenv("CAPF_TOKEN_PIN", softhsmtest.PIN)
	i.hsm.Import("vault", "sast", "01", "../../testdata/ctl/tokens/2048.pem")
	_, _, err := i.try("ctl", "token", "add", "west", "--pkcs11", i.hsm.URI("vault", "sast"))
	if err == nil {
		t.Fatal("a token without a store")
	}
	i.capf("init", "--common-name", capfName)
	i.capf("ctl", "token", "add", "west", "--pkcs11", i.hsm.URI("vault", "sast"))
	if _, stderr, err := i.try("ca", "renew", "--pkcs11", i.hsm.URI("vault", "sast")); err == nil || !strings.Contains(stderr, "security token west") {
		t.Error(err, stderr)
	}
}
