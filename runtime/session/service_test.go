// Old phones need these of the standard library; see cmd/capf.
//
//go:debug rsa1024min=0
//go:debug tlssha1=1
package session_test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"capf/runtime/ca"
	"capf/runtime/capf"
	"capf/runtime/phone"
	"capf/runtime/session"
	"capf/runtime/store"
	"capf/runtime/store/sqlite"
	"capf/runtime/wire"
)

const instance = "this service"

// service is the phone service on loopback, with a real store and a real authority.
type service struct {
	t         *testing.T
	store     *sqlite.Store
	authority *ca.Authority
	server    *session.Server
	traces    *memoryTraces
	trust     *storedTrust
	address   string
	folder    string // of the store
	stop      func() // ends the service and waits for it
}

// memoryTraces remembers what would have gone into trace files.
type memoryTraces struct {
	mu     sync.Mutex
	traces map[string]*x509.Certificate
}

func (m *memoryTraces) WriteTrace(device string, kind capf.CertificateKind, certificate *x509.Certificate, _ time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.traces[device+"-"+string(kind)] = certificate
	return nil
}

// storedTrust gives the anchors of the store, and for LSCs the authority's own certificate, as the daemon does.
type storedTrust struct {
	t     *testing.T
	store *sqlite.Store
	own   *x509.Certificate
}

func (s *storedTrust) Anchors(ctx context.Context, kind capf.CertificateKind) ([]*x509.Certificate, error) {
	stored, err := s.store.Anchors(ctx, kind)
	if err != nil {
		return nil, err
	}
	var anchors []*x509.Certificate
	for _, one := range stored {
		anchor, err := x509.ParseCertificate(one.DER)
		if err != nil {
			return nil, err
		}
		anchors = append(anchors, anchor)
	}
	if kind == capf.LSC {
		anchors = append(anchors, s.own)
	}
	return anchors, nil
}

// set replaces the anchors beside the authority's own certificate.
func (s *storedTrust) set(anchors map[capf.CertificateKind][]*x509.Certificate) {
	s.t.Helper()
	s.removeAll()
	var added []capf.Anchor
	for kind, certificates := range anchors {
		for _, one := range certificates {
			added = append(added, capf.Anchor{Kind: kind, DER: one.Raw, Origin: "test"})
		}
	}
	if _, err := s.store.AddAnchors(context.Background(), added, "test"); err != nil {
		s.t.Fatal(err)
	}
}

// removeAll removes the anchors as `capf anchor remove --force` does.
func (s *storedTrust) removeAll() {
	s.t.Helper()
	stored, err := s.store.Anchors(context.Background(), "")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, one := range stored {
		if err := s.store.RemoveAnchor(context.Background(), one.ID, "", "test"); err != nil {
			s.t.Fatal(err)
		}
	}
}

// theAuthority is made once: a key of 2048 bits takes its time.
var theAuthority = sync.OnceValues(func() (*ca.Authority, error) {
	return ca.New(ca.Options{CommonName: "CAPF-test", KeySize: 2048}, ca.System())
})

// patience is the longest wait for what comes by itself, however slow the machine is.
const patience = time.Minute

func usual() session.Settings {
	return session.Settings{MinTLS: tls.VersionTLS10, MaxSessions: 1000, MaxWaiting: 1000, HandshakeTimeout: patience, MessageTimeout: patience}
}

func newService(t *testing.T, settings session.Settings) *service {
	t.Helper()
	authority, err := theAuthority()
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	opened, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(folder, "capf.db"), Create: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := opened.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &service{t: t, store: opened, folder: folder, authority: authority, traces: &memoryTraces{traces: make(map[string]*x509.Certificate)},
		trust: &storedTrust{t: t, store: opened, own: authority.Certificate}}
	s.server = &session.Server{Phones: opened, Operations: opened, Issuer: authority, Trust: s.trust, Strings: opened, Traces: s.traces, Certificate: authority.TLS(),
		Settings: settings, Instance: instance, Clock: time.Now, Random: rand.Reader, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	s.start()
	return s
}

func (s *service) start() {
	s.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	s.address = listener.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.server.Serve(ctx, listener) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Error(err)
		}
	})
	s.t.Cleanup(s.stop)
}

// change stops the service, changes what it is made of, and starts it again.
func (s *service) change(how func(*session.Server)) {
	s.t.Helper()
	s.stop()
	how(s.server)
	s.start()
}

// serving takes the lock of a running service on the store, and gives its instance.
func (s *service) serving() string {
	s.t.Helper()
	lock, err := store.TakeServeLock(s.folder)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = lock.Release() })
	return lock.Instance()
}

// set applies changes as an administrator does.
func (s *service) set(changes ...capf.PhoneChange) {
	s.t.Helper()
	if _, err := s.store.ApplyChanges(context.Background(), capf.ApplyUpsert, changes, capf.ChangeContext{Actor: "test"}); err != nil {
		s.t.Fatal(err)
	}
}

// pending sets an operation by null string.
func (s *service) pending(device string, operation capf.Operation, size capf.KeySize) {
	s.t.Helper()
	mode := capf.AuthByNullString
	s.set(capf.PhoneChange{Device: device, Operation: &operation, AuthMode: &mode, KeySize: &size})
}

// pendingByCertificate sets an operation by existing certificate. What is installed has an EC key, which is
// quickly made.
func (s *service) pendingByCertificate(device string, mode capf.AuthMode, operation capf.Operation) {
	s.t.Helper()
	size := capf.P256
	s.set(capf.PhoneChange{Device: device, Operation: &operation, AuthMode: &mode, KeySize: &size})
}

// pendingByString sets an installation by authentication string.
func (s *service) pendingByString(device, text string) capf.AuthenticationString {
	s.t.Helper()
	digits, err := capf.ParseAuthenticationString(text)
	if err != nil {
		s.t.Fatal(err)
	}
	operation, mode := capf.OperationInstall, capf.AuthByString
	s.set(capf.PhoneChange{Device: device, Operation: &operation, AuthMode: &mode, AuthString: &digits})
	return digits
}

func (s *service) phone(device string) capf.Phone {
	s.t.Helper()
	found, err := s.store.Phone(context.Background(), device)
	if err != nil {
		s.t.Fatal(err)
	}
	return found
}

func (s *service) status(device string) capf.Status {
	s.t.Helper()
	found := s.phone(device)
	return found.Last.Status(time.Now(), instance)
}

func (s *service) certificates(device string) []capf.Certificate {
	s.t.Helper()
	var all []capf.Certificate
	err := s.store.Certificates(context.Background(), device, func(c capf.Certificate) error {
		all = append(all, c)
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

// states counts the certificates of a device by state.
func (s *service) states(device string) map[capf.CertificateState]int {
	s.t.Helper()
	counts := make(map[capf.CertificateState]int)
	for _, c := range s.certificates(device) {
		counts[c.State]++
	}
	return counts
}

// config is a phone that trusts this service's certificate and calls it under the null string.
func (s *service) config(device string) phone.Config {
	return phone.Config{Device: device, Server: s.address, Mode: capf.AuthByNullString, Timeout: patience,
		VerifyServer: func(certificate *x509.Certificate) error {
			if !certificate.Equal(s.authority.Certificate) {
				s.t.Errorf("the service showed %s", certificate.Subject)
			}
			return nil
		}}
}

// call has a phone call.
func (s *service) call(config phone.Config) phone.Outcome {
	s.t.Helper()
	calling, err := phone.New(config)
	if err != nil {
		s.t.Fatal(err)
	}
	return calling.Run(context.Background())
}

// showing is a phone with those certificates, either may be missing, in that mode.
func (s *service) showing(device string, mode capf.AuthMode, lsc, mic *phone.Identity) phone.Config {
	s.t.Helper()
	config := s.config(device)
	config.Mode, config.MIC, config.Flash = mode, mic, phone.NewMemoryFlash()
	if lsc != nil {
		if err := config.Flash.StoreLSC(*lsc); err != nil {
			s.t.Fatal(err)
		}
	}
	return config
}

// onRecord is all that the store has on a phone.
type onRecord struct {
	Phone        capf.Phone
	Certificates []capf.Certificate
	Operations   []capf.OperationRecord
}

func (s *service) onRecord(t *testing.T, device string) (onRecord, []capf.Attempt) {
	t.Helper()
	operations, err := s.store.Operations(t.Context(), device)
	if err != nil {
		t.Fatal(err)
	}
	attempts, err := s.store.Attempts(t.Context(), device)
	if err != nil {
		t.Fatal(err)
	}
	return onRecord{s.phone(device), s.certificates(device), operations}, attempts
}

// checkAccepted has a phone call, whose operation must come to its end.
func (s *service) checkAccepted(t *testing.T, config phone.Config) {
	t.Helper()
	_, before := s.onRecord(t, config.Device)
	if outcome := s.call(config); outcome.Err != nil {
		t.Error(outcome.Err)
	}
	_, attempts := s.onRecord(t, config.Device)
	if status := s.status(config.Device); status != capf.StatusSuccess || refusals(attempts) != refusals(before) {
		t.Errorf("status %s, attempts %+v", status, attempts)
	}
}

// refusals counts the attempts that were no broken line.
func refusals(attempts []capf.Attempt) (count int) {
	for _, one := range attempts {
		if one.Result != capf.ResultCommunication {
			count++
		}
	}
	return count
}

// checkRefused has a phone call that must not authenticate: the operation stays pending, and an attempt is
// all that is recorded.
func (s *service) checkRefused(t *testing.T, config phone.Config, result capf.Result, text string) {
	t.Helper()
	before, attemptsBefore := s.onRecord(t, config.Device)
	outcome := s.call(config)
	if outcome.Err == nil || outcome.Reason != wire.Some(wire.ReasonRefused) || outcome.Operation != capf.OperationNone {
		t.Errorf("operation %s, reason %v, error %v", outcome.Operation, outcome.Reason, outcome.Err)
	}
	after, attempts := s.onRecord(t, config.Device)
	if len(attempts) != min(len(attemptsBefore)+1, capf.MaxAttempts) || attempts[0].Result != result ||
		!strings.Contains(attempts[0].Detail, text) || attempts[0].Address != "127.0.0.1" {
		t.Errorf("attempts %+v, want %d more with %q", attempts, result, text)
	}
	if after.Phone.LastResult == nil || *after.Phone.LastResult != result || s.status(config.Device) != capf.StatusPending {
		t.Errorf("status %s, result %v, want %d", s.status(config.Device), after.Phone.LastResult, result)
	}
	after.Phone.LastResult, after.Phone.LastAttempt = before.Phone.LastResult, before.Phone.LastAttempt
	if !reflect.DeepEqual(before, after) {
		t.Errorf("more than an attempt was recorded: from %+v to %+v", before, after)
	}
}
