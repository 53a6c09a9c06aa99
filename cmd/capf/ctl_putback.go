package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/go-multierror"

	"capf/ctl"
	"capf/ctl/distribute"
	"capf/runtime/capf"
)

// putBack asks what phones hold and all nodes first, then makes the older list the newest. Its time is before that of
// the list that they hold, which does not count: what counts for phones is who signed (ctl-format.md, "Rules").
func (d *distribution) putBack(options distribute.Options) error {
	refusals := multierror.Append(nil, d.checkField())
	var failures *multierror.Error
	results := d.do(options, true)
	for _, result := range results {
		if result.Outcome == distribute.Refused {
			refusals = multierror.Append(refusals, d.notPutBack(result.Err, ""))
		}
		if result.Err != nil {
			failures = multierror.Append(failures, d.notPutBack(result.Err, "bring one of the nodes back first"))
		}
	}
	if refusals.ErrorOrNil() != nil {
		return refusals
	}
	if failures != nil && len(failures.Errors) == len(results) {
		return failures // it would be the newest, also for phones that ask the service, and nobody was asked
	}
	again := d.list
	again.AddedAt = time.Time{}
	version, err := d.store.AddCTL(d.app.ctx, again, actor())
	if err != nil {
		return err
	}
	d.app.say("version %d is put back, as version %d; it is older than what phones may hold: see that one phone takes it before you reset the others",
		d.list.Version, version)
	d.list.Version, d.back = version, false
	return nil
}

// tryOut says what would be done, and changes nothing.
func (d *distribution) tryOut(options distribute.Options) error {
	var refusals *multierror.Error
	if d.back {
		refusals = multierror.Append(refusals, d.checkField())
	}
	return multierror.Append(refusals, d.print(d.do(options, true))).ErrorOrNil()
}

func (d *distribution) notPutBack(cause error, hint string) error {
	return &capf.Error{Code: capf.CodeRefused, Message: fmt.Sprintf("version %d is not put back", d.list.Version), Err: cause, Hint: hint}
}

// checkField says what phones will do with an older list: those that hold the newest that was distributed, whatever the
// nodes hold by now. A node that has lost its list, or is not reached, must not hide that.
func (d *distribution) checkField() error {
	field, err := d.store.FieldCTL(d.app.ctx)
	if err != nil || field.SHA256 == d.list.SHA256 || field.Origin == capf.CTLBuilt && field.DistributedAt.IsZero() {
		return err // they hold it already, or none
	}
	err = ctl.VerifySuccession(d.list.File, field.File)
	switch {
	case err == nil, errors.Is(err, ctl.ErrOlder):
		d.app.say("phones that hold version %d take version %d by its signature: a token of theirs made it", field.Version, d.list.Version)
		return nil
	case d.command.StartOver && errors.Is(err, ctl.ErrNotSuccessor):
		d.app.say("phones that hold version %d do not take version %d, and must be reset by hand: %v", field.Version, d.list.Version, err)
		return nil
	}
	return d.notPutBack(fmt.Errorf("phones may hold version %d: %w", field.Version, err),
		"build a new list with what the older one had (`capf ctl build`), or start over (--start-over), after which those phones need theirs erased by hand")
}
