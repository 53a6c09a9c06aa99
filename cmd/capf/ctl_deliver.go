package main

import (
	"context"
	"strings"
	"time"

	"github.com/hashicorp/go-multierror"

	"capf/ctl/distribute"
	"capf/internal/plain"
	"capf/runtime/capf"
	"capf/runtime/store/sqlite"
)

// delivering keeps what became of each node as soon as it is known. What a run did before it was killed is then known
// to the next one, and to `ctl build`, which follows the list that phones may hold.
type delivering struct {
	app      *app
	store    *sqlite.Store
	version  int64
	removed  []string // nodes that the store no longer has
	problems *multierror.Error
}

// lists is told that a node is about to get a list: from then on its services are to be restarted, also where nobody comes
// to say so.
func (d *delivering) lists(ctx context.Context, node string) error {
	err := d.store.OweRestart(ctx, node, d.version)
	if capf.HasCode(err, capf.CodeNotFound) {
		return nil // see ends
	}
	return err
}

// ends is told what became of a node.
func (d *delivering) ends(result distribute.Result) {
	delivery := capf.Delivery{Node: result.Node, Version: d.version, Outcome: string(result.Outcome), Detail: result.Error, At: time.Now().UTC()}
	// Also when it was interrupted: what was done is to be known the next time.
	err := d.store.RecordDelivery(context.WithoutCancel(d.app.ctx), delivery)
	switch {
	case capf.HasCode(err, capf.CodeNotFound):
		d.removed = append(d.removed, plain.Line(result.Node))
	case err != nil:
		d.problems = multierror.Append(d.problems, err)
	}
}

// close adds to the outcome of the run what could not be recorded.
func (d *delivering) close(outcome error) error {
	if len(d.removed) > 0 {
		d.app.say("removed from the store meanwhile, so that what they got is not recorded: %s", strings.Join(d.removed, ", "))
	}
	if d.problems.ErrorOrNil() == nil {
		return outcome
	}
	return multierror.Append(d.problems, outcome).ErrorOrNil()
}
