package session_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"capf/runtime/capf"
	"capf/runtime/phone"
	"capf/runtime/session"
	"capf/runtime/wire"
)

// remoteIssuer is a CA elsewhere that takes so long for the first certificate that only giving up ends it.
type remoteIssuer struct {
	session.Issuer
	calls   atomic.Int32
	waits   chan struct{} // closed when the first is asked for
	signsOn bool          // although it was given up
}

func (r *remoteIssuer) Issue(ctx context.Context, request capf.LSCRequest) ([]byte, error) {
	if r.calls.Add(1) > 1 {
		return r.Issuer.Issue(ctx, request)
	}
	close(r.waits)
	<-ctx.Done()
	if r.signsOn {
		return r.Issuer.Issue(context.WithoutCancel(ctx), request)
	}
	// What a client of a remote CA makes of it.
	return nil, &capf.Error{Code: capf.CodeUnavailable, Message: "the authority does not answer"}
}

// checkTakenOver has a phone call whose session must be closed for a newer one, and gives what that is told.
// reached is closed when the older session is where it is to be taken over, going when it is closed.
func (s *service) checkTakenOver(t *testing.T, config phone.Config, reached <-chan struct{}, closed chan<- struct{}) phone.Outcome {
	t.Helper()
	older := make(chan phone.Outcome, 1)
	go func() { older <- s.call(config) }()
	<-reached
	newer := make(chan phone.Outcome, 1)
	go func() { newer <- s.call(config) }()
	if outcome := <-older; !errors.As(outcome.Err, new(*phone.LineError)) {
		t.Errorf("the older session: %v", outcome.Err)
	}
	close(closed)
	return <-newer
}

// A newer session does not wait for the issuer of the older one, which may be a CA elsewhere. What that signs
// after all is on record, and revoked when the phone has confirmed another.
func TestTakeoverEndsIssuing(t *testing.T) {
	for name, signsOn := range map[string]bool{"given up": false, "signed all the same": true} {
		t.Run(name, func(t *testing.T) {
			s := newService(t, usual())
			remote := &remoteIssuer{Issuer: s.authority, waits: make(chan struct{}), signsOn: signsOn}
			s.change(func(server *session.Server) { server.Issuer = remote })
			s.pending(device, capf.OperationInstall, capf.P256)
			config := s.config(device)
			config.Flash = phone.NewMemoryFlash()
			if newer := s.checkTakenOver(t, config, remote.waits, make(chan struct{})); newer.Err != nil {
				t.Errorf("the newer session: %v", newer.Err)
			}
			checkAgreement(t, s, device, config.Flash)
			if states := s.states(device); signsOn != (states[capf.CertificateRevoked] == 1) {
				t.Errorf("certificates: %v", states)
			}
			_, attempts := s.onRecord(t, device)
			if len(attempts) != 1 || attempts[0].Result != capf.ResultCommunication {
				t.Errorf("the older session is on record as %+v", attempts)
			}
		})
	}
}

// heldUp are operations of which one call, the first, waits until it may go on.
type heldUp struct {
	session.Operations
	call       string
	calls      atomic.Int32
	reached    chan struct{}
	mayProceed chan struct{}
}

func (h *heldUp) hold(call string) {
	if h.call == call && h.calls.Add(1) == 1 {
		close(h.reached)
		<-h.mayProceed
	}
}

func (h *heldUp) AddIssued(ctx context.Context, ref capf.OperationRef, presented *capf.Presented, certificate capf.Certificate) (int64, error) {
	h.hold("AddIssued")
	return h.Operations.AddIssued(ctx, ref, presented, certificate)
}

func (h *heldUp) EndOperation(ctx context.Context, device string, ref capf.OperationRef, outcome capf.Outcome) error {
	h.hold("EndOperation")
	return h.Operations.EndOperation(ctx, device, ref, outcome)
}

// Taken over while it writes, a session still writes what is true, and phone and store agree: the certificate
// that it was about to send is superseded by the newer session's; the one that the phone has confirmed counts,
// and the newer session finds nothing pending.
func TestTakeoverWhileWriting(t *testing.T) {
	for call, want := range map[string]struct {
		reason  wire.Reason
		revoked int
	}{"AddIssued": {wire.ReasonSuccess, 1}, "EndOperation": {wire.ReasonNoAction, 0}} {
		t.Run(call, func(t *testing.T) {
			s := newService(t, usual())
			held := &heldUp{Operations: s.store, call: call, reached: make(chan struct{}), mayProceed: make(chan struct{})}
			s.change(func(server *session.Server) { server.Operations = held })
			s.pending(device, capf.OperationInstall, capf.P256)
			config := s.config(device)
			config.Flash = phone.NewMemoryFlash()
			newer := s.checkTakenOver(t, config, held.reached, held.mayProceed)
			if newer.Reason != wire.Some(want.reason) {
				t.Errorf("the newer session is told %v: %v", newer.Reason, newer.Err)
			}
			checkAgreement(t, s, device, config.Flash)
			if states := s.states(device); states[capf.CertificateRevoked] != want.revoked {
				t.Errorf("certificates: %v", states)
			}
		})
	}
}

// failing are operations of a store that takes no beginning and no release for a while.
type failing struct {
	session.Operations
	away     atomic.Bool
	begins   atomic.Int32 // that failed
	releases atomic.Int32 // that failed
}

var errAway = &capf.Error{Code: capf.CodeUnavailable, Message: "the store is away"}

func (f *failing) BeginOperation(ctx context.Context, device string, ref capf.OperationRef, info capf.SessionInfo) error {
	if f.away.Load() {
		f.begins.Add(1)
		return errAway
	}
	return f.Operations.BeginOperation(ctx, device, ref, info)
}

func (f *failing) ReleaseOperation(ctx context.Context, ref capf.OperationRef, instance string, result capf.Result) error {
	if f.away.Load() {
		f.releases.Add(1)
		return errAway
	}
	return f.Operations.ReleaseOperation(ctx, ref, instance, result)
}

// Where the store takes neither the end of the older session nor the beginning of the newer, the operation is
// released all the same when the store is back: else it would seem to be served for ever.
func TestTakeoverWhileTheStoreIsAway(t *testing.T) {
	s := newService(t, usual())
	store := &failing{Operations: s.store}
	s.change(func(server *session.Server) { server.Operations = store })
	s.pending(device, capf.OperationInstall, capf.P256)
	config := s.config(device)
	reached := make(chan struct{})
	goOn := make(chan struct{})
	first := true
	config.OnMessage = func(_ context.Context, at phone.Point) error {
		if first && at.Command == wire.CommandKeyGenerationRequest && at.After {
			first = false
			store.away.Store(true)
			close(reached)
			<-goOn
		}
		return nil
	}
	older := make(chan phone.Outcome, 1)
	go func() { older <- s.call(config) }()
	<-reached
	newer := s.call(s.config(device))
	close(goOn)
	for name, outcome := range map[string]phone.Outcome{"older": <-older, "newer": newer} {
		if !errors.As(outcome.Err, new(*phone.LineError)) {
			t.Errorf("the %s session: %v", name, outcome.Err)
		}
	}
	eventually(t, "both have tried", func() bool { return store.begins.Load() == 1 && store.releases.Load() >= 2 })
	if status := s.status(device); status != capf.StatusInProgress {
		t.Fatalf("status %s: the test tests nothing", status)
	}
	store.away.Store(false)
	eventually(t, "released", func() bool { return s.status(device) == capf.StatusPending })
}
