package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"capf/runtime/capf"
)

var concurrencyTests = map[string]func(*suite){
	"a hundred sessions at once":               hundredSessions,
	"changes of the same phone do not vanish":  sameChanges,
	"a context that has ended changes nothing": endedContext,
	"two sets at once":                         twoSets,
}

// together runs work in so many goroutines, and collects what failed.
func together(count int, work func(n int) error) error {
	var group sync.WaitGroup
	failures := make([]error, count)
	for n := range count {
		group.Go(func() { failures[n] = work(n) })
	}
	group.Wait()
	return errors.Join(failures...)
}

// hundredSessions has a hundred phones go all the way at once, while an administrator changes others.
func hundredSessions(s *suite) {
	const count = 100
	i := newIssuer(s.t, "CAPF")
	refs := make([]capf.OperationRef, count)
	certificates := make([]capf.Certificate, count)
	for n := range count {
		refs[n] = s.pend(device(n), capf.OperationInstall).Last.Ref
		certificates[n] = i.lsc(device(n), newKey(s.t))
	}
	before := s.Commits()
	s.must(together(count, func(n int) error {
		if n%10 == 0 {
			change := []capf.PhoneChange{{Device: device(1000 + n)}}
			if _, err := s.ApplyChanges(s.ctx, capf.ApplyAdd, change, capf.ChangeContext{Actor: actor}); err != nil {
				return err
			}
		}
		if err := s.BeginOperation(s.ctx, device(n), refs[n], s.info("here")); err != nil {
			return err
		}
		id, err := s.AddIssued(s.ctx, refs[n], nil, certificates[n])
		if err != nil {
			return err
		}
		if err := s.RecordAttempt(s.ctx, capf.Attempt{Device: device(n + 5000), At: Start}); err != nil {
			return err
		}
		return s.EndOperation(s.ctx, device(n), refs[n], s.success(capf.Outcome{Confirmed: id}))
	}))
	for n := range count {
		phone := s.phone(device(n))
		if phone.LSC == nil || phone.LSC.SHA256 != certificates[n].SHA256 || phone.Last.Ending != capf.EndingSuccess {
			s.t.Fatalf("%s: LSC %v, %s", device(n), phone.LSC, phone.Last.Ending)
		}
	}
	commits := s.Commits() - before
	s.t.Logf("%d writes in %d commits", 4*count, commits)
	if commits >= 4*count {
		s.t.Errorf("%d commits for %d writes: nothing was shared", commits, 4*count)
	}
}

// sameChanges has many administrators change one phone: every change must be in the history.
func sameChanges(s *suite) {
	const count = 4
	s.apply(capf.ApplyAdd, capf.PhoneChange{Device: device(1)})
	s.must(together(count, func(n int) error {
		change := []capf.PhoneChange{{Device: device(1), Operation: given(capf.OperationInstall), Description: given(fmt.Sprint(n))}}
		_, err := s.ApplyChanges(s.ctx, capf.ApplySet, change, capf.ChangeContext{Actor: actor})
		return err
	}))
	history := s.operations(device(1))
	s.equal("operations", len(history), count)
	for n, record := range history {
		want := capf.EndingReplaced
		if n == 0 {
			want = capf.EndingNone
		}
		s.equal("ending", record.Ending, want)
	}
	s.equal("last operation", s.phone(device(1)).Last, &history[0])
}

func endedContext(s *suite) {
	phone := s.pend(device(1), capf.OperationInstall)
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	for name, err := range map[string]error{
		"begin":  s.BeginOperation(ctx, device(1), phone.Last.Ref, s.info("here")),
		"end":    s.EndOperation(ctx, device(1), phone.Last.Ref, s.success(capf.Outcome{})),
		"remove": s.RemovePhones(ctx, []string{device(1)}, actor),
		"check":  s.Check(ctx),
		"list":   s.Phones(ctx, capf.PhoneFilter{}, func(capf.Phone) error { return nil }),
	} {
		if !errors.Is(err, context.Canceled) {
			s.t.Errorf("%s: %v", name, err)
		}
	}
	s.equal("phone", s.phone(device(1)), phone)
}

// twoSets applies two sets that share a phone: both are carried out, one after the other.
func twoSets(s *suite) {
	const count = 50
	s.must(together(2, func(set int) error {
		var changes []capf.PhoneChange
		for n := range count {
			changes = append(changes, capf.PhoneChange{Device: device(n + set*(count-1)), Operation: given(capf.OperationInstall)})
		}
		_, err := s.ApplyChanges(s.ctx, capf.ApplyUpsert, changes, capf.ChangeContext{Actor: fmt.Sprint("set ", set)})
		return err
	}))
	s.equal("phones", len(s.names(capf.PhoneFilter{})), 2*count-1)
	s.equal("operations of the shared phone", len(s.operations(device(count-1))), 2)
	pending, err := s.TryChanges(s.ctx, capf.ApplySet, []capf.PhoneChange{{Device: device(count - 1), Operation: given(capf.OperationNone)}},
		capf.ChangeContext{Actor: actor})
	s.must(err)
	s.equal("effect of withdrawing", pending[0].Effect, capf.EffectWithdrawn)
}
