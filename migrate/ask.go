package migrate

import (
	"context"
	"fmt"
	"slices"

	"capf/internal/plain"
)

// askOpen has Options.Ask decide the conflicts that are open, one after the other. What is answered counts as
// decisions, so the run gets another key: it may have been applied already.
func (p *planner) askOpen(ctx context.Context) error {
	if p.options.Ask == nil {
		return nil
	}
	open := 0
	for i := range p.outcomes {
		if p.isAskable(i) {
			open++
		}
	}
	if open == 0 {
		return nil
	}
	number := 0
	for i := range p.outcomes {
		if !p.isAskable(i) {
			continue
		}
		number++
		if err := p.ask(ctx, i, number, open); err != nil {
			return err
		}
	}
	p.key = p.sources.key(p.publisher)
	var err error
	p.applied, err = p.store.AppliedRun(ctx, p.key)
	return err
}

// isAskable tells that a conflict is open and has a version that can be chosen.
func (p *planner) isAskable(at int) bool {
	if !p.isConflict(at) || !p.outcomes[at].open() {
		return false
	}
	conflict := p.conflict(at)
	return len(conflict.choices()) > 0
}

// ask decides one conflict, or leaves it open. An answer that cannot be is asked for again, with the reason.
func (p *planner) ask(ctx context.Context, at, number, of int) error {
	for p.isAskable(at) {
		if err := ctx.Err(); err != nil {
			return err
		}
		conflict := p.conflict(at)
		choice, err := p.options.Ask(conflict, number, of)
		if err != nil || choice == "" {
			return err
		}
		if !slices.Contains(conflict.choices(), choice) {
			return fmt.Errorf("%s: %q is none of the versions", conflict.Device, plain.Clip(choice))
		}
		p.options.Decisions = p.options.Decisions.with(conflict.Device, choice)
		p.outcomes[at] = p.settle(p.groups[at])
	}
	return nil
}
