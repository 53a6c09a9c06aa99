package phone

import (
	"bytes"
	"crypto"
	"fmt"
	"testing"

	"capf/runtime/capf"
	"capf/runtime/wire"
)

func TestFetch(t *testing.T) {
	key, err := quickKey(t.Context(), testDevice, capf.RSA1024)
	if err != nil {
		t.Fatal(err)
	}
	lsc := issue(testDevice, key.Public())
	mic := newIdentityOf(t, "CP-7970G-"+testDevice, capf.RSA1024)
	fetchMIC := wire.FetchCertificateRequest{CertificateType: wire.Some(wire.CertificateMIC)}
	tests := []struct {
		name    string
		request wire.FetchCertificateRequest
		has     bool // an LSC
		mic     *Identity
		want    []byte
	}{
		{"LSC", wire.FetchCertificateRequest{CertificateType: wire.Some(wire.CertificateLSC)}, true, mic, lsc},
		{"without a type", wire.FetchCertificateRequest{}, true, mic, lsc},
		{"no LSC there", wire.FetchCertificateRequest{}, false, mic, nil},
		{"MIC", fetchMIC, true, mic, mic.Certificate.Raw},
		{"MIC without an LSC", fetchMIC, false, mic, mic.Certificate.Raw},
		{"no MIC there", fetchMIC, true, nil, nil},
		{"type not known", wire.FetchCertificateRequest{CertificateType: wire.Some(wire.CertificateType(9))}, true, mic, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			config := configOf(serve(t, afterAuthentication(func(c *call) error {
				m, err := c.ask(test.request)
				if err != nil {
					return err
				}
				response, _, err := wire.Read[wire.FetchCertificateResponse](m)
				if err != nil || !bytes.Equal(response.Certificate, test.want) || (response.Reason == wire.Some(wire.ReasonSuccess)) != (test.want != nil) {
					return fmt.Errorf("%v, error %v", m, err)
				}
				return c.end(wire.ReasonNoAction)
			})))
			config.Flash, config.MIC = NewMemoryFlash(), test.mic
			if test.has {
				giveLSC(t, config.Flash, lsc, key)
			}
			outcome := newPhone(t, config).Run(t.Context())
			if outcome.Err != nil || outcome.Operation != capf.OperationTroubleshoot || (outcome.Certificate != nil) != (test.want != nil) {
				t.Errorf("%s, certificate %v, error %v", outcome.Operation, outcome.Certificate != nil, outcome.Err)
			}
		})
	}
}

func TestDelete(t *testing.T) {
	key, err := quickKey(t.Context(), testDevice, capf.RSA1024)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		request wire.DeleteCertificateRequest
		has     bool
		reason  wire.Reason
	}{
		{"LSC", wire.DeleteCertificateRequest{CertificateType: wire.Some(wire.CertificateLSC)}, true, wire.ReasonSuccess},
		{"without a type", wire.DeleteCertificateRequest{}, true, wire.ReasonSuccess},
		{"none there", wire.DeleteCertificateRequest{}, false, wire.ReasonSuccess},
		{"MIC", wire.DeleteCertificateRequest{CertificateType: wire.Some(wire.CertificateMIC)}, true, wire.ReasonRefused},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			config := configOf(serve(t, afterAuthentication(func(c *call) error {
				m, err := c.ask(test.request)
				if err != nil {
					return err
				}
				response, _, err := wire.Read[wire.DeleteCertificateResponse](m)
				if err != nil || response.Reason != wire.Some(test.reason) {
					return fmt.Errorf("%v, error %v", m, err)
				}
				return c.end(test.reason)
			})))
			config.Flash = NewMemoryFlash()
			if test.has {
				giveLSC(t, config.Flash, issue(testDevice, key.Public()), key)
			}
			outcome := newPhone(t, config).Run(t.Context())
			refused := test.reason == wire.ReasonRefused
			if outcome.Operation != capf.OperationDelete || (outcome.Err != nil) != refused {
				t.Errorf("%s, error %v", outcome.Operation, outcome.Err)
			}
			if kept := keptLSC(t, config.Flash) != nil; kept != refused {
				t.Errorf("an LSC is in flash: %v", kept)
			}
		})
	}
}

func giveLSC(t *testing.T, flash Flash, der []byte, key crypto.Signer) {
	t.Helper()
	if err := flash.StoreLSC(Identity{Certificate: parse(t, der), Key: key}); err != nil {
		t.Fatal(err)
	}
}
