package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"capf/runtime/capf"
	"capf/runtime/reset"
	"capf/runtime/session"
)

// upkeepStore is what upkeep asks and tells.
type upkeepStore interface {
	Parameters(ctx context.Context) (capf.Parameters, error)
	Phone(ctx context.Context, device string) (capf.Phone, error)
	Phones(ctx context.Context, filter capf.PhoneFilter, yield func(capf.Phone) error) error
	RenewalsDue(ctx context.Context, now time.Time, yield func(capf.Phone) error) error
	ApplyChanges(ctx context.Context, mode capf.ApplyMode, changes []capf.PhoneChange, change capf.ChangeContext) ([]capf.Changed, error)
	LastReset(ctx context.Context, device string) (*capf.Reset, error)
	RecordResets(ctx context.Context, resets []capf.Reset) error
}

// upkeep is what the service does by itself when the maintenance window opens, or at night where there is
// none: it schedules renewals and has phones reset.
type upkeep struct {
	store    upkeepStore
	trust    session.Trust
	resetter *reset.Resetter // nil: none is configured
	clock    func() time.Time
	log      *slog.Logger
	// issuerEnds gives the end of the CAPF certificate, past which no LSC reaches; nil: not looked at.
	issuerEnds func() time.Time

	// countReset counts what became of a reset; nil: nobody does.
	countReset func(failed bool)

	renewed, reset time.Time // the openings whose work is done, by when they began
	tries          resetTries
	unrecorded     []capf.Reset // that the store did not take
}

const upkeepEvery = time.Minute

func (d *Daemon) newUpkeep() *upkeep {
	return &upkeep{store: d.store, trust: d.server.Trust, resetter: d.resetter, clock: d.options.Environment.Clock, log: d.options.Log,
		issuerEnds: func() time.Time { return d.identity.Authority().Certificate.NotAfter }, countReset: d.metrics.PhoneReset}
}

// run is a step whose failure is told.
func (u *upkeep) run(ctx context.Context) {
	if err := u.step(ctx); err != nil && ctx.Err() == nil {
		u.log.Error("renewals and resets could not be seen to; the next try is in a minute", "error", err)
	}
}

// step does, once in each opening, what belongs into it, and later in it tries again what failed.
func (u *upkeep) step(ctx context.Context) error {
	if err := u.recordRest(ctx); err != nil {
		return err
	}
	parameters, err := u.store.Parameters(ctx)
	if err != nil {
		return err
	}
	window, err := parameters.Window()
	if err != nil {
		return err
	}
	dark := capf.RenewalWindow(window)
	opening, open := dark.At(u.clock())
	if !open {
		return nil
	}
	if parameters.Renews() && !u.renewed.Equal(opening.From) {
		scheduled, err := u.renew(ctx, dark, opening)
		if err != nil {
			return err
		}
		u.renewed = opening.From
		if scheduled > 0 {
			u.reset = time.Time{} // also where it was turned on in the middle
		}
	}
	u.tries.begin(opening.From)
	due := u.failedBefore
	if !u.reset.Equal(opening.From) {
		due = u.devicesDue
	}
	if err := u.resetDue(ctx, due, window, opening); err != nil {
		return err
	}
	u.reset = opening.From
	return nil
}

// renewals are what is to be done in one opening.
type renewals struct {
	changes []capf.PhoneChange
	byLSC   int      // of them that were enrolled by string
	stuck   int      // phones that cannot be renewed without a person
	why     []string // of a few of them
}

// renew schedules the installations whose turn it is, and gives their number. Phones that would need a
// person at the keys are named instead.
func (u *upkeep) renew(ctx context.Context, window capf.Window, opening capf.Opening) (scheduled int, err error) {
	found, err := u.findRenewals(ctx, window, opening)
	if err != nil {
		return 0, err
	}
	if found.stuck > 0 {
		u.log.Warn("LSCs are in the last third of their life and cannot be renewed without a person: set an installation for these phones",
			"phones", found.stuck, "among-them", found.why)
	}
	const atOnce = 200
	for changes := found.changes; len(changes) > 0; {
		count := min(atOnce, len(changes))
		done, err := u.schedule(ctx, changes[:count])
		if err != nil {
			return scheduled, err
		}
		scheduled += done
		changes = changes[count:]
	}
	if scheduled > 0 {
		u.log.Info("renewals of LSCs were scheduled", "phones", scheduled)
	}
	if found.byLSC > 0 {
		u.log.Info("phones that were enrolled by authentication string renew by existing certificate: their configuration files must say so (capfAuthMode 3)",
			"phones", found.byLSC)
	}
	return scheduled, nil
}

var errEndsWithIssuer = errors.New("its LSC ends with the CAPF certificate, and so would another: make a successor with `capf ca renew`")

func (u *upkeep) findRenewals(ctx context.Context, window capf.Window, opening capf.Opening) (renewals, error) {
	anchors, err := u.trust.Anchors(ctx, capf.LSC)
	if err != nil {
		return renewals{}, err
	}
	var found renewals
	err = u.store.RenewalsDue(ctx, opening.From, func(phone capf.Phone) error {
		if !phone.IsRenewalTime(window, opening) {
			return nil
		}
		change, err := phone.Renewal(anchors, u.clock())
		if u.issuerEnds != nil && !phone.LSC.NotAfter.Before(u.issuerEnds()) {
			// It would end when this one does, and be due again and again.
			err = errEndsWithIssuer
		}
		if err != nil {
			if found.stuck++; found.stuck <= mostExamples {
				found.why = append(found.why, fmt.Sprintf("%s: %v", phone.Device, err))
			}
			return nil
		}
		if phone.AuthMode == capf.AuthByString {
			found.byLSC++
		}
		found.changes = append(found.changes, change)
		return nil
	})
	return found, err
}

// schedule applies changes together, and where one of them cannot be, each by itself.
func (u *upkeep) schedule(ctx context.Context, changes []capf.PhoneChange) (scheduled int, err error) {
	changed, err := u.store.ApplyChanges(ctx, capf.ApplySet, changes, capf.ChangeContext{Actor: capf.ActorRenewal, Now: u.clock()})
	if err != nil && len(changes) == 1 {
		u.log.Warn("a renewal could not be scheduled", "device", changes[0].Device, "error", err)
		return 0, ctx.Err()
	}
	if err != nil {
		for i := range changes {
			done, err := u.schedule(ctx, changes[i:i+1])
			if err != nil {
				return scheduled, err
			}
			scheduled += done
		}
		return scheduled, nil
	}
	for _, one := range changed {
		if one.Effect == capf.EffectNew {
			scheduled++
		}
	}
	return scheduled, nil
}
