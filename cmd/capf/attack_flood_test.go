package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"capf/runtime/wire"
)

// CVE-2008-1742: memory lost per malformed packet.

// Four of five bad packets go on a line without TLS, by turns; the fifth goes into a session.
var (
	plainPackets = [][]byte{
		[]byte("GET / HTTP/1.0\r\n\r\n"),
		{22, 3, 1, 0xff, 0xff},
		{22, 3, 1, 0, 5, 1, 0, 0, 1, 0},
		bytes.Repeat([]byte{0x55}, 1<<10),
		nil,
		{21, 3, 1, 0, 2, 2, 40},
		{0x16},
	}
	sessionPackets = [][]byte{
		{0x55, 2, 0, 0, 0, 0, 0xff, 0xff},
		append([]byte{0x55, 2, 0, 0, 0, 0, 0x20, 0x00}, make([]byte, 0x2000)...),
		append([]byte{0x55, 2, 0, 0, 0, 0, 0, 0x10, 13, 0, 13}, "../../../etc/"...),
	}
)

func TestAttackFlood(t *testing.T) {
	warm, packets, bound := 1000, 10000, 16<<20
	if brief() {
		warm, packets = 500, 1500
	}
	if len(buildArguments) > 0 {
		bound *= 4 // the race detector keeps books
	}
	a := newTarget(t, "[log]\nlevel = \"warn\"")
	a.waiting("SEP000000000001", 1, "install", "authentication-string", "00424711")
	before := a.service.descriptors()
	a.serves()
	a.unchanged(func() {
		a.flood(t, 0, warm)
		settled := a.service.resident()
		a.flood(t, warm, packets)
		grown := a.service.resident() - settled
		t.Logf("%d bad packets: resident memory of %d KiB grew by %d KiB", packets, settled>>10, grown>>10)
		if grown > bound {
			t.Errorf("%d bad packets: resident memory grew from %d by %d bytes", packets, settled, grown)
		}
	})
	a.service.givenBack(before)
	a.unharmed()
}

// flood sends so many bad packets, each from an address of its own: 127.0.0.0/8 is all loopback.
func (a *target) flood(t *testing.T, first, count int) {
	t.Helper()
	each(t, count, func(number int) error {
		number += first
		from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 1, byte(number>>8), byte(number))}}
		conn, err := from.Dial("tcp", a.service.address)
		if err != nil {
			return err
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		if turn := number / 5; number%5 == 4 {
			return badMessage(conn, sessionPackets[turn%len(sessionPackets)])
		}
		_, _ = conn.Write(plainPackets[number%len(plainPackets)])
		_ = conn.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, conn)
		return nil
	})
}

func badMessage(conn net.Conn, packet []byte) error {
	s, err := beginOn(conn)
	if err != nil {
		return err
	}
	if _, err := s.conn.Write(packet); err != nil {
		return err
	}
	reason, err := s.ended()
	if err == nil && reason.Or(wire.ReasonRefused) != wire.ReasonRefused {
		err = fmt.Errorf("the session ends with %v", reason)
	}
	return err
}
