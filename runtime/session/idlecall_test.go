package session_test

import (
	"crypto/tls"
	"reflect"
	"testing"
	"time"

	"capf/runtime/capf"
	"capf/runtime/phone"
	"capf/runtime/session"
)

// *Rules of ours*, "Failed authentication": a call for which nothing is pending is kept as the last of its kind
// in the name of a phone of ours, and nothing else changes. A call that comes to an operation, or that the log of
// attempts has, is none.
func TestIdleCallsAreKept(t *testing.T) {
	s := newService(t, usual())
	clock := &settable{now: s.server.Clock()}
	s.change(func(server *session.Server) { server.Clock = clock.Now })
	const stranger = "SEPFFFFFFFFFFFF"
	s.set(capf.PhoneChange{Device: device})
	for version, tlsVersion := range map[string]uint16{"1.1": tls.VersionTLS11, "1.2": tls.VersionTLS12} {
		before, _ := s.onRecord(t, device)
		clock.set(clock.Now().Add(1500 * time.Millisecond))
		config := s.config(device)
		config.TLS = phone.TLSOnly(tlsVersion)
		s.call(config)
		want := capf.IdleCall{Device: device, Address: "127.0.0.1", TLS: version, At: clock.Now().UTC().Truncate(time.Second)}
		if call := s.idleCall(t, device); call == nil || *call != want {
			t.Errorf("kept: %+v, want %+v", call, want)
		}
		if after, attempts := s.onRecord(t, device); !reflect.DeepEqual(before, after) || len(attempts) != 0 {
			t.Errorf("more than the call was recorded: %+v, attempts %+v", after, attempts)
		}
	}
	last := s.idleCall(t, device)
	clock.set(clock.Now().Add(time.Second))
	s.call(s.config(stranger))
	s.pending(device, capf.OperationInstall, capf.P256)
	s.checkAccepted(t, s.config(device))
	if call := s.idleCall(t, device); *call != *last || s.idleCall(t, stranger) != nil {
		t.Errorf("kept: %+v; of the stranger %+v", call, s.idleCall(t, stranger))
	}
	s.call(s.config(device)) // the same phone, once more
	if call := s.idleCall(t, device); !call.At.After(last.At) {
		t.Errorf("after the install: %+v", call)
	}
}

func (s *service) idleCall(t *testing.T, device string) *capf.IdleCall {
	t.Helper()
	call, err := s.store.LastIdleCall(t.Context(), device)
	if err != nil {
		t.Fatal(err)
	}
	return call
}
