package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/hashicorp/go-multierror"

	"capf/internal/plain"
	"capf/runtime/capf"
	"capf/runtime/daemon"
	"capf/runtime/reset"
	"capf/runtime/store/sqlite"
)

// What became of a phone that was to be reset.
const (
	outcomeReset  = "reset"
	outcomeFailed = "failed"
)

type phoneResetCommand struct {
	Devices []string `arg:"" name:"device" help:"Devices."`
}

// Run resets the phones one after the other. Where not all could be, each that was not is named, and the
// exit status is 3, or 1 where none was.
func (c *phoneResetCommand) Run(app *app) error {
	resetter, err := app.resetter()
	if err != nil {
		return err
	}
	devices, err := parseDevices(c.Devices)
	if err != nil {
		return err
	}
	devices = slices.Compact(slices.Sorted(slices.Values(devices)))
	return app.withStore(func(store *sqlite.Store) error {
		phones, err := allPhones(app, store, devices)
		if err != nil {
			return err
		}
		held, err := heldBack(app, store, phones)
		if err != nil {
			return err
		}
		if len(held.devices) > 0 {
			app.say("warning: %s: the maintenance window is closed until %s, so that they will be told that nothing is pending",
				plain.CountedAs(len(held.devices), "phone has", "phones have")+" to wait", capf.FormatTime(held.until))
		}
		run := &resetRun{app: app, store: store, outcomes: make(map[string]string)}
		failure := run.reset(resetter, devices)
		list := app.list("device", "outcome")
		for _, device := range devices {
			list.add(device, run.outcomes[device])
		}
		return join(failure, list.close())
	})
}

// join is errors.Join, but leaves a single error as it is.
func join(first, second error) error {
	if second == nil {
		return first
	}
	return errors.Join(first, second)
}

// resetter gives what resets phones, by the configuration.
func (a *app) resetter() (*reset.Resetter, error) {
	settings, err := a.settings()
	if err != nil {
		return nil, err
	}
	resetter, err := daemon.NewResetter(settings.Reset)
	if err == nil && resetter == nil {
		err = &capf.Error{Code: capf.CodeInvalid, Message: "phones cannot be reset from here: the configuration has no [reset]",
			Hint: "name a command or a URL there (`[reset] command = [\"PROGRAM\", \"" + reset.Placeholder + "\"]`) and give the file with --config, or reset them in the CallManager"}
	}
	return resetter, err
}

// allPhones gives the phones by those names, or an error for each that is not in the store.
func allPhones(app *app, store *sqlite.Store, devices []string) ([]capf.Phone, error) {
	var failures *multierror.Error
	phones := make([]capf.Phone, 0, len(devices))
	for _, device := range devices {
		phone, err := store.Phone(app.ctx, device)
		failures = multierror.Append(failures, err)
		phones = append(phones, phone)
	}
	return phones, failures.ErrorOrNil()
}

// waiting are phones that the maintenance window holds back, and when it opens.
type waiting struct {
	devices []string
	until   time.Time
}

func heldBack(app *app, store *sqlite.Store, phones []capf.Phone) (waiting, error) {
	parameters, err := store.Parameters(app.ctx)
	if err != nil {
		return waiting{}, err
	}
	window, err := parameters.Window()
	if err != nil {
		return waiting{}, err
	}
	at, err := store.Moment()
	if err != nil {
		return waiting{}, err
	}
	next, _ := window.Next(at.Now)
	held := waiting{until: next.From}
	for i := range phones {
		if phones[i].IsHeldBack(window, at.Now, parameters) {
			held.devices = append(held.devices, phones[i].Device)
		}
	}
	return held, nil
}

// resetRun resets phones, and records what came of it a few at a time, so that little is lost where it is
// cut short.
type resetRun struct {
	app      *app
	store    *sqlite.Store
	outcomes map[string]string // by device: reset or failed
	pending  []capf.Reset
	problem  error // with the record
}

// reset gives an error for each phone that was not reset.
func (r *resetRun) reset(resetter *reset.Resetter, devices []string) error {
	progress := r.app.newProgress("phones reset")
	defer progress.done()
	by := actor()
	failure := resetter.Reset(r.app.ctx, devices, func(device string, err error) {
		one := capf.Reset{Device: device, At: time.Now().UTC().Truncate(time.Second), By: by}
		r.outcomes[device] = outcomeReset
		if err != nil {
			one.Problem, r.outcomes[device] = err.Error(), outcomeFailed
		}
		const together = 50
		if r.pending = append(r.pending, one); len(r.pending) >= together {
			r.record()
		}
		progress.set(len(r.outcomes), len(devices))
	})
	r.record()
	return join(inPart(failure, len(devices)), r.problem)
}

// record writes what is not on disk yet, also where the command is interrupted.
func (r *resetRun) record() {
	if len(r.pending) == 0 || r.problem != nil {
		return
	}
	r.problem = r.store.RecordResets(context.WithoutCancel(r.app.ctx), r.pending)
	r.pending = r.pending[:0]
}

// inPart gives the failures of some of so many the status of work that is done in part.
func inPart(err error, all int) error {
	failures := lines(err)
	if err == nil || len(failures) >= all {
		return err
	}
	var part *multierror.Error
	for _, one := range failures {
		part = multierror.Append(part, &capf.Error{Code: capf.CodePart, Message: one.Error()})
	}
	return part
}
