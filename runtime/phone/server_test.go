//go:debug rsa1024min=0
//go:debug tlssha1=1

package phone

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"capf/runtime/capf"
	"capf/runtime/wire"
)

const (
	testDevice  = "SEP001122334455"
	testSession = 0xcafe0001
)

// identity is the key pair and self-signed certificate of the servers of all tests.
var identity = sync.OnceValue(func() tls.Certificate { return newIdentity("CAPF-12345678") })

func newIdentity(name string) tls.Certificate {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign | x509.KeyUsageKeyEncipherment}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// server is the other side: real TLS on loopback, and a script for its sessions.
type server struct {
	address string
	calls   atomic.Int32 // connections accepted
	script  func(*call) error
	work    sync.WaitGroup
	t       *testing.T
}

// call is one connection of a phone, from 1, after its handshake.
type call struct {
	*tls.Conn
	number int
	raw    net.Conn
}

// serve runs a script for every connection; its error fails the test.
func serve(t *testing.T, script func(*call) error) *server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{address: listener.Addr().String(), script: script, t: t}
	s.work.Go(func() {
		for {
			raw, err := listener.Accept()
			if err != nil {
				return
			}
			number := int(s.calls.Add(1))
			s.work.Go(func() { s.serveOne(raw, number) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		s.work.Wait()
	})
	return s
}

func (s *server) serveOne(raw net.Conn, number int) {
	defer func() { _ = raw.Close() }()
	_ = raw.SetDeadline(time.Now().Add(time.Minute))
	c := &call{Conn: tls.Server(raw, serverTLS()), number: number, raw: raw}
	if err := c.Handshake(); err != nil {
		return // the tests of handshakes look at the phone's side
	}
	defer func() { _ = c.Close() }()
	if err := s.script(c); err != nil {
		s.t.Errorf("server, call %d: %v", number, err)
	}
}

func serverTLS() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{identity()}, MinVersion: tls.VersionTLS10,
		CipherSuites: append(append([]uint16{}, newSuites...), oldSuites...), DynamicRecordSizingDisabled: true}
}

// ask sends a request and reads the answer.
func (c *call) ask(v view) (wire.Message, error) {
	if err := c.say(v); err != nil {
		return wire.Message{}, err
	}
	return c.hear()
}

func (c *call) say(v view) error { return wire.WriteMessage(c.Conn, v.Message(testSession)) }

func (c *call) hear() (wire.Message, error) {
	m, err := wire.ReadMessage(c.Conn, wire.MaxElements)
	if err == nil && m.SessionID != testSession {
		err = fmt.Errorf("%v: not the server's session", m)
	}
	return m, err
}

func (c *call) end(reason wire.Reason) error {
	return c.say(wire.EndSession{Reason: wire.Some(reason)})
}

func (c *call) authenticate() (wire.AuthenticationResponse, error) {
	m, err := c.ask(wire.AuthenticationRequest{Version: wire.Some(uint8(wire.Version3))})
	if err != nil {
		return wire.AuthenticationResponse{}, err
	}
	response, _, err := wire.Read[wire.AuthenticationResponse](m)
	return response, err
}

// publicKey asks for a key pair, and waits for it.
func (c *call) publicKey(request wire.KeyGenerationRequest) (wire.KeyGenerationResponse, error) {
	m, err := c.ask(request)
	for err == nil && m.Command == wire.CommandRequestInProgress {
		m, err = c.hear()
	}
	if err != nil {
		return wire.KeyGenerationResponse{}, err
	}
	response, _, err := wire.Read[wire.KeyGenerationResponse](m)
	return response, err
}

// install is a whole installation after the authentication.
func (c *call) install(device string, request wire.KeyGenerationRequest) error {
	response, err := c.publicKey(request)
	if err != nil {
		return err
	}
	public, err := x509.ParsePKIXPublicKey(response.PublicKey)
	if err != nil {
		return err
	}
	reason, err := c.store(issue(device, public))
	if err != nil {
		return err
	}
	return c.end(reason)
}

// store gives the phone a certificate and returns its reason.
func (c *call) store(der []byte) (wire.Reason, error) {
	m, err := c.ask(wire.StoreCertificateRequest{CertificateType: wire.Some(wire.CertificateLSC), Certificate: der})
	if err != nil {
		return 0, err
	}
	response, _, err := wire.Read[wire.StoreCertificateResponse](m)
	return response.Reason.Value, err
}

func issue(device string, public crypto.PublicKey) []byte {
	authority := identity()
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: device},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, authority.Leaf, public, authority.PrivateKey)
	if err != nil {
		panic(err)
	}
	return der
}

// installs is the script of a server that enrols everybody.
func installs(request wire.KeyGenerationRequest) func(*call) error {
	return func(c *call) error {
		response, err := c.authenticate()
		if err != nil {
			return err
		}
		return c.install(response.DeviceName, request)
	}
}

// afterAuthentication is a script with a part of its own after the phone has said who it is.
func afterAuthentication(part func(*call) error) func(*call) error {
	return func(c *call) error {
		if _, err := c.authenticate(); err != nil {
			return err
		}
		return part(c)
	}
}

// configOf is a phone that calls a server under null string, takes it, and makes small keys.
func configOf(s *server) Config {
	return Config{Device: testDevice, Server: s.address, Mode: capf.AuthByNullString, VerifyServer: AnyServer,
		Keys: quickKey, Timeout: time.Minute}
}

func newPhone(t *testing.T, config Config) *Phone {
	t.Helper()
	phone, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return phone
}

// quickKey is one key pair for a size, made once for all tests that do not look at keys.
func quickKey(ctx context.Context, device string, size capf.KeySize) (crypto.Signer, error) {
	quickKeys.Lock()
	defer quickKeys.Unlock()
	if key, there := quickKeys.made[size]; there {
		return key, nil
	}
	key, err := GenerateKey(ctx, device, size)
	quickKeys.made[size] = key
	return key, err
}

var quickKeys = struct {
	sync.Mutex
	made map[capf.KeySize]crypto.Signer
}{made: map[capf.KeySize]crypto.Signer{}}

func digits(t *testing.T, text string) capf.AuthenticationString {
	t.Helper()
	parsed, err := capf.ParseAuthenticationString(text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func keptLSC(t *testing.T, flash Flash) *Identity {
	t.Helper()
	lsc, err := flash.LSC()
	if err != nil {
		t.Fatal(err)
	}
	return lsc
}
