package storetest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"capf/runtime/capf"
)

const actor = "tester"

func (s *suite) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// wantCode expects a failure of a kind.
func (s *suite) wantCode(err error, code capf.Code) {
	s.t.Helper()
	if !capf.HasCode(err, code) {
		s.t.Fatalf("got error %v, want one with code %s", err, code)
	}
}

// equal compares by value; digits of authentication strings too.
func (s *suite) equal(what string, got, want any) {
	s.t.Helper()
	difference := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{}),
		cmp.Comparer(func(a, b capf.AuthenticationString) bool { return a.Same(b) }))
	if difference != "" {
		s.t.Fatalf("%s (-want +got):\n%s", what, difference)
	}
}

func given[T any](value T) *T { return &value }

// apply carries changes out that must be possible.
func (s *suite) apply(mode capf.ApplyMode, changes ...capf.PhoneChange) []capf.Changed {
	s.t.Helper()
	changed, err := s.ApplyChanges(s.ctx, mode, changes, capf.ChangeContext{Actor: actor})
	s.must(err)
	return changed
}

// pend adds a phone, or changes it, so that it has that operation pending by an authentication string.
func (s *suite) pend(device string, operation capf.Operation) capf.Phone {
	s.t.Helper()
	return s.apply(capf.ApplyUpsert, capf.PhoneChange{Device: device, Operation: &operation})[0].Phone
}

func (s *suite) phone(device string) capf.Phone {
	s.t.Helper()
	phone, err := s.Phone(s.ctx, device)
	s.must(err)
	return phone
}

func (s *suite) operations(device string) []capf.OperationRecord {
	s.t.Helper()
	operations, err := s.Operations(s.ctx, device)
	s.must(err)
	return operations
}

func (s *suite) certificates(device string) []capf.Certificate {
	s.t.Helper()
	return collect(s, func(yield func(capf.Certificate) error) error { return s.Certificates(s.ctx, device, yield) })
}

// names gives the devices that pass a filter, in the order in which they come.
func (s *suite) names(filter capf.PhoneFilter) []string {
	s.t.Helper()
	var names []string
	s.must(s.Phones(s.ctx, filter, func(phone capf.Phone) error {
		names = append(names, phone.Device)
		return nil
	}))
	return names
}

// collect gives all that a method hands out.
func collect[T any](s *suite, hand func(yield func(T) error) error) []T {
	s.t.Helper()
	var all []T
	s.must(hand(func(one T) error {
		all = append(all, one)
		return nil
	}))
	return all
}

// device gives the name of the n-th phone.
func device(n int) string { return fmt.Sprintf("SEP%012X", n) }

// issuer signs certificates for tests.
type issuer struct {
	t           *testing.T
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
}

func newIssuer(t *testing.T, name string) *issuer {
	t.Helper()
	i := &issuer{t: t, key: newKey(t)}
	i.certificate = i.sign(name, i.key, nil, Start.AddDate(10, 0, 0))
	return i
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// sign makes a certificate for a key; without a parent it signs itself.
func (i *issuer) sign(name string, key *ecdsa.PrivateKey, parent *x509.Certificate, notAfter time.Time) *x509.Certificate {
	i.t.Helper()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		i.t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: Start.Add(-time.Hour), NotAfter: notAfter, BasicConstraintsValid: true, IsCA: parent == nil}
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), i.key)
	if err != nil {
		i.t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		i.t.Fatal(err)
	}
	return certificate
}

// lsc gives a certificate for a device, as its session hands it over.
func (i *issuer) lsc(device string, key *ecdsa.PrivateKey) capf.Certificate {
	i.t.Helper()
	return i.read(i.sign(device, key, i.certificate, Start.AddDate(5, 0, 0)))
}

func (i *issuer) read(certificate *x509.Certificate) capf.Certificate {
	i.t.Helper()
	read, err := capf.ReadCertificate(certificate.Raw)
	if err != nil {
		i.t.Fatal(err)
	}
	return read
}

// info is a session of an instance.
func (s *suite) info(instance string) capf.SessionInfo {
	return capf.SessionInfo{Instance: instance, Address: "192.0.2.7", TLS: "1.0", Started: s.clock.Now()}
}

// enrol has a phone install an LSC, from setting the operation to its success, and gives the certificate.
func (s *suite) enrol(i *issuer, device string) capf.Certificate {
	s.t.Helper()
	ref := s.pend(device, capf.OperationInstall).Last.Ref
	s.must(s.BeginOperation(s.ctx, device, ref, s.info("here")))
	id, err := s.AddIssued(s.ctx, ref, nil, i.lsc(device, newKey(s.t)))
	s.must(err)
	s.must(s.EndOperation(s.ctx, device, ref, s.success(capf.Outcome{Confirmed: id, LSC: capf.LSCInstalled})))
	return s.certificate(device, id)
}

// success completes an outcome.
func (s *suite) success(outcome capf.Outcome) capf.Outcome {
	outcome.Ending, outcome.Result, outcome.At, outcome.By = capf.EndingSuccess, capf.ResultSuccess, s.clock.Now(), "192.0.2.7"
	return outcome
}

func (s *suite) certificate(device string, id int64) capf.Certificate {
	s.t.Helper()
	for _, certificate := range s.certificates(device) {
		if certificate.ID == id {
			return certificate
		}
	}
	s.t.Fatalf("certificate %d of %s is not in the store", id, device)
	return capf.Certificate{}
}
