package daemon

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"capf/runtime/capf"
	"capf/runtime/reset"
)

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
	c.upkeep.reset, c.upkeep.tries, c.broken = time.Time{}, resetTries{}, nil
	c.step()
	c.check("reset after a restart", c.wasReset(), []string{deviceA})
}

// A reset that failed is tried again in the same opening: after 5, 15 and 45 minutes, and then no more; the
// administrator is told at the first failure and at the last. The next night it begins anew.
func TestResetsAreTriedAgain(t *testing.T) {
	c := newTrial(t)
	c.set(capf.ParamWindow, "22:00-05:00 UTC")
	c.pend(deviceA, capf.AuthByNullString)
	c.broken[deviceA] = true
	counted := map[bool]int{}
	c.upkeep.countReset = func(failed bool) { counted[failed]++ }
	var minutes []int
	for minute := range 7 * 60 {
		c.at(noonOfTrial.Add(10*time.Hour + time.Duration(minute)*time.Minute))
		if minute == 10 || minute == 100 {
			c.upkeep.reset = time.Time{} // as when renewals are scheduled in the middle: all are looked at again
		}
		if c.step(); len(c.wasReset()) > 0 {
			minutes = append(minutes, minute)
		}
	}
	c.check("resets after so many minutes", minutes, []int{0, 5, 20, 65})
	c.check("failures counted", counted, map[bool]int{true: 4})
	said := c.said()
	if strings.Count(said, "a phone could not be reset") != 1 || strings.Count(said, "not tried again before") != 1 ||
		!strings.Contains(said, "among-them=["+deviceA+"]") || !strings.Contains(said, "last-failure=") {
		t.Errorf("the log says %s", said)
	}
	last, err := c.store.LastReset(t.Context(), deviceA)
	if err != nil || last == nil || !strings.Contains(last.Problem, "no such phone") || !last.At.Equal(noonOfTrial.Add(11*time.Hour+5*time.Minute)) {
		t.Errorf("on record is %+v, %v", last, err)
	}

	c.at(noonOfTrial.Add(34 * time.Hour))
	c.step()
	c.check("reset in the next night", c.wasReset(), []string{deviceA})
	c.broken = nil
	c.at(noonOfTrial.Add(34*time.Hour + 5*time.Minute))
	c.step()
	c.check("tried again", c.wasReset(), []string{deviceA})
	c.check("status", c.phone(deviceA).Last.Ending, capf.EndingSuccess)
	c.check("failures that are remembered", len(c.upkeep.tries.failed), 0)
}

// Between its tries a phone that needs no reset any more is let be: it has come by itself, was withdrawn or removed.
func TestResetsThatAreNeededNoMore(t *testing.T) {
	c := newTrial(t)
	c.set(capf.ParamWindow, "22:00-05:00 UTC")
	for _, device := range []string{deviceA, deviceB, deviceC} {
		c.pend(device, capf.AuthByNullString)
		c.broken[device] = true
	}
	c.at(noonOfTrial.Add(10 * time.Hour))
	c.step()
	c.wasReset()
	c.broken = nil
	if err := c.Reset(t.Context(), deviceA); err != nil {
		t.Fatal(err)
	}
	none := capf.OperationNone
	c.change(capf.PhoneChange{Device: deviceB, Operation: &none})
	if err := c.store.RemovePhones(t.Context(), []string{deviceC}, "tester"); err != nil {
		t.Fatal(err)
	}
	c.wasReset()
	c.at(noonOfTrial.Add(10*time.Hour + 5*time.Minute))
	c.step()
	c.check("reset again", c.wasReset(), []string(nil))
	c.check("failures that are remembered", len(c.upkeep.tries.failed), 0)
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
