// Package phone is a simulated phone: it speaks the CAPF protocol as a phone does, with real keys, real TLS
// and real messages, for trials, for load and for the tests of the service.
//
// A [Phone] opens a session, answers what the server asks, and says in an [Outcome] what the server had it
// do and whether that came to its end. What a phone keeps (its LSC with the private key, and the
// authentication mode of an operation that has not ended) is in its [Flash]; what the factory put in (MIC,
// SUDI) is in its [Config]. A [Fleet] runs many phones.
//
// What phones do is taken from capf-protocol.md (with its marks: [C] seen on the wire, [P] what servers do
// that phones are enrolled with, [N] layout not known) and from rows A4 and H of the guide. Where neither
// says what a phone does, the comment at the place says that it is a choice of the simulation.
//
// Phones of the CallManager 4.1 era speak TLS 1.0, and may have RSA keys of 512 bits: a program that
// simulates them needs the settings `//go:debug rsa1024min=0` and, for servers that sign with SHA-1,
// `//go:debug tlssha1=1`.
package phone

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"time"

	"capf/runtime/capf"
	"capf/runtime/wire"
)

// Config says what a phone is like and whom it calls.
type Config struct {
	Device  string // as capf.ParseDevice takes it
	Server  string // host:port
	Version uint8  // of the protocol: 3 as hardware phones answer, 2 as a soft phone does; 0 means 3

	// Mode is the authentication mode in the phone's configuration file (B2). Empty, the phone could not load
	// its configuration file and uses the mode in its flash (A4).
	Mode                 capf.AuthMode
	AuthenticationString capf.AuthenticationString // what the user typed; belongs to that mode

	MIC  *Identity // put in at the factory; nil: none, as in a 7940 or 7960
	SUDI *Identity // secure unique device identifier, shown beside LSC or MIC; nil: none

	KeySize capf.KeySize // the only size that the phone makes keys of; empty: whatever the server asks for
	Keys    KeySource    // nil: GenerateKey
	Flash   Flash        // nil: a new NewMemoryFlash

	// VerifyServer checks the server's certificate; nil is refused. See TrustList and AnyServer.
	VerifyServer VerifyServer
	TLS          TLS

	// KeyGenerationTime passes in silence between the message that keys are being made and the making.
	KeyGenerationTime time.Duration
	// Timeout is the longest wait for the connection, for the handshake and for each message; 0 means a minute.
	Timeout time.Duration
	Retry   Retry // the zero value: never; real phones: PhoneRetry
	Sleep   Sleep // nil: real time

	OnMessage Hook // nil: nothing goes wrong
	// OnAuthenticate may change what the phone says of itself before it leaves; nil: it stays as it is.
	OnAuthenticate func(*wire.AuthenticationResponse)
	Log            *slog.Logger // each message, decoded, its secrets masked; nil: none
}

// Retry says how often a phone tries again after a connection broke, and how long it waits before.
type Retry struct {
	Times int
	Wait  time.Duration
}

// PhoneRetry is what real phones do; the values are fixed (A4).
var PhoneRetry = Retry{Times: 3, Wait: 30 * time.Second}

// Sleep waits; it returns early with the context's error.
type Sleep func(ctx context.Context, wait time.Duration) error

const defaultTimeout = time.Minute

// Phone is one simulated phone. Its sessions run one after the other, not at once.
type Phone struct {
	config Config
}

// New checks a configuration, all of it, and makes the phone.
func New(config Config) (*Phone, error) {
	problems := []error{config.checkDevice(), config.checkServer(), config.checkAuthentication(), checkIdentity("MIC", config.MIC), checkIdentity("SUDI", config.SUDI),
		config.TLS.check()}
	if config.Version != 0 && config.Version != wire.Version2 && config.Version != wire.Version3 {
		problems = append(problems, fmt.Errorf("protocol version %d: use 2 or 3", config.Version))
	}
	if config.KeySize != "" && !slices.Contains(capf.KeySizes, config.KeySize) {
		problems = append(problems, fmt.Errorf("key size %q is not known", config.KeySize))
	}
	if config.VerifyServer == nil {
		problems = append(problems, errors.New("nothing to check the server's certificate against: give a CTL file, or go without on purpose"))
	}
	if config.Retry.Times < 0 || config.Retry.Wait < 0 || config.Timeout < 0 || config.KeyGenerationTime < 0 {
		problems = append(problems, errors.New("times and waits cannot be negative"))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("phone %q: %w", config.Device, oneLine{err})
	}
	config.fill()
	return &Phone{config: config}, nil
}

// Device is the phone's name.
func (p *Phone) Device() string { return p.config.Device }

// Flash is what the phone keeps.
func (p *Phone) Flash() Flash { return p.config.Flash }

func (c *Config) checkDevice() error {
	name, err := capf.ParseDevice(c.Device)
	if err == nil {
		c.Device = name
	}
	return err
}

func (c *Config) checkServer() error {
	if _, _, err := net.SplitHostPort(c.Server); err != nil {
		return fmt.Errorf("server %q: give host:port: %w", c.Server, err)
	}
	return nil
}

func (c *Config) checkAuthentication() error {
	switch c.Mode {
	case capf.AuthByString:
		if c.AuthenticationString.IsZero() {
			return errors.New("authentication mode authentication-string without a string: give one")
		}
	case capf.AuthByNullString, capf.AuthByLSC, capf.AuthByMIC:
		if !c.AuthenticationString.IsZero() {
			return fmt.Errorf("authentication mode %s with an authentication string: leave one of them out", c.Mode)
		}
	case "":
	default:
		return fmt.Errorf("authentication mode %q: use one of %v", c.Mode, capf.AuthModes)
	}
	return nil
}

// checkIdentity wants what the factory put in to be whole. Whose name it carries does not matter here: a
// server has to judge that.
func checkIdentity(what string, identity *Identity) error {
	if identity != nil {
		if err := identity.check(); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	return nil
}

// fill puts the defaults in.
func (c *Config) fill() {
	c.Version = cmp.Or(c.Version, wire.Version3)
	c.Timeout = cmp.Or(c.Timeout, defaultTimeout)
	c.Flash = cmp.Or(c.Flash, NewMemoryFlash())
	c.Log = cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	if c.Keys == nil {
		c.Keys = GenerateKey
	}
	if c.Sleep == nil {
		c.Sleep = capf.Wait
	}
	if c.OnMessage == nil {
		c.OnMessage = func(context.Context, Point) error { return nil }
	}
	if c.OnAuthenticate == nil {
		c.OnAuthenticate = func(*wire.AuthenticationResponse) {}
	}
}

// VerifyServer decides whether a phone takes a server with that certificate. It must be safe for many
// phones at once.
type VerifyServer func(certificate *x509.Certificate) error
