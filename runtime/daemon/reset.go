package daemon

import (
	"context"
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

// resetDue has the phones reset for which that is due in an opening (guide, *Rules of ours*, "A window").
// What is not done when it closes waits for the next one.
func (u *upkeep) resetDue(ctx context.Context, window capf.Window, opening capf.Opening) error {
	ctx, cancel := context.WithTimeout(ctx, opening.To.Sub(u.clock()))
	defer cancel()
	due, err := u.devicesDue(ctx, window, opening)
	if err != nil || len(due) == 0 {
		return err
	}
	if u.resetter == nil {
		u.log.Warn("phones have an operation pending and do not come by themselves: reset them before the time is over; with [reset] in the configuration the service does it",
			"phones", len(due), "until", capf.FormatTime(opening.To), "among-them", examples(due))
		return nil
	}
	u.log.Info("phones are reset, since operations are pending for them", "phones", len(due), "until", capf.FormatTime(opening.To))
	done, failed := 0, 0
	for len(due) > 0 && ctx.Err() == nil {
		count := min(resetsAtOnce, len(due))
		resets, err := u.resetSome(ctx, due[:count], window, opening)
		for _, one := range resets {
			if done++; one.Problem != "" {
				failed++
			}
		}
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			return err
		}
		due = due[count:]
	}
	u.log.Info("phones were reset", "phones", done-failed, "failed", failed, "left-for-the-next-time", len(due))
	return nil
}

func examples(devices []string) []string { return devices[:min(len(devices), mostExamples)] }

// devicesDue gives the phones that are to be reset in an opening and have not been.
func (u *upkeep) devicesDue(ctx context.Context, window capf.Window, opening capf.Opening) ([]string, error) {
	var due []string
	pending := capf.StatusPending // not in progress: those are at it
	err := u.store.Phones(ctx, capf.PhoneFilter{Status: &pending}, func(phone capf.Phone) error {
		is, err := u.isDue(ctx, &phone, window, opening)
		if is {
			due = append(due, phone.Device)
		}
		return err
	})
	return due, err
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
	var due []string
	for _, device := range devices {
		phone, err := u.store.Phone(ctx, device)
		if capf.HasCode(err, capf.CodeNotFound) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		is, err := u.isDue(ctx, &phone, window, opening)
		if err != nil {
			return nil, err
		}
		if is {
			due = append(due, device)
		}
	}
	var resets []capf.Reset
	_ = u.resetter.Reset(ctx, due, func(device string, err error) { // each failure is told here
		if err != nil && ctx.Err() != nil {
			return // the time was over: it was not tried
		}
		one := capf.Reset{Device: device, At: u.clock().UTC().Truncate(time.Second), By: capf.ActorWindow}
		if err != nil {
			one.Problem = err.Error()
			u.log.Warn("a phone could not be reset", "device", device, "error", err)
		}
		resets = append(resets, one)
	})
	if len(resets) == 0 {
		return nil, nil
	}
	return resets, u.store.RecordResets(context.WithoutCancel(ctx), resets)
}
