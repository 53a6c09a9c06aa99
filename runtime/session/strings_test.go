package session_test

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"sync"
	"testing"
	"time"

	"capf/runtime/capf"
	"capf/runtime/phone"
	"capf/runtime/session"
	"capf/runtime/wire"
)

// typing is a phone whose user types a string.
func (s *service) typing(name, text string) phone.Config {
	digits, err := capf.ParseAuthenticationString(text)
	if err != nil {
		s.t.Fatal(err)
	}
	config := s.config(name)
	config.Mode, config.AuthenticationString = capf.AuthByString, digits
	return config
}

// B, "Wrong strings": after ten in a row none is compared for ten minutes, not even the right one; a restart
// does not help. Then it goes on, and after fifty in all the string is void and the operation failed.
func TestWrongStringsAreThrottled(t *testing.T) {
	s := newService(t, usual())
	clock := &settable{now: time.Now()}
	s.change(func(server *session.Server) { server.Clock = clock.Now })
	s.pendingByString(device, "87654321")
	for range 10 {
		s.call(s.typing(device, "11111111"))
	}
	if outcome := s.call(s.typing(device, "87654321")); outcome.Err == nil {
		t.Fatal("the right string was compared at once after ten wrong ones")
	}
	s.stop()
	s.start()
	if outcome := s.call(s.typing(device, "87654321")); outcome.Err == nil {
		t.Fatal("a restart forgot the wrong strings")
	}
	if s.status(device) != capf.StatusPending || s.phone(device).AuthString.IsZero() {
		t.Fatal("waiting changed the operation")
	}
	for range 4 {
		clock.set(clock.Now().Add(10*time.Minute + time.Second))
		for range 10 {
			s.call(s.typing(device, "11111111"))
		}
	}
	found := s.phone(device)
	if s.status(device) != capf.StatusFailed || *found.LastResult != capf.ResultInvalidAuthString || !found.AuthString.IsZero() {
		t.Errorf("after fifty: %s, result %v", s.status(device), found.LastResult)
	}
	clock.set(clock.Now().Add(time.Hour))
	if outcome := s.call(s.typing(device, "87654321")); outcome.Err == nil || len(s.certificates(device)) != 0 {
		t.Error("the string outlived fifty wrong ones")
	}
}

func TestTheRightStringAfterTheWait(t *testing.T) {
	s := newService(t, usual())
	clock := &settable{now: time.Now()}
	s.change(func(server *session.Server) { server.Clock = clock.Now })
	s.pendingByString(device, "87654321")
	for range 10 {
		s.call(s.typing(device, "11111111"))
	}
	clock.set(clock.Now().Add(10*time.Minute + time.Second))
	if outcome := s.call(s.typing(device, "87654321")); outcome.Err != nil {
		t.Error(outcome.Err)
	}
}

// Many at once compare no more than one by one would.
func TestParallelGuessesAreCounted(t *testing.T) {
	s := newService(t, usual())
	s.pendingByString(device, "87654321")
	var callers sync.WaitGroup
	for range 40 {
		callers.Go(func() { s.call(s.typing(device, "11111111")) })
	}
	callers.Wait()
	wrong, err := s.store.WrongStrings(context.Background(), device, s.phone(device).Last.Ref, "127.0.0.1")
	if err != nil || wrong.InAll != 10 {
		t.Errorf("%d strings were compared, %v", wrong.InAll, err)
	}
}

// A string that an administrator sets anew begins without the wrong ones before.
func TestNewStringBeginsAnew(t *testing.T) {
	s := newService(t, usual())
	s.pendingByString(device, "87654321")
	for range 10 {
		s.call(s.typing(device, "11111111"))
	}
	next, err := capf.ParseAuthenticationString("12348765")
	if err != nil {
		t.Fatal(err)
	}
	s.set(capf.PhoneChange{Device: device, AuthString: &next})
	if outcome := s.call(s.typing(device, "12348765")); outcome.Err != nil {
		t.Error(outcome.Err)
	}
}

// C4 and C5: a phone that takes longer than it may is asked again, then the operation has failed, timed out.
func TestKeyGenerationRunsOutOfTime(t *testing.T) {
	t.Parallel() // it waits for the most part
	const attempts = 3
	s := newService(t, usual())
	s.change(func(server *session.Server) { server.KeyGenerationTime = time.Second }) // in which a slow machine has answered
	s.pending(device, capf.OperationInstall, capf.RSA1024)
	conn, first := s.raw(t)
	write := func(message wire.Message) {
		if err := wire.WriteMessage(conn, message); err != nil {
			t.Fatal(err)
		}
	}
	write(answer(device).Message(first.SessionID))
	asked := 0
	for {
		message, err := wire.ReadMessage(conn, wire.MaxElements)
		if err != nil {
			t.Fatal(err)
		}
		if message.Command == wire.CommandEndSession {
			break
		}
		if asked++; asked < attempts { // what comes after the end of the session would break the line
			write(wire.RequestInProgress{}.Message(first.SessionID)) // does not extend the time
		}
	}
	if found := s.phone(device); asked != attempts || s.status(device) != capf.StatusFailed || *found.LastResult != capf.ResultTimedOut {
		t.Errorf("asked %d times, %s, result %v", asked, s.status(device), found.LastResult)
	}
}

// B4, key order: EC preferred with RSA backup.
func TestRSABackupForAnECKey(t *testing.T) {
	s := newService(t, usual())
	if err := s.store.SetParameter(context.Background(), capf.ParamECBackup, "1024", "test"); err != nil {
		t.Fatal(err)
	}
	onlyRSA := func(ctx context.Context, name string, size capf.KeySize) (crypto.Signer, error) {
		if size.IsEC() {
			return nil, errors.New("no EC here")
		}
		return phone.GenerateKey(ctx, name, size)
	}
	for name, change := range map[string]func(*phone.Config){
		"a phone that makes RSA keys only": func(c *phone.Config) { c.KeySize = capf.RSA1024 },
		"a client of version 2":            func(c *phone.Config) { c.Version, c.Keys = wire.Version2, onlyRSA },
	} {
		s.pending(device, capf.OperationInstall, capf.P256)
		config := s.config(device)
		change(&config)
		outcome := s.call(config)
		if outcome.Err != nil || s.status(device) != capf.StatusSuccess {
			t.Errorf("%s: %v", name, outcome.Err)
		}
	}
}

// A phone that answers after its time is up is believed all the same: it has made its keys one after the other.
func TestLateKeyIsTaken(t *testing.T) {
	s := slowKeys(t, 500*time.Millisecond, "100") // as many as a slow machine may need
	s.pending(device, capf.OperationInstall, capf.RSA1024)
	conn, first := s.raw(t)
	hear := func(want wire.Command) wire.Message {
		message, err := wire.ReadMessage(conn, wire.MaxElements)
		for err == nil && message.Command == wire.CommandKeyGenerationRequest && want != message.Command {
			message, err = wire.ReadMessage(conn, wire.MaxElements)
		}
		if err != nil || message.Command != want {
			t.Fatalf("the service says %v, %v; want %v", message, err, want)
		}
		return message
	}
	write := func(message wire.Message) {
		if err := wire.WriteMessage(conn, message); err != nil {
			t.Fatal(err)
		}
	}
	write(answer(device).Message(first.SessionID))
	hear(wire.CommandKeyGenerationRequest)
	hear(wire.CommandKeyGenerationRequest) // once more, since the first took too long
	for range 2 {
		key, err := phone.GenerateKey(t.Context(), device, capf.RSA1024)
		if err != nil {
			t.Fatal(err)
		}
		encoded, err := x509.MarshalPKIXPublicKey(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		write(wire.KeyGenerationResponse{PublicKey: encoded}.Message(first.SessionID))
	}
	hear(wire.CommandStoreCertificateRequest)
	write(wire.StoreCertificateResponse{Reason: wire.Some(wire.ReasonSuccess)}.Message(first.SessionID))
	hear(wire.CommandEndSession)
	if states := s.states(device); s.status(device) != capf.StatusSuccess || states[capf.CertificateConfirmed] != 1 || len(states) != 1 {
		t.Errorf("%s, %v", s.status(device), states)
	}
}

// The line breaks between the two questions of a Troubleshoot: the operation stays pending.
func TestTroubleshootIsNotDoneByHalves(t *testing.T) {
	s := newService(t, usual())
	s.pending(device, capf.OperationTroubleshoot, capf.RSA1024)
	config := s.config(device)
	fetches := 0
	config.OnMessage = func(_ context.Context, at phone.Point) error {
		if at.Command == wire.CommandFetchCertificateRequest && at.After {
			if fetches++; fetches == 2 {
				return phone.DropFIN
			}
		}
		return nil
	}
	s.call(config)
	s.stop() // and so the session has ended
	if found := s.phone(device); s.status(device) != capf.StatusPending || found.LSCKnown != capf.LSCUnknown {
		t.Errorf("%s, LSC %s", s.status(device), found.LSCKnown)
	}
}

// Neither another key size nor an old session lets the count of wrong strings begin anew under the same string.
func TestTheCountBelongsToTheString(t *testing.T) {
	s := newService(t, usual())
	s.pendingByString(device, "87654321")
	for range 10 {
		s.call(s.typing(device, "11111111"))
	}
	size := capf.RSA2048
	s.set(capf.PhoneChange{Device: device, KeySize: &size})
	if outcome := s.call(s.typing(device, "87654321")); outcome.Err == nil {
		t.Error("the string was compared though ten wrong ones came before")
	}
}
