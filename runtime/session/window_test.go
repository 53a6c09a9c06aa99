package session_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"capf/runtime/capf"
	"capf/runtime/phone"
	"capf/runtime/session"
	"capf/runtime/wire"
)

// heldCalls remembers what the window held back.
type heldCalls struct {
	session.HeldCalls
	mu    sync.Mutex
	calls []capf.HeldCall
}

func (h *heldCalls) RecordHeldCall(ctx context.Context, ref capf.OperationRef, call capf.HeldCall) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, call)
	return h.HeldCalls.RecordHeldCall(ctx, ref, call)
}

// windowed is a service whose maintenance window opens soon, for half an hour, with a clock that a test sets.
func windowed(t *testing.T) (s *service, clock *settable, held *heldCalls) {
	t.Helper()
	s = newService(t, usual())
	now := time.Now().UTC().Truncate(time.Second)
	opens := now.Add(10 * time.Minute).Truncate(time.Minute)
	clock = &settable{now: now, closed: now, opens: opens, closes: opens.Add(30 * time.Minute)}
	held = &heldCalls{HeldCalls: s.store}
	s.stop()
	s.server.Clock, s.server.HeldCalls = clock.Now, held
	s.start()
	window := clock.opens.Format("15:04-") + clock.closes.Format("15:04 UTC")
	if err := s.store.SetParameter(t.Context(), capf.ParamWindow, window, "test"); err != nil {
		t.Fatal(err)
	}
	return s, clock, held
}

// settable is a clock that a test sets, with times at which the window is closed, opens and closes.
type settable struct {
	closed, opens, closes time.Time

	mu  sync.Mutex
	now time.Time
}

func (c *settable) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *settable) set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}

// checkHeld has a phone call that must be told that nothing is pending, and of which nothing changes.
func (s *service) checkHeld(t *testing.T, config phone.Config, reason wire.Reason) {
	t.Helper()
	before, attemptsBefore := s.onRecord(t, config.Device)
	outcome := s.call(config)
	if outcome.Operation != capf.OperationNone || outcome.Reason != wire.Some(reason) {
		t.Errorf("the phone was asked for %s, told %v: %v", outcome.Operation, outcome.Reason, outcome.Err)
	}
	after, attempts := s.onRecord(t, config.Device)
	if len(attempts) != len(attemptsBefore) || after.Phone.Last.Ref != before.Phone.Last.Ref || !after.Phone.LastSession.Equal(before.Phone.LastSession) ||
		len(after.Certificates) != len(before.Certificates) || s.status(config.Device) != capf.StatusPending {
		t.Errorf("more than the call was recorded: operation %+v, last session %s, %d certificates, attempts %+v",
			after.Phone.Last, after.Phone.LastSession, len(after.Certificates), attempts)
	}
}

// A5 and Rules of ours, "A window": null string and existing certificate wait for it; a client of version 2
// hears reason 7, all others 0. When it is open they are served.
func TestWindowHoldsBack(t *testing.T) {
	s, clock, held := windowed(t)
	lsc := leaf{issuer: s.own(), name: device}.make(t)
	for number, test := range []struct {
		name    string
		mode    capf.AuthMode
		version uint8
		reason  wire.Reason
	}{
		{"null string", capf.AuthByNullString, wire.Version3, wire.ReasonNoAction},
		{"null string, version 2", capf.AuthByNullString, wire.Version2, wire.ReasonRefused},
		{"existing certificate", capf.AuthByLSC, wire.Version3, wire.ReasonNoAction},
		{"existing certificate, version 2", capf.AuthByMIC, wire.Version2, wire.ReasonRefused},
	} {
		t.Run(test.name, func(t *testing.T) {
			clock.set(clock.closed)
			s.pendingByCertificate(device, test.mode, capf.OperationTroubleshoot)
			config := s.showing(device, test.mode, lsc, nil)
			config.Version = test.version
			s.checkHeld(t, config, test.reason)
			call, err := s.store.LastHeldCall(t.Context(), device)
			want := capf.HeldCall{Device: device, Address: "127.0.0.1", At: clock.closed, Opens: clock.opens}
			if err != nil || call == nil || *call != want || len(held.calls) != number+1 {
				t.Errorf("the story knows of %+v, %v; want %+v", call, err, want)
			}
			clock.set(clock.opens)
			s.checkAccepted(t, config)
		})
	}
}

// Rules of ours, "A window": a phone in authenticated or encrypted mode that has no valid LSC could not
// register until it opens: it goes. With a valid one it waits as all do.
func TestWindowLetsPhonesWithoutLSCIn(t *testing.T) {
	s, _, held := windowed(t)
	for name, mode := range map[string]capf.SecurityMode{"SEP0011223344B1": capf.Authenticated, "SEP0011223344B2": capf.Encrypted} {
		s.pending(name, capf.OperationInstall, capf.P256)
		s.set(capf.PhoneChange{Device: name, SecurityMode: &mode})
		config := s.showing(name, capf.AuthByNullString, nil, nil)
		s.checkAccepted(t, config)
		s.pending(name, capf.OperationInstall, capf.P256)
		s.checkHeld(t, config, wire.ReasonNoAction)
	}
	if len(held.calls) != 2 {
		t.Errorf("held calls: %+v", held.calls)
	}
}

// Rules of ours, "A window": strings typed by a person always go.
func TestWindowLetsStringsIn(t *testing.T) {
	s, _, _ := windowed(t)
	digits := s.pendingByString(device, "12345678")
	config := s.config(device)
	config.Mode, config.AuthenticationString = capf.AuthByString, digits
	s.checkAccepted(t, config)
}

// A phone that would fail in the night is refused in the day, as without a window: the story says why.
func TestWindowComesAfterAuthentication(t *testing.T) {
	s, _, held := windowed(t)
	s.pendingByCertificate(device, capf.AuthByLSC, capf.OperationTroubleshoot)
	s.checkRefused(t, s.showing(device, capf.AuthByLSC, nil, nil), capf.ResultInvalidCredentials, "showed no certificate")
	s.checkRefused(t, s.showing(device, capf.AuthByLSC, leaf{issuer: allIssuers(t).impostor, name: device}.make(t), nil), capf.ResultInvalidLSC, "no trust anchor")
	if len(held.calls) != 0 {
		t.Errorf("held calls: %+v", held.calls)
	}
}

// A4: the window closes in the middle of an installation; the phone whose line broke comes back with it.
func TestWindowClosesInTheMiddle(t *testing.T) {
	s, clock, _ := windowed(t)
	clock.set(clock.closes.Add(-time.Minute))
	s.pending(device, capf.OperationInstall, capf.P256)
	config := s.showing(device, capf.AuthByNullString, nil, nil)
	config.OnMessage = phone.StopAt(7, false, phone.DropRST)
	config.Retry = phone.Retry{Times: 1}
	config.Sleep = func(context.Context, time.Duration) error { clock.set(clock.closes.Add(time.Second)); return nil }
	if outcome := s.call(config); outcome.Err != nil {
		t.Error(outcome.Err)
	}
	checkAgreement(t, s, device, config.Flash)
}

// A window that cannot be read holds nobody back in silence: the session fails, and the log says why.
func TestWindowThatCannotBeRead(t *testing.T) {
	s, _, _ := windowed(t)
	s.stop()
	s.server.Phones = phonesWithWindow{s.store, "nonsense"}
	s.start()
	s.pending(device, capf.OperationInstall, capf.P256)
	if outcome := s.call(s.config(device)); outcome.Err == nil || s.status(device) != capf.StatusPending {
		t.Errorf("%v, status %s", outcome.Err, s.status(device))
	}
}

// phonesWithWindow has a value for the parameter that no command would set.
type phonesWithWindow struct {
	session.Phones
	value string
}

func (p phonesWithWindow) Parameters(context.Context) (capf.Parameters, error) {
	return capf.Parameters{capf.ParamWindow: p.value}, nil
}
