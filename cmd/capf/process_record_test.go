package main

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"capf/runtime/capf"
	"capf/runtime/phone"
)

// A phone that gets a message in two TLS records stalls [P]. What is counted here are records on the wire,
// read between the phone and the service by nobody but this file.

// The record header of RFC 5246, section 6.2.1: type, version (2 bytes), length (2 bytes).
const (
	tlsRecordHeader    = 5
	tlsApplicationData = 23
)

// traffic is the order in which application-data records pass on one connection: an S for each of the
// server, a P for each of the phone. Either side waits for the other, so that there is only one order.
type traffic struct {
	guard sync.Mutex
	order strings.Builder
}

func (r *traffic) String() string {
	r.guard.Lock()
	defer r.guard.Unlock()
	return r.order.String()
}

// from gives the reader for one direction.
func (r *traffic) from(side byte) io.Writer { return &recordReader{traffic: r, side: side} }

// recordReader reads records from a stream that comes in any pieces.
type recordReader struct {
	traffic *traffic
	side    byte
	pending []byte // of a record that is not complete
}

func (r *recordReader) Write(piece []byte) (int, error) {
	r.pending = append(r.pending, piece...)
	for len(r.pending) >= tlsRecordHeader {
		length := tlsRecordHeader + int(binary.BigEndian.Uint16(r.pending[3:]))
		if len(r.pending) < length {
			break
		}
		if r.pending[0] == tlsApplicationData {
			r.traffic.guard.Lock()
			r.traffic.order.WriteByte(r.side)
			r.traffic.guard.Unlock()
		}
		r.pending = r.pending[length:]
	}
	return len(piece), nil
}

func TestEachMessageIsOneRecord(t *testing.T) {
	r := &recorded{installation: newInstallation(t), line: newRelay(t), keys: newKeyring(t, 1024, 100), flash: phone.NewMemoryFlash()}
	r.capf("phone", "add", recordedDevice, "--auth", "null-string", "--key-size", "1024")
	r.line.leadTo(r.serve().address)
	blocks := []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA}
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12} {
		suites := blocks
		if version == tls.VersionTLS12 {
			suites = append(suites, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256)
		}
		for _, suite := range suites {
			for _, operation := range []string{"install", "troubleshoot", "delete"} {
				t.Run(fmt.Sprintf("%s/%s/%s", tls.VersionName(version), tls.CipherSuiteName(suite), operation), func(t *testing.T) {
					r.check(t, operation, phone.TLS{Min: version, Max: version, CipherSuites: []uint16{suite}})
				})
			}
		}
	}
}

const recordedDevice = "SEP0000000000AA"

// recorded is a phone whose line is watched.
type recorded struct {
	*installation
	line  *relay
	keys  *keyring
	flash phone.Flash
}

// check compares the records of a session with its messages, as the phone knows them.
func (r *recorded) check(t *testing.T, operation string, offer phone.TLS) {
	r.in(t).capf("phone", "set", recordedDevice, "--operation", operation)
	var messages strings.Builder
	records := r.line.record(func() {
		enrol(t, phone.Config{Device: recordedDevice, Server: r.line.address(), Mode: capf.AuthByNullString, Keys: r.keys.source(),
			Flash: r.flash, VerifyServer: phone.AnyServer, Timeout: patience, TLS: offer, OnMessage: writeOrder(&messages)})
	})
	if records != messages.String() {
		t.Errorf("the records of a session came as %s, its messages as %s: without the TLS overlay? (`make test` has it)",
			records, messages.String())
	}
}

// writeOrder writes the messages of a session as traffic writes its records.
func writeOrder(order *strings.Builder) phone.Hook {
	return func(_ context.Context, at phone.Point) error {
		switch {
		case at.After && at.Sent:
			order.WriteByte('P')
		case at.After:
			order.WriteByte('S')
		}
		return nil
	}
}

// record watches the one connection that is made meanwhile.
func (r *relay) record(connect func()) string {
	seen := new(traffic)
	r.guard.Lock()
	r.watch = func() (io.Writer, io.Writer) { return seen.from('S'), seen.from('P') }
	r.guard.Unlock()
	connect()
	return seen.String()
}

// enrol has a phone call that must get what it came for, in the TLS that it offers alone.
func enrol(t *testing.T, config phone.Config) phone.Outcome {
	t.Helper()
	calling, err := phone.New(config)
	if err != nil {
		t.Fatal(err)
	}
	outcome := calling.Run(t.Context())
	if outcome.Err != nil {
		t.Fatal(outcome.Err)
	}
	if outcome.TLSVersion != config.TLS.Max || len(config.TLS.CipherSuites) > 0 && outcome.CipherSuite != config.TLS.CipherSuites[0] {
		t.Errorf("the session was at %s with %s", tls.VersionName(outcome.TLSVersion), tls.CipherSuiteName(outcome.CipherSuite))
	}
	return outcome
}
