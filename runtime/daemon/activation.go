package daemon

import (
	"context"
	"time"

	"capf/runtime/ca"
	"capf/runtime/capf"
)

const activationEvery = time.Minute

// followActivations completes, at the start and while the service runs, what a `capf ca activate` has left that was
// cut off when its certificate was in force already: until then the audit trail does not say so.
func (d *Daemon) followActivations(ctx context.Context) error {
	completed := ""
	return every(ctx, activationEvery, func(ctx context.Context) {
		if present := capf.HexSHA256(d.identity.Certificate().Raw); present != completed && d.completeActivation(ctx) {
			completed = present
		}
	})
}

// completeActivation reports whether nothing is left to do. While a command is at it, that is for the command.
func (d *Daemon) completeActivation(ctx context.Context) bool {
	succession := ca.Succession{Directory: d.options.Data, Environment: d.options.Environment, Keeper: d.store}
	needed, err := succession.Finish(ctx)
	switch {
	case err == nil && needed:
		d.options.Log.Info("an activation of the CAPF certificate had been cut off, and is complete and on record now", "name", d.identity.Authority().Name())
	case err != nil && ctx.Err() == nil && !capf.HasCode(err, capf.CodeBusy):
		d.options.Log.Error("what `capf ca activate` may have left could not be seen to; the next try is in a minute", "error", err)
	}
	return err == nil
}
