package daemon

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"capf/runtime/ca"
	"capf/runtime/capf"
	"capf/runtime/phone"
	"capf/runtime/reset"
	"capf/runtime/session"
	"capf/runtime/store/sqlite"
)

// noonOfTrial is when the clock of every test here begins: a Sunday.
var noonOfTrial = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// trial is a service with its upkeep, a clock of its own, and simulated phones that call when they are reset.
type trial struct {
	t      *testing.T
	store  *sqlite.Store
	path   string // of its file
	upkeep *upkeep
	config func(device string) phone.Config

	mu      sync.Mutex
	now     time.Time
	log     bytes.Buffer
	flashes map[string]phone.Flash
	resets  []string // devices, in order
	broken  map[string]bool

	whileReset func() error // in place of the phone; nil: it calls
}

func (c *trial) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *trial) at(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}

// Write is the log.
func (c *trial) Write(text []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.log.Write(text)
}

// said gives the log since it was last asked.
func (c *trial) said() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.log.Reset()
	return c.log.String()
}

// Reset is a way to reset phones: the simulated phone starts, and opens its session by itself.
func (c *trial) Reset(ctx context.Context, device string) error {
	c.mu.Lock()
	c.resets = append(c.resets, device)
	config, broken := c.config(device), c.broken[device]
	if c.flashes[device] == nil {
		c.flashes[device] = phone.NewMemoryFlash()
	}
	config.Flash = c.flashes[device]
	c.mu.Unlock()
	if broken {
		return errors.New("no such phone")
	}
	if c.whileReset != nil {
		return c.whileReset()
	}
	found, err := c.store.Phone(ctx, device)
	if err != nil || found.AuthMode == capf.AuthByString {
		return err
	}
	config.Mode = found.AuthMode
	calling, err := phone.New(config)
	if err != nil {
		return err
	}
	calling.Run(ctx)
	return nil
}

// wasReset gives the phones that were reset since it was last asked, sorted.
func (c *trial) wasReset() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer func() { c.resets = nil }()
	return slices.Sorted(slices.Values(c.resets))
}

func newTrial(t *testing.T) *trial {
	t.Helper()
	c := &trial{t: t, now: noonOfTrial, flashes: make(map[string]phone.Flash), broken: make(map[string]bool)}
	authority, err := ca.New(ca.Options{CommonName: "CAPF-trial", KeySize: 2048}, ca.Environment{Clock: c.Now, Random: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	c.path = filepath.Join(t.TempDir(), StoreFile)
	if c.store, err = sqlite.Open(t.Context(), sqlite.Options{Path: c.path, Create: true, Clock: c.Now}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.store.Close(); err != nil {
			t.Error(err)
		}
	})
	trust := &trust{store: c.store, own: func() *x509.Certificate { return authority.Certificate }}
	log := slog.New(slog.NewTextHandler(c, nil))
	c.upkeep = &upkeep{store: c.store, trust: trust, resetter: reset.New(c, 1e6, time.Minute), clock: c.Now, log: log}
	address := c.serve(&session.Server{Phones: c.store, Operations: c.store, Issuer: authority, Strings: c.store, HeldCalls: c.store, Trust: trust,
		Certificate: authority.TLS(), Instance: "trial", Clock: c.Now, Random: rand.Reader, Log: slog.New(slog.DiscardHandler),
		Settings: session.Settings{MinTLS: tls.VersionTLS10, MaxSessions: 100, MaxWaiting: 100, HandshakeTimeout: time.Minute, MessageTimeout: time.Minute}})
	c.config = func(device string) phone.Config {
		return phone.Config{Device: device, Server: address, Timeout: time.Minute, VerifyServer: phone.AnyServer}
	}
	return c
}

func (c *trial) serve(server *session.Server) (address string) {
	c.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, listener) }()
	c.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			c.t.Error(err)
		}
	})
	return listener.Addr().String()
}

func (c *trial) set(name, value string) {
	c.t.Helper()
	if err := c.store.SetParameter(c.t.Context(), name, value, "tester"); err != nil {
		c.t.Fatal(err)
	}
}

// pend sets an installation of a key that is quickly made.
func (c *trial) pend(device string, mode capf.AuthMode) {
	c.t.Helper()
	install, size := capf.OperationInstall, capf.P256
	c.change(capf.PhoneChange{Device: device, Operation: &install, AuthMode: &mode, KeySize: &size})
}

func (c *trial) change(change capf.PhoneChange) {
	c.t.Helper()
	if _, err := c.store.ApplyChanges(c.t.Context(), capf.ApplyUpsert, []capf.PhoneChange{change}, capf.ChangeContext{Actor: "tester"}); err != nil {
		c.t.Fatal(err)
	}
}

func (c *trial) phone(device string) capf.Phone {
	c.t.Helper()
	found, err := c.store.Phone(c.t.Context(), device)
	if err != nil {
		c.t.Fatal(err)
	}
	return found
}

func (c *trial) step() {
	c.t.Helper()
	if err := c.upkeep.step(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
}

// enrol has a phone install its first LSC now, by the null string.
func (c *trial) enrol(device string) {
	c.t.Helper()
	c.pend(device, capf.AuthByNullString)
	if err := c.Reset(c.t.Context(), device); err != nil {
		c.t.Fatal(err)
	}
	if found := c.phone(device); !found.HasValidLSC(c.Now()) {
		c.t.Fatalf("%s has no LSC: %+v", device, found.Last)
	}
	c.wasReset()
}

func (c *trial) check(what string, got, want any) {
	c.t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		c.t.Errorf("%s: %v, want %v", what, got, want)
	}
}

const deviceA, deviceB, deviceC, deviceD = "SEP0011223344AA", "SEP0011223344AB", "SEP0011223344AC", "SEP0011223344AD"
