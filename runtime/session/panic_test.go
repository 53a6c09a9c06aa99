package session_test

import (
	"context"
	"sync/atomic"
	"testing"

	"capf/runtime/capf"
	"capf/runtime/session"
)

// onceBroken has a fault inside, which shows once.
type onceBroken struct {
	session.Strings
	session.Issuer
	shown atomic.Bool
}

func (o *onceBroken) show() {
	if !o.shown.Swap(true) {
		panic("a fault inside")
	}
}

func (o *onceBroken) CountWrongString(ctx context.Context, ref capf.OperationRef, attempt capf.Attempt) (capf.WrongStrings, error) {
	o.show()
	return o.Strings.CountWrongString(ctx, ref, attempt)
}

func (o *onceBroken) Issue(ctx context.Context, request capf.LSCRequest) ([]byte, error) {
	o.show()
	return o.Issuer.Issue(ctx, request)
}

// A fault while a string is compared stops neither the next session of the phone nor the end of the service.
func TestPanicInTheComparison(t *testing.T) {
	s := newService(t, usual())
	s.change(func(server *session.Server) { server.Strings = &onceBroken{Strings: s.store} })
	s.pendingByString(device, "87654321")
	if outcome := s.call(s.typing(device, "11111111")); outcome.Err == nil {
		t.Error("the session with the fault came to its end")
	}
	if outcome := s.call(s.typing(device, "87654321")); outcome.Err != nil {
		t.Errorf("the next session: %v", outcome.Err)
	}
}

// A session in which something fails inside is counted, and lets go of its operation.
func TestPanicIsCounted(t *testing.T) {
	s, counted := observed(t)
	s.change(func(server *session.Server) { server.Issuer = &onceBroken{Issuer: s.authority} })
	s.pending(device, capf.OperationInstall, capf.P256)
	if outcome := s.call(s.config(device)); outcome.Err == nil {
		t.Error("the session with the fault came to its end")
	}
	eventually(t, "the session is gone", func() bool { return len(s.server.Sessions()) == 0 })
	if counted.ended() != 1 {
		t.Fatalf("%d sessions are counted", counted.ended())
	}
	if end := counted.last(); end.Outcome != capf.OutcomeUnavailable || end.Operation != capf.OperationInstall || end.Result == nil || *end.Result != capf.ResultFailed {
		t.Errorf("the session ended as %+v", end)
	}
	if found := s.phone(device); s.status(device) != capf.StatusPending || found.Last.Serving != "" {
		t.Errorf("status %s, served by %q", s.status(device), found.Last.Serving)
	}
	if outcome := s.call(s.config(device)); outcome.Err != nil {
		t.Errorf("the next session: %v", outcome.Err)
	}
}
