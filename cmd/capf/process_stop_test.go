package main

import (
	"context"
	"testing"

	"capf/runtime/capf"
	"capf/runtime/phone"
	"capf/runtime/wire"
)

// TestStopWithSessionsInFlight has a phone halt at each point of its session, and one connection say
// nothing at all. SIGTERM ends the service long before their time is up, and every operation is pending.
func TestStopWithSessionsInFlight(t *testing.T) {
	k := &killing{installation: newInstallation(t), mode: capf.AuthByString, keys: newKeyring(t, 1024, 100), line: newRelay(t)}
	k.arguments = []string{"--config", k.write("capf.toml", `phone = {handshake-timeout = "1h", message-timeout = "1h"}`)}
	k.start()
	k.walk(t)
	halted := k.points[:k.after(wire.CommandStoreCertificateResponse)] // beyond, the operation can have ended
	silent := dial(t, k.service.address)
	defer silent.Close()

	release := make(chan struct{})
	calls := make([]*call, len(halted))
	for number := range halted {
		calls[number] = k.haltAt(t, number, release)
	}
	for _, one := range calls {
		<-one.there
	}
	if status := k.service.terminate(); status != 0 {
		t.Errorf("SIGTERM with %d sessions in flight: exit status %d", len(halted)+1, status)
	}
	for _, one := range calls {
		if fields := k.phone(one.device); !agrees(fields, map[string]string{"status": "pending", "operation": "install", "auth-string": killDigits}) {
			t.Errorf("halted %s, after SIGTERM: %v", pointName(one.at), fields)
		}
	}

	k.start()
	close(release)
	for _, one := range calls {
		if outcome := <-one.outcome; outcome.Err != nil || outcome.Attempts != 2 {
			t.Errorf("halted %s, after the restart, %d attempts: %v", pointName(one.at), outcome.Attempts, outcome.Err)
		}
	}
	k.nothingLeft()
}

// call is a phone that halts at a point of its first attempt.
type call struct {
	device  string
	at      phone.Point
	there   chan struct{} // closed when it is at that point, or has failed before
	outcome chan phone.Outcome
}

func (k *killing) haltAt(t *testing.T, number int, release <-chan struct{}) *call {
	t.Helper()
	c := &call{device: k.waiting(number), at: k.points[number], there: make(chan struct{}), outcome: make(chan phone.Outcome, 1)}
	place := 0
	calling, _ := k.newPhone(t, c.device, func(ctx context.Context, _ phone.Point) error {
		if place++; place-1 != number {
			return nil
		}
		close(c.there)
		select {
		case <-release:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	go func() {
		outcome := calling.Run(t.Context())
		if place <= number {
			close(c.there)
		}
		c.outcome <- outcome
	}()
	return c
}
