package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// main.go loosens settings of the standard library, each because of something old that it would refuse.
// Here is the old thing itself, and that it is indeed refused without the setting.

func TestSettingsOfTheStandardLibrary(t *testing.T) {
	built, without := newInstallation(t), newInstallation(t)
	for _, setting := range []struct {
		name    string
		without string // GODEBUG
		needs   func(t *testing.T, i *installation) error
		refusal string // part of it
	}{
		{"handshake signed with SHA-1 at TLS 1.2", "tlssha1=0", sha1Handshake, "handshake failure"},
		{"token with an RSA key of 512 bits", "rsa1024min=1", shortToken, "512-bit keys are insecure"},
		{"simulated phone with an RSA key of 512 bits", "rsa1024min=1", shortPhoneKey, "512-bit keys are insecure"},
		{"server certificate with a negative serial number", "x509negativeserial=0", negativeSerial, "negative serial number"},
	} {
		t.Run(setting.name, func(t *testing.T) {
			if err := setting.needs(t, built.in(t)); err != nil {
				t.Errorf("refused as it is built: %v", err)
			}
			without := without.in(t)
			without.godebug = setting.without
			if err := setting.needs(t, without); err == nil || !strings.Contains(err.Error(), setting.refusal) {
				t.Errorf("with GODEBUG=%s: %v", setting.without, err)
			}
		})
	}
}

// sha1Handshake offers SHA-1 as the only hash for signatures.
func sha1Handshake(t *testing.T, i *installation) error {
	c := connect(t, i.serve().address, append(suiteOptions("-tls1_2", "ECDHE-RSA-AES128-SHA"), "-sigalgs", "RSA+SHA1")...)
	first := make([]byte, 1)
	_, broken := c.stdout.Read(first)
	_ = c.stdin.Close()
	_ = c.command.Wait() // what it has to say is in its text
	if said := c.stderr.String(); broken != nil || first[0] != 0x55 || !strings.Contains(said, "Hash used: SHA1\n") {
		return errors.New(said)
	}
	return nil
}

// shortToken signs a trust list with the shortest key that ctl-format.md knows.
func shortToken(t *testing.T, i *installation) error {
	samples, err := filepath.Abs("../../testdata/ctl")
	if err != nil {
		t.Fatal(err)
	}
	i.capf("node", "add", "publisher", "--publisher", "--role", "ccm+tftp", "--address", "192.0.2.1",
		"--certificate", filepath.Join(samples, "servers", "publisher.pem"), "--target", "file://"+t.TempDir())
	i.capf("ctl", "token", "add", "short", "--file", filepath.Join(samples, "tokens", "512.pem"))
	return i.fails("ctl", "build", "--single-token")
}

// shortPhoneKey has a simulated phone make the key pair that 79xx phones can be asked for.
func shortPhoneKey(t *testing.T, i *installation) error {
	const device = "SEP000000000512"
	i.capf("phone", "add", device, "--operation", "install", "--auth", "null-string", "--key-size", "512")
	return i.fails("simulate", "--server", i.serve().address, "--no-ctl", "--first", device)
}

// negativeSerial is a certificate as servers of that age made them.
func negativeSerial(t *testing.T, i *installation) error {
	folder := t.TempDir()
	certificate := filepath.Join(folder, "server.pem")
	configuration := filepath.Join(folder, "openssl.cnf")
	if err := os.WriteFile(configuration, []byte("[req]\ndistinguished_name = name\n[name]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	openssl(t, nil, "req", "-x509", "-config", configuration, "-newkey", "rsa:1024", "-nodes", "-keyout", filepath.Join(folder, "key.pem"),
		"-out", certificate, "-subj", "/CN=subscriber", "-set_serial", "-4660", "-days", "10")
	return i.fails("node", "add", "subscriber", "--role", "ccm", "--address", "192.0.2.2", "--certificate", certificate,
		"--target", "file://"+folder)
}

// fails runs a command that may fail, and gives what it says then.
func (i *installation) fails(arguments ...string) error {
	if _, stderr, err := i.try(arguments...); err != nil {
		return errors.New(stderr)
	}
	return nil
}
