package session_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"capf/runtime/capf"
	"capf/runtime/phone"
	"capf/runtime/session"
	"capf/runtime/wire"
)

// counts remembers what an observer is told.
type counts struct {
	mu         sync.Mutex
	handshakes []string
	failures   []capf.HandshakeFailureKind
	keys       []time.Duration
	sent       int
	ends       []capf.SessionEnd
}

func (c *counts) note(what func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	what()
}

func (c *counts) HandshakeDone(version, suite string) {
	c.note(func() { c.handshakes = append(c.handshakes, version+" "+suite) })
}
func (c *counts) HandshakeFailed(kind capf.HandshakeFailureKind) {
	c.note(func() { c.failures = append(c.failures, kind) })
}
func (c *counts) KeyGenerated(took time.Duration)  { c.note(func() { c.keys = append(c.keys, took) }) }
func (c *counts) CertificateSent()                 { c.note(func() { c.sent++ }) }
func (c *counts) SessionEnded(end capf.SessionEnd) { c.note(func() { c.ends = append(c.ends, end) }) }
func (c *counts) last() (end capf.SessionEnd) {
	c.note(func() { end = c.ends[len(c.ends)-1] })
	return end
}
func (c *counts) ended() (count int)                 { c.note(func() { count = len(c.ends) }); return count }
func (c *counts) failed() (count int)                { c.note(func() { count = len(c.failures) }); return count }
func (c *counts) failure() capf.HandshakeFailureKind { return c.failures[len(c.failures)-1] }

// observed is a service whose sessions are counted.
func observed(t *testing.T) (*service, *counts) {
	t.Helper()
	s := newService(t, usual())
	s.stop()
	counted := &counts{}
	s.server.Observer = counted
	s.start()
	return s, counted
}

// eventually waits for what another goroutine is about to do.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after %v", what, patience)
		}
	}
}

func TestSessionsAreCounted(t *testing.T) {
	s, counted := observed(t)
	wrong, err := capf.ParseAuthenticationString("87654321")
	if err != nil {
		t.Fatal(err)
	}
	s.pending("SEP001122334401", capf.OperationInstall, capf.P256)
	s.pending("SEP001122334402", capf.OperationTroubleshoot, capf.P256)
	s.pendingByString("SEP001122334403", "12345678")
	s.set(capf.PhoneChange{Device: "SEP001122334404"})
	s.pending("SEP001122334406", capf.OperationInstall, capf.P256)
	for _, test := range []struct {
		device string
		change func(*phone.Config)
		want   string
	}{
		{"SEP001122334401", nil, "success install success"},
		{"SEP001122334402", nil, "success troubleshoot fetched, no certificate"},
		{"SEP001122334403", func(c *phone.Config) { c.Mode, c.AuthenticationString = capf.AuthByString, wrong }, "authentication none invalid authentication string"},
		{"SEP001122334404", nil, "no-operation none "},
		{"SEP001122334405", nil, "unknown-device none failed"},
		{"SEP001122334406", func(c *phone.Config) { c.OnMessage = phone.StopAt(4, false, phone.DropRST) }, "line-broken install phone communication error"},
	} {
		before := counted.ended()
		config := s.config(test.device)
		if test.change != nil {
			test.change(&config)
		}
		s.call(config)
		eventually(t, "the session is counted", func() bool { return counted.ended() > before })
		end := counted.last()
		got := fmt.Sprintf("%s %s ", end.Outcome, end.Operation)
		if end.Result != nil {
			got += end.Result.String()
		}
		if got != test.want || end.Took <= 0 {
			t.Errorf("%s: %q after %v, want %q", test.device, got, end.Took, test.want)
		}
	}
	counted.note(func() {
		if len(counted.keys) != 1 || counted.keys[0] <= 0 || counted.sent != 1 || len(counted.handshakes) != 6 || counted.handshakes[0] != "1.3 TLS_AES_128_GCM_SHA256" {
			t.Errorf("keys %v, certificates %d, handshakes %v", counted.keys, counted.sent, counted.handshakes)
		}
	})
}

// The list shows each session in the state that the messages have brought it to, and forgets it at its end.
func TestStatesOfSessions(t *testing.T) {
	s, _ := observed(t)
	silent, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	eventually(t, "a silent connection", func() bool { return s.server.SessionsByState()[capf.StateAwaitHandshake] == 1 })

	s.pending(device, capf.OperationInstall, capf.P256)
	want := map[wire.Command]capf.SessionState{
		wire.CommandAuthenticationResponse:   capf.StateAwaitAuthRes,
		wire.CommandKeyGenerationResponse:    capf.StateAwaitKeygenRes,
		wire.CommandStoreCertificateResponse: capf.StateAwaitStoreRes,
	}
	config := s.config(device)
	config.TLS = phone.TLSOnly(tls.VersionTLS10)
	seen := 0
	config.OnMessage = func(_ context.Context, at phone.Point) error {
		state, known := want[at.Command]
		if !at.Sent || at.After || !known {
			return nil
		}
		seen++
		sessions := s.server.Sessions()
		at2 := slices.IndexFunc(sessions, func(one capf.LiveSession) bool { return one.State == state })
		if at2 < 0 {
			t.Errorf("before %v: %+v", at.Command, sessions)
			return nil
		}
		one := sessions[at2]
		if one.Address != "127.0.0.1" || one.TLS != "1.0" || one.CipherSuite == "" || one.Started.After(one.Since) {
			t.Errorf("before %v: %+v", at.Command, one)
		}
		if at.Command != wire.CommandAuthenticationResponse && (one.Device != device || one.Operation != capf.OperationInstall || one.Protocol != 3) {
			t.Errorf("before %v: %+v", at.Command, one)
		}
		return nil
	}
	if outcome := s.call(config); outcome.Err != nil || seen != len(want) {
		t.Errorf("%d states were looked at; %v", seen, outcome.Err)
	}
	_ = silent.Close()
	eventually(t, "all gone", func() bool { return len(s.server.Sessions()) == 0 })
}

// Every kind of failed handshake, made by a real peer: crypto/tls has few types for them, so that its words
// are read, and a change of them must show here.
func TestKindsOfHandshakeFailures(t *testing.T) {
	settings := usual()
	settings.MinTLS = tls.VersionTLS12
	s := newService(t, settings)
	s.stop()
	counted := &counts{}
	s.server.Observer = counted
	s.start()
	within := func(timeout time.Duration) {
		s.change(func(server *session.Server) { server.Settings.HandshakeTimeout = timeout })
	}
	handshake := func(config *tls.Config) func(net.Conn) {
		return func(conn net.Conn) { _ = tls.Client(conn, config).Handshake() }
	}
	for _, test := range []struct {
		want capf.HandshakeFailureKind
		do   func(net.Conn)
	}{
		{capf.HandshakeTimeout, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }},
		{capf.HandshakeClosed, func(net.Conn) {}},
		{capf.HandshakeNotTLS, func(conn net.Conn) { _, _ = conn.Write([]byte("GET / HTTP/1.1\r\n\r\n")) }},
		{capf.HandshakeVersion, handshake(&tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})},
		{capf.HandshakeCipher, handshake(&tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}})},
		{capf.HandshakeDistrusted, handshake(&tls.Config{RootCAs: x509.NewCertPool(), ServerName: "capf"})},
		{capf.HandshakeDistrusted, handshake(&tls.Config{RootCAs: x509.NewCertPool(), ServerName: "capf", MaxVersion: tls.VersionTLS12})},
	} {
		if within(patience); test.want == capf.HandshakeTimeout { // the others must not run into it on a slow machine
			within(100 * time.Millisecond)
		}
		before := counted.failed()
		conn, err := net.Dial("tcp", s.address)
		if err != nil {
			t.Fatal(err)
		}
		test.do(conn)
		_ = conn.Close()
		eventually(t, string(test.want), func() bool { return counted.failed() > before })
		counted.note(func() {
			if got := counted.failure(); got != test.want {
				t.Errorf("%s, want %s: %+v", got, test.want, s.server.HandshakeFailures(""))
			}
		})
	}
	lines := s.server.HandshakeFailures("127.0.0.1")
	if len(lines) != 1 || lines[0].Count != 7 || lines[0].Kind != capf.HandshakeDistrusted || lines[0].Reason == "" || lines[0].Last.Before(lines[0].First) {
		t.Errorf("kept: %+v", lines)
	}
	if others := s.server.HandshakeFailures("192.0.2.1"); len(others) != 0 {
		t.Errorf("of another address: %+v", others)
	}
}

// memoryTracer keeps traces in memory.
type memoryTracer struct {
	mu     sync.Mutex
	levels map[string]slog.Level
	lines  map[string]*bytes.Buffer
}

func (m *memoryTracer) Active() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.levels) > 0
}

func (m *memoryTracer) Level(device string) (slog.Level, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	level, traced := m.levels[device]
	return level, traced
}

func (m *memoryTracer) WriteTraceLine(device string, line []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lines[device] == nil {
		m.lines[device] = &bytes.Buffer{}
	}
	m.lines[device].Write(line)
}

func (m *memoryTracer) set(device string, level slog.Level) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.levels[device] = level
}

func (m *memoryTracer) text(device string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lines[device] == nil {
		return ""
	}
	return m.lines[device].String()
}

func traced(t *testing.T, log *bytes.Buffer) (*service, *memoryTracer) {
	t.Helper()
	s := newService(t, usual())
	s.stop()
	tracer := &memoryTracer{levels: make(map[string]slog.Level), lines: make(map[string]*bytes.Buffer)}
	s.server.Tracer = tracer
	s.server.Log = slog.New(slog.NewTextHandler(log, nil))
	s.start()
	return s, tracer
}

// A trace at debug has every message of the phone's session, from the first on, which comes before the
// phone's name. Secrets are masked, and the service's log stays at its own level.
func TestTraceHasEveryMessage(t *testing.T) {
	var log bytes.Buffer
	s, tracer := traced(t, &log)
	tracer.set(device, slog.LevelDebug)
	config := s.config(device)
	config.Mode, config.AuthenticationString = capf.AuthByString, s.pendingByString(device, "47110815")
	if outcome := s.call(config); outcome.Err != nil {
		t.Fatal(outcome.Err)
	}
	s.set(capf.PhoneChange{Device: "SEP0011223344FF"})
	s.call(s.config("SEP0011223344FF"))
	s.stop()
	text := tracer.text(device)
	from := 0
	for _, want := range []string{"authentication request", "authentication response", "[secret]", "operation begins", "key generation request",
		"key generation response", "store certificate request", "store certificate response", "operation ended", "session ended", "end session"} {
		at := strings.Index(text[from:], want)
		if at < 0 {
			t.Fatalf("%q is not there, or not in its place:\n%s", want, text)
		}
		from += at
	}
	if strings.Contains(text, "47110815") || strings.Contains(text, "SEP0011223344FF") {
		t.Errorf("a secret or another phone is in it:\n%s", text)
	}
	if strings.Contains(log.String(), "level=DEBUG") || !strings.Contains(log.String(), "operation ended") {
		t.Errorf("the service's log:\n%s", log.String())
	}
	if other := tracer.text(""); other != "" {
		t.Errorf("nobody asked for it:\n%s", other)
	}
}

// At info the messages are missing; the trace of all sessions has also what never said its name. A level
// that changes inside a session holds from there on.
func TestTraceLevels(t *testing.T) {
	var log bytes.Buffer
	s, tracer := traced(t, &log)
	tracer.set("", slog.LevelInfo)
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = conn.Write([]byte("no TLS at all"))
	_ = conn.Close()
	eventually(t, "the failed handshake", func() bool { return strings.Contains(tracer.text(""), "kind=not-tls") })

	s.pending(device, capf.OperationInstall, capf.P256)
	config := s.config(device)
	config.OnMessage = func(_ context.Context, at phone.Point) error {
		if at.Command == wire.CommandKeyGenerationResponse && !at.After {
			tracer.set(device, slog.LevelDebug)
		}
		return nil
	}
	if outcome := s.call(config); outcome.Err != nil {
		t.Fatal(outcome.Err)
	}
	s.stop()
	if all := tracer.text(""); !strings.Contains(all, "operation ended") || strings.Contains(all, "level=DEBUG") {
		t.Errorf("all sessions:\n%s", all)
	}
	own := tracer.text(device)
	if strings.Contains(own, "authentication request") || !strings.Contains(own, "store certificate request") {
		t.Errorf("the phone's own:\n%s", own)
	}
}
