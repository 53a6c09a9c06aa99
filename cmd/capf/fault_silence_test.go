package main

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"capf/runtime/wire"
)

// Firewalls drop the idle session of a slow phone: while it makes its keys, in silence, TCP keep-alive is due
// on the service's side of the line.
func TestFaultSilentLineIsHeldOpen(t *testing.T) {
	a := newTarget(t, `phone = {message-timeout = "1s"}`) // not for the making of keys
	device := a.waiting("SEP000000000001", 1, "install", "null-string", "")[0]
	s, err := a.reach(device, wire.CommandKeyGenerationRequest)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	near, far := s.conn.LocalAddr().(*net.TCPAddr), s.conn.RemoteAddr().(*net.TCPAddr)
	eventually(t, "keep-alive due", func() bool { return timerOf(t, far.Port, near.Port) == "02" })
	if err := s.send(wire.RequestInProgress{}); err != nil {
		t.Fatal(err)
	}
	answer, err := a.publicKey()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.send(answer); err != nil {
		t.Fatal(err)
	}
	if _, err := s.expect(wire.CommandStoreCertificateRequest); err != nil {
		t.Error(err)
	}
	a.unharmed()
}

// timerOf is the kind of timer that runs on an established connection from one port to another, as
// proc_net_tcp has it: 02 is keep-alive, 00 none.
func timerOf(t *testing.T, local, remote int) string {
	t.Helper()
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	from, to := fmt.Sprintf(":%04X", local), fmt.Sprintf(":%04X", remote)
	for line := range strings.Lines(string(table)) {
		if f := strings.Fields(line); len(f) > 5 && strings.HasSuffix(f[1], from) && strings.HasSuffix(f[2], to) {
			kind, _, _ := strings.Cut(f[5], ":")
			return kind
		}
	}
	t.Fatalf("no connection from port %d to %d in\n%s", local, remote, table)
	return ""
}
