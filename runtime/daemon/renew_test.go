package daemon

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"capf/runtime/capf"
)

// An LSC that ends with the CAPF certificate is not renewed: the next one would end with it too, and be due
// again and again. The log says what to do.
func TestNoRenewalAtTheEndOfTheIssuer(t *testing.T) {
	c := newTrial(t)
	c.set(capf.ParamValidity, "30d")
	c.enrol(deviceA)
	ends := c.phone(deviceA).LSC.NotAfter
	c.upkeep.issuerEnds = func() time.Time { return ends }
	c.set(capf.ParamRenewal, capf.RenewalOn)
	c.at(time.Date(2026, 3, 28, 2, 0, 0, 0, time.Local))
	c.step()
	if said := c.said(); !strings.Contains(said, "capf ca renew") || !strings.Contains(said, deviceA) {
		t.Errorf("the log says %s", said)
	}
	c.check("its last operation", c.phone(deviceA).Last.CreatedBy, "tester")

	c.upkeep.issuerEnds = func() time.Time { return ends.Add(time.Hour) }
	c.at(time.Date(2026, 3, 29, 2, 0, 0, 0, time.Local))
	c.step()
	c.check("with an issuer that lives longer", c.phone(deviceA).Last.CreatedBy, capf.ActorRenewal)
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
	if err := every(ctx, time.Hour, c.upkeep.run); err != nil {
		t.Error(err)
	}
}

type brokenParameters struct{ upkeepStore }

func (brokenParameters) Parameters(context.Context) (capf.Parameters, error) {
	return capf.Parameters{capf.ParamWindow: "nonsense"}, nil
}
