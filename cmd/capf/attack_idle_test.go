package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"capf/runtime/wire"
)

// CVE-2009-2053: all descriptors taken by idle connections. One silent TCP connection stops every other phone.
// Slow writers: whoever sends a byte now and then does not put off the end.

// idle opens connections; every tenth begins a record.
func (a *target) idle(t *testing.T, count int) []net.Conn {
	t.Helper()
	all := make([]net.Conn, count)
	for number := range all {
		all[number] = dial(t, a.service.address)
		t.Cleanup(func() { _ = all[number].Close() })
		if number%10 == 0 {
			_, _ = all[number].Write([]byte{22, 3, 1}) // the service may have closed it already
		}
	}
	return all
}

// awaitClosed waits until the service has closed them all.
func awaitClosed(t *testing.T, all []net.Conn) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for number, conn := range all {
		if err := conn.SetReadDeadline(deadline); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("connection %d of %d: %v", number, len(all), err)
		}
	}
}

func TestAttackSilentConnections(t *testing.T) {
	t.Parallel() // it waits for the most part
	count := 2000
	if brief() {
		count = 500
	}
	const deadline = 4 * time.Second
	a := newTarget(t, fmt.Sprintf("phone = {handshake-timeout = %q}", deadline))
	before := a.service.descriptors()
	begin := time.Now()
	silent := a.idle(t, count)
	a.serves()
	// Who looks in before the deadline finds them all open: the phone was served beside them.
	if open := a.service.descriptors().sockets - before.sockets; open < count && time.Since(begin) < deadline {
		t.Errorf("%d of %d connections are open before the deadline", open, count)
	}
	awaitClosed(t, silent)
	a.service.givenBack(before)
	a.unharmed()
}

// With fewer files than there are idle connections the service keeps enough for its store: a phone that waits
// in line is served when they are gone.
func TestAttackTakeAllDescriptors(t *testing.T) {
	t.Parallel()
	const files = 200 // may be open
	a := newLimitedTarget(t, files, `phone = {handshake-timeout = "3s"}`)
	before := a.service.descriptors()
	idle := a.idle(t, 2*files)
	a.waiting("SEP000000000001", 1, "install", "null-string", "")
	config := a.caller("SEP000000000001")
	config.Retry.Times, config.Retry.Wait = 60, time.Second
	if outcome := a.call(config); outcome.Err != nil {
		t.Errorf("a phone that comes meanwhile, after %d attempts: %v", outcome.Attempts, outcome.Err)
	}
	awaitClosed(t, idle)
	a.service.givenBack(before)
	a.unharmed()
}

// newLimitedTarget is newTarget for a service that may have so many files open.
func newLimitedTarget(t *testing.T, files int, configuration string) *target {
	t.Helper()
	a := &target{installation: newActivated(t), keys: keysOfTarget(t)}
	limited := *a.installation
	limited.program = a.write("limited", fmt.Sprintf("#!/bin/sh\nulimit -n %d\nexec '%s' \"$@\"\n", files, a.program))
	if err := os.Chmod(limited.program, 0o700); err != nil {
		t.Fatal(err)
	}
	a.service = limited.serve("--config", a.write("capf.toml", configuration))
	return a
}

// Whoever opens connections at the other addresses, and says nothing, keeps them from those who ask there, for a while,
// and from nobody else: no phone waits, and the service runs out of nothing.
func TestAttackTakeAllDescriptorsElsewhere(t *testing.T) {
	t.Parallel()
	const files = 300 // may be open
	a := newLimitedTarget(t, files, "[files]\nlisten = '127.0.0.1:0'")
	before := a.service.descriptors()
	_, address, found := strings.Cut(a.service.text(), " files=")
	if !found {
		t.Fatal("no address for files")
	}
	address, _, _ = strings.Cut(address, "\n")
	var silent []net.Conn
	for network, addresses := range map[string][]string{
		"tcp":  {strings.TrimPrefix(a.service.admin(), "http://"), address},
		"unix": {filepath.Join(a.data, "serve.sock")},
	} {
		for _, address := range addresses {
			silent = append(silent, a.silent(t, network, address, 2*files)...)
		}
	}
	a.serves()
	if text := a.service.text(); strings.Contains(text, "too many open files") {
		t.Error("the service has run out of descriptors")
	}
	for _, conn := range silent {
		_ = conn.Close()
	}
	if err := a.service.healthIs(http.StatusOK); err != nil {
		t.Error(err)
	}
	a.service.givenBack(before)
	a.unharmed()
}

// silent opens connections and says nothing at them.
func (a *target) silent(t *testing.T, network, address string, count int) []net.Conn {
	t.Helper()
	all := make([]net.Conn, count)
	for i := range all {
		var err error
		if all[i], err = net.Dial(network, address); err != nil {
			t.Fatalf("connection %d to %s: %v", i, address, err)
		}
		t.Cleanup(func() { _ = all[i].Close() })
	}
	return all
}

// drip writes byte by byte until the service closes the line, which it has to do before the last of them.
func drip(conn net.Conn, said []byte) error {
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		for buffer := make([]byte, 1<<12); ; {
			if _, err := conn.Read(buffer); err != nil {
				return
			}
		}
	}()
	for sent := range said {
		if _, err := conn.Write(said[sent : sent+1]); err != nil {
			return nil
		}
		select {
		case <-gone:
			return nil
		case <-time.After(100 * time.Millisecond):
		}
	}
	return fmt.Errorf("all %d bytes were taken", len(said))
}

// Each of these would take several times its deadline to come to its end.
func TestAttackSlowWriters(t *testing.T) {
	t.Parallel()
	a := newTarget(t, `phone = {handshake-timeout = "3s", message-timeout = "3s"}`) // in which a slow machine has done a handshake
	a.waiting("SEP000000000001", 1, "install", "null-string", "")
	message := say("SEP000000000001")
	message.SignedData = wire.NewSecret(make([]byte, 400))
	hello := clientHello(t)
	slow := []func() error{
		func() error { return a.dripHandshake(hello) },
		func() error { return a.dripMessage(message) },
		func() error { return a.dripRecord(message) },
	}
	each(t, len(slow), func(number int) error { return slow[number]() })
	a.unharmed()
}

func (a *target) dripHandshake(hello []byte) error {
	conn, err := net.Dial("tcp", a.service.address)
	if err != nil {
		return err
	}
	defer conn.Close()
	return drip(conn, hello)
}

// dripMessage sends a message of which each byte is a TLS record.
func (a *target) dripMessage(message view) error {
	s, err := begin(a.service.address)
	if err != nil {
		return err
	}
	defer s.close()
	encoded, err := wire.Encode(message.Message(s.id))
	if err != nil {
		return err
	}
	return drip(s.conn, encoded)
}

// dripRecord sends a message in one TLS record, and that byte by byte.
func (a *target) dripRecord(message view) error {
	conn, err := net.Dial("tcp", a.service.address)
	if err != nil {
		return err
	}
	line := &heldLine{Conn: conn}
	s, err := beginOn(line)
	if err != nil {
		return err
	}
	defer s.close()
	line.holds = true
	if err := s.send(message); err != nil {
		return err
	}
	return drip(line.Conn, line.held)
}

// heldLine keeps what is written, once it holds.
type heldLine struct {
	net.Conn
	holds bool
	held  []byte
}

func (l *heldLine) Write(b []byte) (int, error) {
	if !l.holds {
		return l.Conn.Write(b)
	}
	l.held = append(l.held, b...)
	return len(b), nil
}
