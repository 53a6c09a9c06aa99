package phone

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"capf/runtime/capf"
	"capf/runtime/wire"
)

// waiter notes the waits in place of waiting.
type waiter struct{ waits []time.Duration }

func (w *waiter) sleep(ctx context.Context, wait time.Duration) error {
	if wait > 0 {
		w.waits = append(w.waits, wait)
	}
	return ctx.Err()
}

// The eight messages of an installation: the line is broken before and after each, in every way. The next
// attempt enrols the phone, and in between its flash is whole.
func TestBrokenLineAnywhere(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS13} {
		for number := 1; number <= 8; number++ {
			for _, after := range []bool{false, true} {
				for _, drop := range []Drop{DropNotify, DropFIN, DropRST} {
					name := fmt.Sprintf("%s, %v, message %d, after %v", tls.VersionName(version), drop, number, after)
					t.Run(name, func(t *testing.T) { checkBrokenLine(t, version, number, after, drop) })
				}
			}
		}
	}
}

func checkBrokenLine(t *testing.T, version uint16, number int, after bool, drop Drop) {
	var w waiter
	s := serve(t, func(c *call) error {
		err := installs(wire.RSAKeyRequest(3, 1024))(c)
		if c.number == 1 {
			return nil // the line was to break
		}
		return err
	})
	config := configOf(s)
	config.TLS, config.Retry, config.Sleep = TLSOnly(version), PhoneRetry, w.sleep
	stop, seen := StopAt(number, after, drop), false
	var flash Flash
	config.OnMessage = func(ctx context.Context, at Point) error {
		err := stop(ctx, at)
		if err == nil {
			return nil
		}
		seen = true
		stored := number > 7 || number == 7 // message 7 is the confirmation, before it the LSC is in flash
		if lsc := keptLSC(t, flash); (lsc != nil) != stored {
			t.Errorf("an LSC is in flash: %v", lsc != nil)
		}
		return err
	}
	phone := newPhone(t, config)
	flash = phone.Flash()
	outcome := phone.Run(t.Context())
	if !seen || outcome.Err != nil || outcome.Attempts != 2 || fmt.Sprint(w.waits) != "[30s]" || s.calls.Load() != 2 {
		t.Errorf("broken %v, %d attempts, waits %v, error %v", seen, outcome.Attempts, w.waits, outcome.Err)
	}
	if lsc := keptLSC(t, flash); lsc == nil || !lsc.Certificate.Equal(outcome.Certificate) {
		t.Error("the LSC in flash is not that of the last attempt")
	}
}

// A new key pair replaces the old one only together with its certificate.
func TestBrokenUpgradeKeepsOldLSC(t *testing.T) {
	config := configOf(serve(t, func(c *call) error { _ = installs(wire.RSAKeyRequest(3, 1024))(c); return nil }))
	old, err := quickKey(t.Context(), testDevice, capf.P256)
	if err != nil {
		t.Fatal(err)
	}
	config.Flash = NewMemoryFlash()
	giveLSC(t, config.Flash, issue(testDevice, old.Public()), old)
	config.OnMessage = StopAt(6, false, DropRST)
	outcome := newPhone(t, config).Run(t.Context())
	if _, is := errors.AsType[*LineError](outcome.Err); !is || outcome.Attempts != 1 {
		t.Errorf("error %v after %d attempts", outcome.Err, outcome.Attempts)
	}
	if lsc := keptLSC(t, config.Flash); lsc == nil || lsc.Key != old {
		t.Error("the old LSC is not there any more")
	}
}

// The server breaks the line: as often as a phone tries, and once more.
func TestPhoneGivesUp(t *testing.T) {
	for breaks, succeeds := range map[int]bool{3: true, 4: false} {
		var w waiter
		s := serve(t, func(c *call) error {
			if c.number <= breaks {
				return c.raw.Close()
			}
			return installs(wire.RSAKeyRequest(3, 1024))(c)
		})
		config := configOf(s)
		config.Retry, config.Sleep = PhoneRetry, w.sleep
		outcome := newPhone(t, config).Run(t.Context())
		if (outcome.Err == nil) != succeeds || outcome.Attempts != 4 || fmt.Sprint(w.waits) != "[30s 30s 30s]" {
			t.Errorf("%d breaks: %d attempts, waits %v, error %v", breaks, outcome.Attempts, w.waits, outcome.Err)
		}
	}
}

// A server that accepts and closes before the handshake, as one with too many phones does.
func TestClosedBeforeHandshakeIsABrokenLine(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			_ = connection.Close()
		}
	}()
	var w waiter
	config := configOf(&server{address: listener.Addr().String()})
	config.Retry, config.Sleep = Retry{Times: 2, Wait: time.Second}, w.sleep
	outcome := newPhone(t, config).Run(t.Context())
	broken, is := errors.AsType[*LineError](outcome.Err)
	if !is || broken.NoRoute || outcome.Attempts != 3 || len(w.waits) != 2 {
		t.Errorf("error %v after %d attempts", outcome.Err, outcome.Attempts)
	}
}

// A server that is not there is no broken line; one that has gone away in between is.
func TestNoServer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	config := configOf(&server{address: address})
	config.Retry = PhoneRetry
	outcome := newPhone(t, config).Run(t.Context())
	broken, is := errors.AsType[*LineError](outcome.Err)
	if !is || !broken.NoRoute || outcome.Attempts != 1 || !strings.Contains(outcome.Err.Error(), "is the server running") {
		t.Errorf("error %v after %d attempts", outcome.Err, outcome.Attempts)
	}
	if !again(broken, 2) || again(broken, 1) {
		t.Error("a server that is away is taken wrongly")
	}
}

// The line breaks after the phone has confirmed: the server has nothing left to do then, and says so as it
// does to phones of that version.
func TestConfirmedBeforeTheLineBroke(t *testing.T) {
	tests := []struct {
		version  uint8
		reason   wire.Reason
		stopAt   int
		succeeds bool
	}{
		{wire.Version3, wire.ReasonNoAction, 7, true},
		{wire.Version3, wire.ReasonRefused, 7, false},
		{wire.Version2, wire.ReasonRefused, 7, true},
		{wire.Version3, wire.ReasonNoAction, 5, false},
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("version %d, %v, after message %d", test.version, test.reason, test.stopAt), func(t *testing.T) {
			var w waiter
			config := configOf(serve(t, afterAuthentication(func(c *call) error {
				if c.number > 1 {
					return c.end(test.reason)
				}
				_ = c.install(testDevice, wire.RSAKeyRequest(test.version, 1024))
				return nil
			})))
			config.Version, config.Retry, config.Sleep = test.version, PhoneRetry, w.sleep
			config.OnMessage = StopAt(test.stopAt, true, DropFIN)
			outcome := newPhone(t, config).Run(t.Context())
			if (outcome.Err == nil) != test.succeeds || outcome.Attempts != 2 || (outcome.Operation == capf.OperationInstall) != test.succeeds {
				t.Errorf("%s after %d attempts, error %v", outcome.Operation, outcome.Attempts, outcome.Err)
			}
		})
	}
}

func TestContextEndsWait(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	config := configOf(serve(t, func(c *call) error { return c.raw.Close() }))
	config.Retry = PhoneRetry
	config.Sleep = func(ctx context.Context, _ time.Duration) error { cancel(); return ctx.Err() }
	if outcome := newPhone(t, config).Run(ctx); !errors.Is(outcome.Err, context.Canceled) || outcome.Attempts != 1 {
		t.Errorf("error %v after %d attempts", outcome.Err, outcome.Attempts)
	}
}

func TestHooks(t *testing.T) {
	var w waiter
	var points []Point
	config := configOf(serve(t, func(c *call) error {
		if _, err := c.authenticate(); err != nil && c.number == 1 {
			return err
		}
		_ = c.end(wire.ReasonNoAction)
		return nil
	}))
	config.OnMessage = func(ctx context.Context, at Point) error {
		points = append(points, at)
		if at.Number == 2 && !at.After {
			return w.sleep(ctx, time.Minute)
		}
		return nil
	}
	newPhone(t, config).Run(t.Context())
	want := []Point{
		{1, 1, false, false, 0}, {1, 1, false, true, wire.CommandAuthenticationRequest},
		{1, 2, true, false, wire.CommandAuthenticationResponse}, {1, 2, true, true, wire.CommandAuthenticationResponse},
		{1, 3, false, false, 0}, {1, 3, false, true, wire.CommandEndSession},
	}
	if fmt.Sprint(points) != fmt.Sprint(want) || fmt.Sprint(w.waits) != "[1m0s]" {
		t.Errorf("points %v, waits %v", points, w.waits)
	}
	other := errors.New("the hook's own")
	config.OnMessage = func(context.Context, Point) error { return other }
	config.Retry = PhoneRetry
	if outcome := newPhone(t, config).Run(t.Context()); !errors.Is(outcome.Err, other) || outcome.Attempts != 1 {
		t.Errorf("error %v after %d attempts", outcome.Err, outcome.Attempts)
	}
}
