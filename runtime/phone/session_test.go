package phone

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"capf/runtime/capf"
	"capf/runtime/wire"
)

var tlsNumbers = []uint16{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12, tls.VersionTLS13}

// Every version of TLS and of the protocol, every message in one record.
func TestInstallAtEveryVersion(t *testing.T) {
	s := serve(t, func(c *call) error {
		response, err := c.authenticate()
		if err != nil {
			return err
		}
		return c.install(response.DeviceName, wire.RSAKeyRequest(response.Version.Value, 1024))
	})
	for _, version := range tlsNumbers {
		for _, protocol := range []uint8{wire.Version2, wire.Version3} {
			t.Run(fmt.Sprintf("%s, protocol %d", tls.VersionName(version), protocol), func(t *testing.T) {
				config := configOf(s)
				config.TLS, config.Version = TLSOnly(version), protocol
				outcome := newPhone(t, config).Run(t.Context())
				if outcome.Err != nil {
					t.Fatal(outcome.Err)
				}
				if outcome.TLSVersion != version || version < tls.VersionTLS12 && outcome.CipherSuite != tls.TLS_RSA_WITH_AES_128_CBC_SHA {
					t.Errorf("%s with %s", tls.VersionName(outcome.TLSVersion), tls.CipherSuiteName(outcome.CipherSuite))
				}
				if fmt.Sprint(outcome.Records) != "[1 1 1 1]" {
					t.Errorf("the messages came in %v records", outcome.Records)
				}
				if !outcome.Server.Equal(identity().Leaf) || outcome.Attempts != 1 || outcome.Duration <= 0 {
					t.Errorf("server %v, %d attempts in %v", outcome.Server.Subject, outcome.Attempts, outcome.Duration)
				}
			})
		}
	}
}

// The counter of records sees what a real phone would stall at.
func TestSplitMessageIsSeen(t *testing.T) {
	s := serve(t, func(c *call) error {
		b, err := wire.Encode(wire.AuthenticationRequest{Version: wire.Some(uint8(wire.Version3))}.Message(testSession))
		if err != nil {
			return err
		}
		for _, part := range [][]byte{b[:wire.HeaderSize], b[wire.HeaderSize:]} {
			if _, err := c.Write(part); err != nil {
				return err
			}
		}
		if _, err := c.hear(); err != nil {
			return err
		}
		return c.end(wire.ReasonNoAction)
	})
	for _, version := range tlsNumbers {
		config := configOf(s)
		config.TLS = TLSOnly(version)
		if outcome := newPhone(t, config).Run(t.Context()); fmt.Sprint(outcome.Records) != "[2 1]" {
			t.Errorf("%s: records %v, error %v", tls.VersionName(version), outcome.Records, outcome.Err)
		}
	}
}

func TestInstallEveryKeySize(t *testing.T) {
	ec := func(curve wire.Curve) wire.KeyGenerationRequest {
		return wire.KeyGenerationRequest{KeyType: wire.Some(wire.KeyEC), Curve: wire.Some(curve)}
	}
	requests := map[capf.KeySize]wire.KeyGenerationRequest{
		capf.RSA512: wire.RSAKeyRequest(3, 512), capf.RSA1024: wire.RSAKeyRequest(3, 1024), capf.RSA2048: wire.RSAKeyRequest(3, 2048),
		capf.P256: ec(wire.CurveP256), capf.P384: ec(wire.CurveP384), capf.P521: ec(wire.CurveP521),
	}
	for size, request := range requests {
		t.Run(string(size), func(t *testing.T) {
			config := configOf(serve(t, installs(request)))
			config.KeySize, config.Keys = size, nil
			phone := newPhone(t, config)
			if outcome := phone.Run(t.Context()); outcome.Err != nil || outcome.Operation != capf.OperationInstall {
				t.Fatalf("%s: %v", outcome.Operation, outcome.Err)
			}
			bits := 0
			switch public := keptLSC(t, phone.Flash()).Key.Public().(type) {
			case *rsa.PublicKey:
				bits = public.N.BitLen()
			case *ecdsa.PublicKey:
				bits = public.Curve.Params().BitSize
			}
			if want := strings.TrimPrefix(string(size), "p"); fmt.Sprint(bits) != want {
				t.Errorf("the key has %d bits", bits)
			}
		})
	}
}

// What the phone refuses, it refuses with reason 7, leaves its flash alone and tells why.
func TestPhoneRefuses(t *testing.T) {
	key := func(request wire.KeyGenerationRequest) func(*call) (wire.Reason, error) {
		return func(c *call) (wire.Reason, error) {
			response, err := c.publicKey(request)
			if err == nil && response.PublicKey != nil {
				err = errors.New("a public key came")
			}
			return response.Reason.Value, err
		}
	}
	store := func(der func(public crypto.PublicKey) []byte) func(*call) (wire.Reason, error) {
		return func(c *call) (wire.Reason, error) {
			if _, err := c.publicKey(wire.RSAKeyRequest(3, 1024)); err != nil {
				return 0, err
			}
			mine, err := quickKey(t.Context(), "", capf.RSA1024)
			if err != nil {
				return 0, err
			}
			return c.store(der(mine.Public()))
		}
	}
	other, err := GenerateKey(t.Context(), "", capf.P256)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		version uint8
		size    capf.KeySize
		part    func(*call) (wire.Reason, error)
		text    string
	}{
		{"another size", 3, capf.RSA2048, key(wire.RSAKeyRequest(3, 1024)), "the phone makes keys of size 2048, the server asks for 1024"},
		{"key type to version 2", 2, "", key(wire.RSAKeyRequest(3, 1024)), "a phone of protocol version 2 is asked for a key type"},
		{"size not known", 3, "", key(wire.RSAKeyRequest(3, 1023)), "1023"},
		{"no size", 3, "", key(wire.KeyGenerationRequest{}), "a key of type RSA is asked for without its size or curve"},
		{"no curve", 3, "", key(wire.KeyGenerationRequest{KeyType: wire.Some(wire.KeyEC), KeySize: wire.Some(uint16(256))}), "type EC"},
		{"curve not known", 3, "", key(wire.KeyGenerationRequest{KeyType: wire.Some(wire.KeyEC), Curve: wire.Some(wire.Curve(9))}), "curve 9 is not known"},
		{"key type not known", 3, "", key(wire.KeyGenerationRequest{KeyType: wire.Some(wire.KeyType(7)), KeySize: wire.Some(uint16(1024))}), "key type 7"},
		{"no key was made", 3, "", func(c *call) (wire.Reason, error) { return c.store(issue(testDevice, other.Public())) }, "no key pair was made for it"},
		{"another key", 3, "", store(func(crypto.PublicKey) []byte { return issue(testDevice, other.Public()) }), "the certificate is for another public key"},
		{"another name", 3, "", store(func(public crypto.PublicKey) []byte { return issue("SEP001122334456", public) }), `it is for "SEP001122334456"`},
		{"no certificate", 3, "", store(func(crypto.PublicKey) []byte { return []byte("0123") }), "it cannot be read"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			config := configOf(serve(t, afterAuthentication(func(c *call) error {
				reason, err := test.part(c)
				if err != nil {
					return err
				}
				if reason != wire.ReasonRefused {
					return fmt.Errorf("the phone answers with reason %v", reason)
				}
				return c.end(wire.ReasonRefused)
			})))
			config.Version, config.KeySize = test.version, test.size
			phone := newPhone(t, config)
			outcome := phone.Run(t.Context())
			if ended, is := errors.AsType[*EndError](outcome.Err); !is || ended.Refusal == nil || !strings.Contains(outcome.Err.Error(), test.text) {
				t.Errorf("error %v, want %q", outcome.Err, test.text)
			}
			if keptLSC(t, phone.Flash()) != nil || outcome.Certificate != nil {
				t.Error("something was stored")
			}
		})
	}
}

func TestFailedKeyGeneration(t *testing.T) {
	tries := 0
	config := configOf(serve(t, afterAuthentication(func(c *call) error {
		response, err := c.publicKey(wire.RSAKeyRequest(3, 1024))
		if err != nil || response.Reason != wire.Some(wire.ReasonRefused) || response.PublicKey != nil {
			return fmt.Errorf("%v, error %v", response, err)
		}
		return c.install(testDevice, wire.RSAKeyRequest(3, 1024)) // the next attempt (C5)
	})))
	config.Keys = func(ctx context.Context, device string, size capf.KeySize) (crypto.Signer, error) {
		if tries++; tries == 1 {
			return nil, errors.New("no entropy")
		}
		return quickKey(ctx, device, size)
	}
	if outcome := newPhone(t, config).Run(t.Context()); outcome.Err != nil || tries != 2 {
		t.Errorf("after %d tries: %v", tries, outcome.Err)
	}
}

// What a server does that is not in the protocol ends the session at once, without another attempt.
func TestServerBreaksProtocol(t *testing.T) {
	raw := func(b string) func(*call) error {
		return func(c *call) error { _, err := c.Write([]byte(b)); return err }
	}
	tests := []struct {
		name   string
		script func(*call) error
		text   string
	}{
		{"no message", raw("HTTP/1.1 200 OK"), "not a CAPF message"},
		{"too long", raw("\x55\x01\x00\x00\x00\x01\xff\xff"), "at most 16376 allowed"},
		{"malformed", raw("\x55\x01\x00\x00\x00\x01\x00\x01\x07"), "element without its length"},
		{"order before authentication", func(c *call) error { return c.say(wire.DeleteCertificateRequest{}) },
			"delete certificate request came before the authentication request"},
		{"twice who are you", afterAuthentication(func(c *call) error { return c.say(wire.AuthenticationRequest{}) }),
			"a second authentication request came"},
		{"no such command", afterAuthentication(func(c *call) error {
			return wire.WriteMessage(c.Conn, wire.Message{Command: wire.CommandRetryLater, SessionID: testSession})
		}), "retry later is nothing that the simulated phone has an answer to"},
		{"another session", afterAuthentication(func(c *call) error {
			return wire.WriteMessage(c.Conn, wire.EndSession{}.Message(testSession+1))
		}), "end session has session 3405643778, the session is 3405643777"},
		{"without end", afterAuthentication(func(c *call) error {
			for i := 0; i < maxMessages; i += 2 {
				if _, err := c.ask(wire.FetchCertificateRequest{}); err != nil {
					return nil // the phone has had enough
				}
			}
			return nil
		}), "the server goes on after 1000 messages"},
		{"malformed end", afterAuthentication(func(c *call) error {
			return wire.WriteMessage(c.Conn, wire.Message{Command: wire.CommandEndSession, SessionID: testSession,
				Elements: []wire.Element{{Tag: wire.TagReason}}})
		}), "end session, reason: 0 bytes, not 1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := serve(t, test.script)
			config := configOf(s)
			config.Retry = Retry{Times: 3}
			outcome := newPhone(t, config).Run(t.Context())
			if outcome.Err == nil || !strings.Contains(outcome.Err.Error(), test.text) || strings.Contains(outcome.Err.Error(), "\n") {
				t.Errorf("error %v, want %q", outcome.Err, test.text)
			}
			if s.calls.Load() != 1 {
				t.Errorf("the phone called %d times", s.calls.Load())
			}
		})
	}
}

func TestEndReasons(t *testing.T) {
	tests := []struct {
		reason wire.Reason
		text   string
	}{
		{wire.ReasonNoAction, "no operation is pending for the device: set one"},
		{wire.ReasonRefused, "it did not take the authentication string or the certificate, or"},
		{wire.ReasonUnknownDevice, "the server does not know the device: add it"},
		{wire.ReasonSuccess, "it asked for nothing; its log says why"},
		{wire.Reason(5), "it asked for nothing; its log says why"},
	}
	for _, test := range tests {
		config := configOf(serve(t, afterAuthentication(func(c *call) error { return c.end(test.reason) })))
		outcome := newPhone(t, config).Run(t.Context())
		if ended, is := errors.AsType[*EndError](outcome.Err); !is || ended.Reason != test.reason || !strings.Contains(outcome.Err.Error(), test.text) {
			t.Errorf("error %v, want %q", outcome.Err, test.text)
		}
	}
}

// Nothing that the phone logs shows the authentication string; what it sends does.
func TestLogHidesAuthenticationString(t *testing.T) {
	var logged bytes.Buffer
	config := configOf(serve(t, func(c *call) error {
		request := wire.AuthenticationRequest{Version: wire.Some(uint8(wire.Version3))}.Message(testSession)
		request.Elements = append(request.Elements, wire.Element{Tag: 99, Value: []byte("new")})
		if err := wire.WriteMessage(c.Conn, request); err != nil {
			return err
		}
		m, err := c.hear()
		if err != nil {
			return err
		}
		response, _, err := wire.Read[wire.AuthenticationResponse](m)
		if err != nil || !response.Password.Equal("47110815") {
			return fmt.Errorf("%v, error %v", m, err)
		}
		return c.install(testDevice, wire.RSAKeyRequest(3, 1024))
	}))
	config.Mode, config.AuthenticationString = capf.AuthByString, digits(t, "47110815")
	config.Log = slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	outcome := newPhone(t, config).Run(t.Context())
	if outcome.Err != nil {
		t.Fatal(outcome.Err)
	}
	text := logged.String()
	if strings.Contains(text, "47110815") || strings.Contains(text, "3437313130383135") {
		t.Errorf("the log shows the authentication string:\n%s", text)
	}
	for _, part := range []string{"store certificate request", `msg="element skipped"`, "element 99 of 3 bytes"} {
		if !strings.Contains(text, part) {
			t.Errorf("the log lacks %q:\n%s", part, text)
		}
	}
}

func TestKeyGenerationTakesItsTime(t *testing.T) {
	var waits []time.Duration
	config := configOf(serve(t, installs(wire.RSAKeyRequest(3, 1024))))
	config.KeyGenerationTime = 31 * time.Minute
	config.Sleep = func(_ context.Context, wait time.Duration) error { waits = append(waits, wait); return nil }
	if outcome := newPhone(t, config).Run(t.Context()); outcome.Err != nil || fmt.Sprint(waits) != "[31m0s]" {
		t.Errorf("waits %v, error %v", waits, outcome.Err)
	}
}

// A server that never answers, before the handshake or after it, is a broken line once the time is over.
func TestSilentServer(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // the system accepts, nobody else does
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	afterHandshake := serve(t, func(c *call) error { _, _ = c.Read(make([]byte, 1)); return nil })
	for _, s := range []*server{{address: silent.Addr().String()}, afterHandshake} {
		config := configOf(s)
		config.Timeout = 100 * time.Millisecond
		outcome := newPhone(t, config).Run(t.Context())
		if broken, is := errors.AsType[*LineError](outcome.Err); !is || broken.NoRoute || !errors.Is(broken, os.ErrDeadlineExceeded) {
			t.Errorf("error %v", outcome.Err)
		}
	}
}

func TestContextEndsSession(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	config := configOf(serve(t, afterAuthentication(func(c *call) error {
		cancel()
		_, _ = c.Read(make([]byte, 1))
		return nil
	})))
	config.Retry = Retry{Times: 3}
	if outcome := newPhone(t, config).Run(ctx); !errors.Is(outcome.Err, context.Canceled) || outcome.Attempts != 1 {
		t.Errorf("error %v after %d attempts", outcome.Err, outcome.Attempts)
	}
}
