package phone

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"capf/ctl"
	"capf/runtime/wire"
)

func parse(t *testing.T, der []byte) *x509.Certificate {
	t.Helper()
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// listWith builds and signs a real list around a CAPF certificate.
func listWith(t *testing.T, authority *x509.Certificate) []byte {
	t.Helper()
	one, two, node := newIdentity("SAST-1"), newIdentity("SAST-2"), newIdentity("publisher")
	address := netip.MustParseAddr("192.0.2.1")
	file, err := ctl.Build(ctl.Contents{
		Tokens:    []ctl.SAST{{Name: "one", Certificate: one.Leaf}, {Name: "two", Certificate: two.Leaf}},
		Servers:   []ctl.Server{{Name: "publisher", Address: address, Role: ctl.RoleCCMTFTP, Certificate: node.Leaf}},
		CAPF:      []ctl.Server{{Name: "publisher", Address: address, Certificate: authority}},
		Timestamp: time.Unix(1700000000, 0),
	}, &ctl.Token{Certificate: one.Leaf, Signer: one.PrivateKey.(crypto.Signer)})
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestTrustList(t *testing.T) {
	verify, err := TrustList(listWith(t, identity().Leaf))
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, installs(wire.RSAKeyRequest(3, 1024)))
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS13} {
		config := configOf(s)
		config.VerifyServer, config.TLS = verify, TLSOnly(version)
		if outcome := newPhone(t, config).Run(t.Context()); outcome.Err != nil {
			t.Errorf("%s: %v", tls.VersionName(version), outcome.Err)
		}
	}
}

// With another certificate of the same name in the list, the phone ends the handshake and does not try
// again.
func TestTrustListWithAnotherServer(t *testing.T) {
	verify, err := TrustList(listWith(t, newIdentity("CAPF-12345678").Leaf))
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range tlsNumbers {
		s := serve(t, func(c *call) error {
			if m, err := c.ask(wire.AuthenticationRequest{}); err == nil {
				return errors.New("the phone says who it is: " + wire.Describe(m))
			}
			return nil
		})
		config := configOf(s)
		config.VerifyServer, config.TLS, config.Retry = verify, TLSOnly(version), Retry{Times: 3}
		outcome := newPhone(t, config).Run(t.Context())
		if _, is := errors.AsType[*ServerError](outcome.Err); !is || outcome.Attempts != 1 ||
			!strings.Contains(outcome.Err.Error(), "is none of the 1 in the CTL file with the CAPF role") {
			t.Errorf("%s: error %v after %d attempts", tls.VersionName(version), outcome.Err, outcome.Attempts)
		}
	}
}

func TestTrustListRefusesDamage(t *testing.T) {
	file := listWith(t, identity().Leaf)
	if _, err := TrustList(file[:len(file)-1]); err == nil {
		t.Error("a torn list is taken")
	}
	at := bytes.Index(file, identity().Leaf.Raw)
	if at < 0 {
		t.Fatal("the CAPF certificate is not in the list")
	}
	file[at+len(identity().Leaf.Raw)-1] ^= 1
	if _, err := TrustList(file); err == nil {
		t.Error("a list with a changed certificate is taken")
	}
}

func TestHandshakeFails(t *testing.T) {
	s := serve(t, func(*call) error { return nil })
	config := configOf(s)
	config.TLS = TLS{Min: tls.VersionTLS12, Max: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA}}
	config.Retry = Retry{Times: 3}
	outcome := newPhone(t, config).Run(t.Context())
	if _, is := errors.AsType[*LineError](outcome.Err); outcome.Err == nil || is || outcome.Attempts != 1 || outcome.TLSVersion != 0 {
		t.Errorf("error %v after %d attempts", outcome.Err, outcome.Attempts)
	}
}

func TestParseTLSVersion(t *testing.T) {
	for text, want := range map[string]uint16{"1.0": tls.VersionTLS10, "1.1": tls.VersionTLS11, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13} {
		if got, err := ParseTLSVersion(text); got != want || err != nil {
			t.Errorf("%s is %x, error %v", text, got, err)
		}
	}
	for _, text := range []string{"", "1", "1.4", "tls1.0"} {
		if got, err := ParseTLSVersion(text); err == nil {
			t.Errorf("%q is %x", text, got)
		}
	}
}
