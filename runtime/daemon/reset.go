package daemon

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"capf/runtime/capf"
	"capf/runtime/config"
	"capf/runtime/reset"
)

// NewResetter makes of the configuration what resets phones; nil where nothing is configured.
func NewResetter(settings config.Reset) (*reset.Resetter, error) {
	if !settings.IsSet() {
		return nil, nil
	}
	var way reset.Way = reset.Command(settings.Command)
	if settings.URL != "" {
		request, err := reset.NewRequest(settings.URL, string(settings.Authorization))
		if err != nil {
			return nil, &capf.Error{Code: capf.CodeInvalid, Message: "configuration: reset.url", Err: err}
		}
		way = request
	}
	return reset.New(way, settings.Rate, settings.Timeout.Duration), nil
}

const (
	resetsAtOnce = 50 // that are looked at again before, and recorded together after
	mostExamples = 5  // phones that a line of the log names
)

// findDue gives the phones that are to be reset now.
type findDue func(ctx context.Context, window capf.Window, opening capf.Opening) ([]string, error)

// resetDue has the phones reset for which that is due in an opening (guide, *Rules of ours*, "A window").
// What is not done when it closes waits for the next one.
func (u *upkeep) resetDue(ctx context.Context, find findDue, window capf.Window, opening capf.Opening) error {
	ctx, cancel := context.WithTimeout(ctx, opening.To.Sub(u.clock()))
	defer cancel()
	due, err := find(ctx, window, opening)
	if err != nil || len(due) == 0 {
		return err
	}
	if u.resetter == nil {
		u.log.Warn("phones have an operation pending and do not come by themselves: reset them before the time is over; with [reset] in the configuration the service does it",
			"phones", len(due), "until", capf.FormatTime(opening.To), "among-them", examples(due))
		return nil
	}
	u.log.Info("phones are reset, since operations are pending for them", "phones", len(due), "until", capf.FormatTime(opening.To))
	var round resetRound
	for len(due) > 0 && ctx.Err() == nil {
		count := min(resetsAtOnce, len(due))
		resets, err := u.resetSome(ctx, due[:count], window, opening)
		round.add(resets, &u.tries)
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			return err
		}
		due = due[count:]
	}
	round.tell(u.log, len(due))
	return nil
}

// resetRound is what came of the resets that were due together.
type resetRound struct {
	done, failed int
	givenUp      []string // devices that are not tried again in this opening
	last         string   // failure
}

func (r *resetRound) add(resets []capf.Reset, tries *resetTries) {
	for _, one := range resets {
		if one.Problem == "" {
			r.done++
			continue
		}
		r.failed++
		r.last = one.Problem
		if tries.failed[one.Device].next.IsZero() {
			r.givenUp = append(r.givenUp, one.Device)
		}
	}
}

func (r *resetRound) tell(log *slog.Logger, left int) {
	log.Info("phones were reset", "phones", r.done, "failed", r.failed, "left-for-the-next-time", left)
	if len(r.givenUp) > 0 {
		log.Warn("phones could not be reset, and are not tried again before the maintenance window opens the next time: see `capf phone show`",
			"phones", len(r.givenUp), "among-them", examples(r.givenUp), "last-failure", r.last)
	}
}

func examples(devices []string) []string { return devices[:min(len(devices), mostExamples)] }

// devicesDue gives the phones that are to be reset in an opening and have not been, save those that have failed and
// whose next try has not come.
func (u *upkeep) devicesDue(ctx context.Context, window capf.Window, opening capf.Opening) ([]string, error) {
	var due []string
	pending := capf.StatusPending // not in progress: those are at it
	err := u.store.Phones(ctx, capf.PhoneFilter{Status: &pending}, func(phone capf.Phone) error {
		is, err := u.isDue(ctx, &phone, window, opening)
		if is && u.tries.may(phone.Device, u.clock()) {
			due = append(due, phone.Device)
		}
		return err
	})
	return due, err
}

// failedBefore gives the phones whose reset has failed in this opening and whose next try has come.
func (u *upkeep) failedBefore(context.Context, capf.Window, capf.Opening) ([]string, error) {
	return u.tries.due(u.clock()), nil
}

func (u *upkeep) isDue(ctx context.Context, phone *capf.Phone, window capf.Window, opening capf.Opening) (bool, error) {
	if !phone.IsResetDue(window, opening, u.clock()) {
		return false, nil
	}
	last, err := u.store.LastReset(ctx, phone.Device)
	if err != nil {
		return false, err
	}
	wasReset := last != nil && last.Problem == "" && !last.At.Before(opening.From) && !last.At.Before(phone.Last.CreatedAt)
	return !wasReset, nil
}

// resetSome resets those of some phones that are still to be, and records it, also where it was interrupted:
// no phone is reset twice for the same.
func (u *upkeep) resetSome(ctx context.Context, devices []string, window capf.Window, opening capf.Opening) ([]capf.Reset, error) {
	due, err := u.stillDue(ctx, devices, window, opening)
	if err != nil {
		return nil, err
	}
	var resets []capf.Reset
	_ = u.resetter.Reset(ctx, due, func(device string, err error) { // each failure is told here
		if err != nil && ctx.Err() != nil {
			return // the time was over: it was not tried
		}
		resets = append(resets, u.noteReset(device, err))
	})
	u.unrecorded = append(u.unrecorded, resets...)
	return resets, u.recordRest(context.WithoutCancel(ctx))
}

// stillDue gives those of some phones for which a reset is due as they are now.
func (u *upkeep) stillDue(ctx context.Context, devices []string, window capf.Window, opening capf.Opening) (due []string, err error) {
	for _, device := range devices {
		phone, err := u.store.Phone(ctx, device)
		if capf.HasCode(err, capf.CodeNotFound) {
			u.tries.settle(device) // removed meanwhile
			continue
		}
		if err != nil {
			return nil, err
		}
		is, err := u.isDue(ctx, &phone, window, opening)
		if err != nil {
			return nil, err
		}
		if !is {
			u.tries.settle(device)
			continue
		}
		due = append(due, device)
	}
	return due, nil
}

// noteReset gives what is to be on record of a reset. The log has the first failure of each phone in an opening; the
// last one is on record.
func (u *upkeep) noteReset(device string, err error) capf.Reset {
	now := u.clock().UTC()
	one := capf.Reset{Device: device, At: now.Truncate(time.Second), By: capf.ActorWindow}
	if u.countReset != nil {
		u.countReset(err != nil)
	}
	if err == nil {
		u.tries.settle(device)
		return one
	}
	one.Problem = err.Error()
	if u.tries.fail(device, now) == 1 {
		u.log.Warn("a phone could not be reset", "device", device, "error", err, "next-try-after", resetAgain[0])
	}
	return one
}

// recordRest records the resets that are not on record yet. What the store does not take is kept for the next time:
// nothing is reset before it has.
func (u *upkeep) recordRest(ctx context.Context) error {
	if len(u.unrecorded) == 0 {
		return nil
	}
	err := u.store.RecordResets(ctx, u.unrecorded)
	if err == nil {
		u.unrecorded = nil
	}
	return err
}

// resetAgain is how long after a reset that failed the phone has its next one in the same opening: after the first,
// the second, the third. Then it waits for the next opening.
var resetAgain = []time.Duration{5 * time.Minute, 15 * time.Minute, 45 * time.Minute}

// resetTries are the resets that failed in an opening of the maintenance window.
type resetTries struct {
	opening time.Time // when it began
	failed  map[string]failedReset
}

// failedReset is a phone that was not reset.
type failedReset struct {
	times int
	next  time.Time // of the next try; zero: none in this opening
}

// begin forgets what was in another opening.
func (r *resetTries) begin(opening time.Time) {
	if !r.opening.Equal(opening) || r.failed == nil {
		*r = resetTries{opening: opening, failed: make(map[string]failedReset)}
	}
}

// fail notes one more failure of a device, and gives how many there were.
func (r *resetTries) fail(device string, now time.Time) (times int) {
	one := failedReset{times: r.failed[device].times + 1}
	if one.times <= len(resetAgain) {
		one.next = now.Add(resetAgain[one.times-1])
	}
	r.failed[device] = one
	return one.times
}

// settle forgets a device that was reset, or needs it no more.
func (r *resetTries) settle(device string) { delete(r.failed, device) }

// may reports whether it is a device's turn: it has not failed, or its next try has come.
func (r *resetTries) may(device string, now time.Time) bool {
	one, failed := r.failed[device]
	return !failed || !one.next.IsZero() && !now.Before(one.next)
}

// due gives the devices that have failed and whose next try has come, sorted.
func (r *resetTries) due(now time.Time) []string {
	var devices []string
	for _, device := range slices.Sorted(maps.Keys(r.failed)) {
		if r.may(device, now) {
			devices = append(devices, device)
		}
	}
	return devices
}
