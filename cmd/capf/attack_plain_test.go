package main

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"time"
)

// Somebody speaks something else on the TLS port.

func TestAttackPlainText(t *testing.T) {
	a := newTarget(t, `phone = {handshake-timeout = "2m"}`) // twice what a test waits: nothing here may end by it
	a.waiting("SEP000000000001", 1, "install", "null-string", "")
	hello := clientHello(t)
	random := make([]byte, 1<<16)
	if _, err := rand.NewChaCha8([32]byte{1}).Read(random); err != nil {
		t.Fatal(err)
	}
	random[0] = 0x80
	says := map[string][]byte{
		"HTTP":                         []byte("GET / HTTP/1.1\r\nHost: capf\r\n\r\n"),
		"CAPF without TLS":             []byte("\x55\x02\x00\x00\x00\x00\x00\x13\x0d\x00\x10SEP000000000001\x00"),
		"SSH":                          []byte("SSH-2.0-OpenSSH_9.9\r\n"),
		"zeros":                        make([]byte, 1<<16),
		"ones":                         bytes.Repeat([]byte{0xff}, 1<<16),
		"random":                       random,
		"a record that is too long":    {22, 3, 1, 0xff, 0xff},
		"an empty record":              {22, 3, 1, 0, 0},
		"a handshake that is too long": {22, 3, 1, 0, 4, 1, 0xff, 0xff, 0xff},
		"an alert":                     {21, 3, 1, 0, 2, 2, 40},
		"application data first":       {23, 3, 1, 0, 1, 0},
		"SSL 2":                        {0x80, 0x2e, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10},
		"hello twice":                  append(bytes.Clone(hello), hello...),
	}
	a.unchanged(func() {
		for name, said := range says {
			t.Run(name, func(t *testing.T) {
				if err := a.hear(said); err != nil {
					t.Error(err)
				}
			})
		}
		t.Run("damaged hello", func(t *testing.T) { a.damagedHello(t, hello) })
	})
	a.unharmed()
}

// hear says something and nothing more; the service has to close the line, having said at most an alert or
// its part of a handshake.
func (a *target) hear(said []byte) error {
	conn, err := net.Dial("tcp", a.service.address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := conn.Write(said); err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		return err // closed meanwhile is fine
	}
	_ = conn.(*net.TCPConn).CloseWrite()
	answer, err := io.ReadAll(io.LimitReader(conn, 1<<16))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("the line is open after %v, having said %x", patience, answer)
	}
	if len(answer) > 0 && answer[0] != 21 && answer[0] != 22 {
		return fmt.Errorf("the service answers %x", answer)
	}
	return nil
}

// damagedHello says a ClientHello with each of its bytes changed, and of each length.
func (a *target) damagedHello(t *testing.T, hello []byte) {
	step := 1
	if brief() {
		step = 7
	}
	each(t, (len(hello)+step-1)/step, func(number int) error {
		changed := bytes.Clone(hello)
		changed[number*step] ^= 0xff
		return errors.Join(a.hear(changed), a.hear(hello[:number*step]))
	})
}

// clientHello is what crypto/tls says first.
func clientHello(t *testing.T) []byte {
	t.Helper()
	near, far := net.Pipe()
	defer near.Close()
	go func() {
		_ = tls.Client(far, strangerTLS).Handshake() // fails when the pipe is closed
		_ = far.Close()
	}()
	record := make([]byte, 1<<14)
	n, err := near.Read(record)
	if err != nil {
		t.Fatal(err)
	}
	return record[:n]
}
