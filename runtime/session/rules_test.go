package session_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"testing"
	"time"

	"capf/runtime/capf"
	"capf/runtime/phone"
	"capf/runtime/session"
	"capf/runtime/wire"
)

// selfSigned is a certificate that names the device and that nobody has issued.
func selfSigned(t *testing.T, name string, key *rsa.PrivateKey) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// What a phone returns counts as its LSC only where an anchor issued it; anything else is for viewing.
func TestTroubleshootBelievesNoStrangeCertificate(t *testing.T) {
	s := newService(t, usual())
	s.pending(device, capf.OperationInstall, capf.RSA1024)
	if outcome := s.call(s.config(device)); outcome.Err != nil {
		t.Fatal(outcome.Err)
	}
	genuine := s.phone(device).LSC.Serial
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{device, "SEPFFFFFFFFFFFF"} {
		flash := phone.NewMemoryFlash()
		if err := flash.StoreLSC(phone.Identity{Certificate: selfSigned(t, name, key), Key: key}); err != nil {
			t.Fatal(err)
		}
		s.pending(device, capf.OperationTroubleshoot, capf.RSA1024)
		config := s.config(device)
		config.Flash = flash
		s.call(config)
		found := s.phone(device)
		if *found.LastResult != capf.ResultInvalidLSC || found.LSC == nil || found.LSC.Serial != genuine || s.states(device)[capf.CertificateRevoked] != 0 {
			t.Errorf("%s: result %v, LSC %+v, %v", name, found.LastResult, found.LSC, s.states(device))
		}
		if trace := s.traces.traces[device+"-lsc"]; trace == nil || trace.Subject.CommonName != name {
			t.Errorf("%s: the trace shows %v", name, trace)
		}
	}
}

// A phone that comes again with the same key gets the certificate that was made for it, and what one operation
// can make of certificates is bounded.
func TestCertificatesOfOneOperationAreBounded(t *testing.T) {
	s := newService(t, usual())
	s.pending(device, capf.OperationInstall, capf.RSA1024)
	same, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	config := s.config(device)
	config.Keys = func(context.Context, string, capf.KeySize) (crypto.Signer, error) { return same, nil }
	drop := func(_ context.Context, at phone.Point) error {
		if at.Command == wire.CommandStoreCertificateRequest && at.After {
			return phone.DropFIN
		}
		return nil
	}
	config.OnMessage = drop
	for range 5 {
		s.call(config)
	}
	if count := len(s.certificates(device)); count != 1 {
		t.Errorf("%d certificates for one key", count)
	}
	config.Keys = nil
	for range 40 {
		s.call(config)
	}
	if count := len(s.certificates(device)); count > 32 || s.status(device) != capf.StatusFailed {
		t.Errorf("%d certificates, status %s", count, s.status(device))
	}
}

// The deadline passes while the phone stores its certificate: what the phone has done counts.
func TestDeadlinePassesDuringTheSession(t *testing.T) {
	s := newService(t, usual())
	s.change(func(server *session.Server) { server.Instance = s.serving() })
	s.pending(device, capf.OperationInstall, capf.RSA1024)
	config := s.config(device)
	config.OnMessage = func(_ context.Context, at phone.Point) error {
		if at.Command != wire.CommandStoreCertificateRequest || !at.After {
			return nil
		}
		late := time.Now().AddDate(0, 0, 11)
		if count, err := s.store.ExpireOperations(context.Background(), late, 100); err != nil || count != 0 {
			t.Errorf("%d operations expired under a session, %v", count, err)
		}
		text := "changed meanwhile"
		_, err := s.store.ApplyChanges(context.Background(), capf.ApplySet, []capf.PhoneChange{{Device: device, Description: &text}},
			capf.ChangeContext{Actor: "test", Now: late})
		return err
	}
	outcome := s.call(config)
	if found := s.phone(device); outcome.Err != nil || found.Last.Ending != capf.EndingSuccess || found.LSC == nil || found.Description != "changed meanwhile" {
		t.Errorf("%v; %+v", outcome.Err, found.Last)
	}
}

// An issuer or a disk that fails here is not the phone's fault: the operation stays pending with result 2.
func TestFailureHereIsNotThePhones(t *testing.T) {
	s := newService(t, usual())
	s.change(func(server *session.Server) { server.Issuer = brokenIssuer{} })
	s.pending(device, capf.OperationInstall, capf.RSA1024)
	outcome := s.call(s.config(device))
	found := s.phone(device)
	if !errors.As(outcome.Err, new(*phone.LineError)) || s.status(device) != capf.StatusPending || *found.LastResult != capf.ResultFailed {
		t.Errorf("%v, status %s, result %v", outcome.Err, s.status(device), found.LastResult)
	}
}

type brokenIssuer struct{}

func (brokenIssuer) Issue(context.Context, capf.LSCRequest) ([]byte, error) {
	return nil, errors.New("the authority is away")
}
