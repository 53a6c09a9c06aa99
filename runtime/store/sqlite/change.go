package sqlite

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/hashicorp/go-multierror"

	"capf/runtime/capf"
	"capf/runtime/store"
)

// planned is one change with the phone that it was worked out for and what comes of it.
type planned struct {
	capf.Changed
	before   phoneRow
	exists   bool
	newIndex int // place among the operations that are new, from 1; 0 for none
}

// ApplyChanges carries out changes of phones, all or none, and gives what each did. The rules are
// capf.PhoneChange.Apply's. With add a phone that exists is CodeConflict, with set one that does not
// CodeNotFound; the error joins one for each change that cannot be. Of the context, a zero Now is the
// store's clock, nil Parameters those of the store, a nil Random the system's.
//
// Phones are read and changes worked out before anything is locked. Those that changed until the set is
// written, because a session ended meanwhile, are worked out once more under the lock.
func (s *Store) ApplyChanges(ctx context.Context, mode capf.ApplyMode, changes []capf.PhoneChange, change capf.ChangeContext) ([]capf.Changed, error) {
	return s.applyChanges(ctx, mode, changes, change, true)
}

// TryChanges is ApplyChanges without writing anything.
func (s *Store) TryChanges(ctx context.Context, mode capf.ApplyMode, changes []capf.PhoneChange, change capf.ChangeContext) ([]capf.Changed, error) {
	return s.applyChanges(ctx, mode, changes, change, false)
}

func (s *Store) applyChanges(ctx context.Context, mode capf.ApplyMode, changes []capf.PhoneChange, change capf.ChangeContext, write bool) ([]capf.Changed, error) {
	changes, err := normalise(changes)
	if err != nil {
		return nil, err
	}
	complete, err := s.completeContext(ctx, change)
	if err != nil {
		return nil, err
	}
	plan, err := s.plan(ctx, mode, changes, complete)
	if err != nil {
		return nil, err
	}
	if write {
		if err := s.writeChanges(ctx, mode, changes, plan, complete); err != nil {
			return nil, err
		}
	}
	return outcomes(plan), nil
}

func outcomes(plan []planned) []capf.Changed {
	changed := make([]capf.Changed, len(plan))
	for i := range plan {
		changed[i] = plan[i].Changed
	}
	return changed
}

// normalise gives every device its name in the store, and lets none stand in the set twice: which change
// would come first is not said.
func normalise(changes []capf.PhoneChange) ([]capf.PhoneChange, error) {
	var failures *multierror.Error
	changes = slices.Clone(changes)
	seen := make(map[string]bool, len(changes))
	for i := range changes {
		device, err := capf.ParseDevice(changes[i].Device)
		if err == nil && seen[device] {
			err = &capf.Error{Code: capf.CodeConflict, Message: device + " is to be changed twice at once", Hint: "put its changes together"}
		}
		failures = multierror.Append(failures, err)
		changes[i].Device, seen[device] = device, true
	}
	return changes, failures.ErrorOrNil()
}

func (s *Store) completeContext(ctx context.Context, change capf.ChangeContext) (capf.ChangeContext, error) {
	if change.Now.IsZero() {
		change.Now = s.clock()
	}
	change.Now = store.WholeSeconds(change.Now)
	if change.Random == nil {
		change.Random = s.random
	}
	if change.Living == "" {
		living, err := s.LivingInstance()
		if err != nil {
			return change, err
		}
		change.Living = living
	}
	if change.Parameters != nil {
		return change, nil
	}
	parameters, err := s.Parameters(ctx)
	change.Parameters = parameters
	return change, err
}

// plan works every change out, and collects what forbids them.
func (s *Store) plan(ctx context.Context, mode capf.ApplyMode, changes []capf.PhoneChange, change capf.ChangeContext) ([]planned, error) {
	var failures *multierror.Error
	plan := make([]planned, 0, len(changes))
	newOperations := 0
	for i := range changes {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		one, err := planOne(s.reads, mode, changes[i], change)
		if err != nil {
			failures = multierror.Append(failures, err)
			continue
		}
		if one.Effect == capf.EffectNew || one.Effect == capf.EffectReplaced {
			newOperations++
			one.newIndex = newOperations
		}
		plan = append(plan, one)
	}
	return plan, failures.ErrorOrNil()
}

func planOne(statements *store.Statements, mode capf.ApplyMode, change capf.PhoneChange, context capf.ChangeContext) (planned, error) {
	row, exists, err := readPhone(statements, change.Device)
	if err != nil {
		return planned{}, err
	}
	switch {
	case exists && mode == capf.ApplyAdd:
		return planned{}, &capf.Error{Code: capf.CodeConflict, Message: "phone " + change.Device + " is in the store already",
			Hint: "use `capf phone set` to change it"}
	case !exists && mode == capf.ApplySet:
		return planned{}, noPhone(change.Device)
	case !exists:
		row.Phone = capf.NewPhone(change.Device, context.Parameters)
		row.changes = firstChanges()
	}
	changed, err := change.Apply(row.Phone, context)
	return planned{Changed: changed, before: row, exists: exists}, err
}

// firstChanges gives the count of changes that a phone begins with. It is random, so that a phone that
// was removed and added again is not taken for the one that was read before.
func firstChanges() int64 { return 1 + rand.Int64N(1<<62) }

// isIdle reports whether nothing at all would be written for the phone.
func (p *planned) isIdle() bool {
	return p.exists && p.Ended == nil && p.Effect == capf.EffectNone && describe(p) == ""
}

// describe says for the audit trail what is set, without the authentication string.
func describe(p *planned) string {
	var words []string
	add := func(name, before, after string) {
		if !p.exists || before != after {
			words = append(words, name+"="+after)
		}
	}
	before, after := &p.before.Phone, &p.Phone
	if p.Effect != capf.EffectNone {
		words = append(words, fmt.Sprintf("operation=%s (%s)", after.Last.Operation, p.Effect))
	}
	add("auth-mode", string(before.AuthMode), string(after.AuthMode))
	add("key-size", string(before.KeySize), string(after.KeySize))
	add("security-mode", string(before.SecurityMode), string(after.SecurityMode))
	add("lsc-hash", string(before.LSCHash), string(after.LSCHash))
	if before.Description != after.Description {
		words = append(words, fmt.Sprintf("description=%q", after.Description))
	}
	if !before.AuthString.Same(after.AuthString) && !after.AuthString.IsZero() {
		words = append(words, "auth-string set")
	}
	if !before.AuthString.Same(after.AuthString) && after.AuthString.IsZero() {
		words = append(words, "auth-string void")
	}
	return strings.Join(words, " ")
}
