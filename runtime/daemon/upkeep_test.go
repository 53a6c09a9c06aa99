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
	"strings"
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
	upkeep *upkeep
	config func(device string) phone.Config

	mu      sync.Mutex
	now     time.Time
	log     bytes.Buffer
	flashes map[string]phone.Flash
	resets  []string // devices, in order
	broken  map[string]bool
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
	if c.store, err = sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "capf.db"), Create: true, Clock: c.Now}); err != nil {
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
		Settings: session.Settings{MinTLS: tls.VersionTLS10, MaxSessions: 100, MaxWaiting: 100, HandshakeTimeout: 20 * time.Second, MessageTimeout: 20 * time.Second}})
	c.config = func(device string) phone.Config {
		return phone.Config{Device: device, Server: address, Timeout: 20 * time.Second, VerifyServer: phone.AnyServer}
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

// A5; Rules of ours, "A window": what was held back in the day is reset when it opens, once, and then served.
func TestResetsWhenTheWindowOpens(t *testing.T) {
	c := newTrial(t)
	c.set(capf.ParamWindow, "22:00-05:00 UTC")
	c.pend(deviceA, capf.AuthByNullString)
	c.pend(deviceB, capf.AuthByString) // a person will come
	c.pend(deviceC, capf.AuthByLSC)    // has no certificate: it will fail, and not be reset twice for it
	encrypted := capf.Encrypted
	c.pend(deviceD, capf.AuthByNullString)
	c.change(capf.PhoneChange{Device: deviceD, SecurityMode: &encrypted}) // goes at any time
	if err := c.Reset(t.Context(), deviceA); err != nil {
		t.Fatal(err)
	}
	call, err := c.store.LastHeldCall(t.Context(), deviceA)
	if err != nil || call == nil || !call.Opens.Equal(noonOfTrial.Add(10*time.Hour)) {
		t.Errorf("the held call is %+v, %v", call, err)
	}
	c.wasReset()
	c.step()
	c.check("reset while it is closed", c.wasReset(), []string(nil))

	c.at(noonOfTrial.Add(10 * time.Hour))
	c.pend(deviceB+"X", capf.AuthByNullString) // set in the open window: for the person to reset
	c.step()
	c.check("reset when it opens", c.wasReset(), []string{deviceA, deviceC})
	found := c.phone(deviceA)
	c.check("status", found.Last.Ending, capf.EndingSuccess)
	last, err := c.store.LastReset(t.Context(), deviceC)
	if err != nil || last == nil || last.By != capf.ActorWindow || last.Problem != "" || !last.At.Equal(c.Now()) {
		t.Errorf("the reset of %s is on record as %+v, %v", deviceC, last, err)
	}
	c.at(noonOfTrial.Add(11 * time.Hour))
	c.step()
	c.upkeep.reset = time.Time{} // a service that was started anew
	c.step()
	c.check("reset again in the same night", c.wasReset(), []string(nil))

	c.at(noonOfTrial.Add(34 * time.Hour))
	c.step()
	c.check("reset in the next night", c.wasReset(), []string{deviceB + "X", deviceC})
}

// Failures are on record and said; they do not keep the others from their turn, and are tried again after a
// restart.
func TestResetsThatFail(t *testing.T) {
	c := newTrial(t)
	c.set(capf.ParamWindow, "22:00-05:00 UTC")
	c.pend(deviceA, capf.AuthByNullString)
	c.pend(deviceB, capf.AuthByNullString)
	c.broken[deviceA] = true
	c.at(noonOfTrial.Add(10 * time.Hour))
	c.step()
	c.check("reset", c.wasReset(), []string{deviceA, deviceB})
	if said := c.said(); !strings.Contains(said, deviceA) || !strings.Contains(said, "no such phone") || !strings.Contains(said, "phones=1 failed=1") {
		t.Errorf("the log says %s", said)
	}
	if last, err := c.store.LastReset(t.Context(), deviceA); err != nil || last == nil || !strings.Contains(last.Problem, "no such phone") {
		t.Errorf("on record is %+v, %v", last, err)
	}
	c.upkeep.reset, c.broken = time.Time{}, nil
	c.step()
	c.check("reset after a restart", c.wasReset(), []string{deviceA})
}

// Without [reset] the administrator is told, once in each opening.
func TestResetsWithoutAWay(t *testing.T) {
	c := newTrial(t)
	c.upkeep.resetter = nil
	c.set(capf.ParamWindow, "22:00-05:00 UTC")
	for i := range 7 {
		c.pend(fmt.Sprintf("SEP00112233440%d", i), capf.AuthByNullString)
	}
	c.at(noonOfTrial.Add(10 * time.Hour))
	c.step()
	if said := c.said(); !strings.Contains(said, "phones=7") || !strings.Contains(said, "[reset]") || strings.Contains(said, "SEP001122334405") ||
		!strings.Contains(said, "SEP001122334404") || strings.Count(said, "\n") != 1 {
		t.Errorf("the log says %s", said)
	}
	c.step()
	c.check("said again", c.said(), "")
}

// The service stops, as the window closes, before all have had their turn: what was done is on record, and
// the rest has its turn the next time.
func TestResetsAreCutShort(t *testing.T) {
	c := newTrial(t)
	c.set(capf.ParamWindow, "22:00-05:00 UTC")
	for i := range 5 {
		c.pend(fmt.Sprintf("SEP00112233440%d", i), capf.AuthByNullString)
	}
	c.at(noonOfTrial.Add(10 * time.Hour))
	ctx, stop := context.WithCancel(t.Context())
	way := c.upkeep.resetter
	c.upkeep.resetter = reset.New(stoppingWay{c, stop}, 0.001, time.Minute) // the next would be in a quarter of an hour
	_ = c.upkeep.step(ctx)
	first := c.wasReset()
	c.check("reset before the stop", first, []string{"SEP001122334400"})
	if last, err := c.store.LastReset(t.Context(), first[0]); err != nil || last == nil {
		t.Errorf("on record is %+v, %v", last, err)
	}
	if last, err := c.store.LastReset(t.Context(), "SEP001122334401"); err != nil || last != nil {
		t.Errorf("what was not tried is on record as %+v, %v", last, err)
	}
	c.upkeep.resetter, c.upkeep.reset = way, time.Time{}
	c.step()
	want := []string{"SEP001122334401", "SEP001122334402", "SEP001122334403", "SEP001122334404"}
	if got := c.wasReset(); !slices.Equal(got, want) {
		t.Errorf("reset after that: %v", got)
	}
}

// stoppingWay stops the service with the first reset.
type stoppingWay struct {
	reset.Way
	stop func()
}

func (w stoppingWay) Reset(ctx context.Context, device string) error {
	defer w.stop()
	return w.Way.Reset(ctx, device)
}

// Automatic renewal: in the last third of its life the LSC is replaced in a night, by the null string where
// that is the phone's mode, else by the LSC that there is, and the one before is revoked; nobody was there.
func TestRenewal(t *testing.T) {
	c := newTrial(t)
	c.set(capf.ParamRenewal, capf.RenewalOn)
	c.set(capf.ParamWindow, "22:00-05:00 UTC")
	c.set(capf.ParamValidity, "30d")
	c.at(noonOfTrial.Add(10 * time.Hour)) // the window is open
	for _, device := range []string{deviceA, deviceB, deviceC, deviceD} {
		c.enrol(device)
	}
	byString, byLSC := capf.AuthByString, capf.AuthByLSC
	c.change(capf.PhoneChange{Device: deviceB, AuthMode: &byLSC})
	c.change(capf.PhoneChange{Device: deviceC, AuthMode: &byString}) // as if enrolled by string
	c.change(capf.PhoneChange{Device: deviceD, AuthMode: &byString})
	before := map[string]string{}
	for _, device := range []string{deviceA, deviceB, deviceC} {
		before[device] = c.phone(device).LSC.Serial
	}
	c.step()
	c.check("on the first day", c.wasReset(), []string(nil))
	c.at(c.Now().AddDate(0, 0, 19))
	c.step()
	c.check("before two thirds are over", c.wasReset(), []string(nil))

	c.pend(deviceD, capf.AuthByString) // pending: left alone
	var done []string
	for range 5 { // each has its turn once in five nights
		c.at(c.Now().AddDate(0, 0, 1))
		c.step()
		done = append(done, c.wasReset()...)
	}
	slices.Sort(done)
	c.check("renewed", done, []string{deviceA, deviceB, deviceC})
	for device, mode := range map[string]capf.AuthMode{deviceA: capf.AuthByNullString, deviceB: capf.AuthByLSC, deviceC: capf.AuthByLSC} {
		found := c.phone(device)
		if found.LSC.Serial == before[device] || found.Last.Ending != capf.EndingSuccess || found.Last.AuthMode != mode || found.Last.CreatedBy != capf.ActorRenewal {
			t.Errorf("%s: %+v, LSC %s", device, found.Last, found.LSC.Serial)
		}
	}
	left := c.phone(deviceD)
	c.check("what a person set", left.Last.CreatedBy, "tester")
	c.checkAudited(deviceA)
	if said := c.said(); !strings.Contains(said, "capfAuthMode 3") {
		t.Errorf("the log says %s", said)
	}
}

// checkAudited wants renewal and reset in the audit trail, under names that are no person's.
func (c *trial) checkAudited(device string) {
	c.t.Helper()
	entries, err := c.store.Audit(c.t.Context(), 0)
	if err != nil {
		c.t.Fatal(err)
	}
	var found []string
	for _, entry := range entries {
		if entry.Subject == device && entry.Actor != "tester" {
			found = append(found, entry.Actor+": "+entry.Action)
		}
	}
	c.check("audited", found, []string{capf.ActorWindow + ": phone reset", capf.ActorRenewal + ": phone set"})
}

// Off by default; without a window at night; and phones that would need a person are named.
func TestRenewalThatNeedsAPerson(t *testing.T) {
	c := newTrial(t)
	c.set(capf.ParamValidity, "3d")
	c.enrol(deviceA)
	byString := capf.AuthByString
	c.change(capf.PhoneChange{Device: deviceA, AuthMode: &byString})
	local := func(days, hour int) time.Time {
		return time.Date(2026, 3, 1+days, hour, 0, 0, 0, time.Local)
	}
	c.at(local(4, 2)) // the LSC has ended
	c.step()
	c.check("off by default", c.said(), "")
	c.set(capf.ParamRenewal, capf.RenewalOn)
	c.at(local(4, 12))
	c.step()
	c.check("by day", c.said(), "")
	c.at(local(5, 2))
	c.step()
	said := c.said()
	if !strings.Contains(said, "without a person") || !strings.Contains(said, "phones=1") || !strings.Contains(said, deviceA+": its LSC cannot authenticate it") {
		t.Errorf("the log says %s", said)
	}
	found := c.phone(deviceA)
	c.check("its last operation", found.Last.CreatedBy, "tester")
	c.check("resets", c.wasReset(), []string(nil))
	c.step()
	c.check("said again in the same night", c.said(), "")
}

// A parameter that nobody could set is an error and no panic.
func TestUpkeepWithAWindowThatCannotBeRead(t *testing.T) {
	c := newTrial(t)
	c.upkeep.store = brokenParameters{c.store}
	if err := c.upkeep.step(t.Context()); !capf.HasCode(err, capf.CodeInvalid) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.upkeep.run(ctx); err != nil {
		t.Error(err)
	}
}

type brokenParameters struct{ upkeepStore }

func (brokenParameters) Parameters(context.Context) (capf.Parameters, error) {
	return capf.Parameters{capf.ParamWindow: "nonsense"}, nil
}
