package storetest

import (
	"context"
	"strings"
	"time"

	"capf/runtime/capf"
)

// IdleCalls is what is kept of calls for which nothing was pending.
type IdleCalls interface {
	RecordIdleCall(ctx context.Context, call capf.IdleCall) error
	LastIdleCall(ctx context.Context, device string) (*capf.IdleCall, error)
}

var idleCallTests = map[string]func(*suite){
	"the last of each phone is kept, and of phones alone": idleCalls,
	"they change nothing else":                            idleCallsAlone,
	"their texts are cut and made harmless":               idleCallTexts,
	"they share the group commit":                         idleCallsInGroups,
}

func (s *suite) lastIdleCall(device string) *capf.IdleCall {
	s.t.Helper()
	call, err := s.LastIdleCall(s.ctx, device)
	s.must(err)
	return call
}

func idleCalls(s *suite) {
	s.apply(capf.ApplyAdd, capf.PhoneChange{Device: device(1)}, capf.PhoneChange{Device: device(2)})
	s.equal("before any", s.lastIdleCall(device(1)), (*capf.IdleCall)(nil))
	call := capf.IdleCall{Device: device(1), Address: "192.0.2.7", TLS: "1.0", At: Start}
	s.must(s.RecordIdleCall(s.ctx, call))
	s.equal("the first", s.lastIdleCall(device(1)), &call)
	call = capf.IdleCall{Device: device(1), Address: "192.0.2.8", TLS: "1.3", At: Start.Add(time.Minute)}
	s.must(s.RecordIdleCall(s.ctx, call))
	s.equal("the next", s.lastIdleCall(device(1)), &call)
	s.equal("of another phone", s.lastIdleCall(device(2)), (*capf.IdleCall)(nil))

	call.Device = device(3)
	s.must(s.RecordIdleCall(s.ctx, call))
	s.apply(capf.ApplyAdd, capf.PhoneChange{Device: device(3)})
	s.equal("of no phone", s.lastIdleCall(device(3)), (*capf.IdleCall)(nil))

	s.must(s.RemovePhones(s.ctx, []string{device(1)}, actor))
	s.apply(capf.ApplyAdd, capf.PhoneChange{Device: device(1)})
	s.equal("of the phone before", s.lastIdleCall(device(1)), (*capf.IdleCall)(nil))
}

func idleCallsAlone(s *suite) {
	before := s.pend(device(1), capf.OperationInstall)
	s.must(s.RecordIdleCall(s.ctx, capf.IdleCall{Device: device(1), Address: "192.0.2.7", At: Start.Add(time.Hour)}))
	s.equal("phone", s.phone(device(1)), before)
	s.equal("attempts", len(s.attempts(device(1))), 0)
}

func idleCallTexts(s *suite) {
	s.apply(capf.ApplyAdd, capf.PhoneChange{Device: device(1)})
	s.must(s.RecordIdleCall(s.ctx, capf.IdleCall{Device: device(1), Address: "\x1b[2J", TLS: strings.Repeat("x", 5000), At: Start.Add(time.Millisecond)}))
	got := s.lastIdleCall(device(1))
	if got.Address != " [2J" || len(got.TLS) > 300 || !got.At.Equal(Start) {
		s.t.Errorf("kept as it came: address %q, %d bytes, at %s", got.Address, len(got.TLS), got.At)
	}
}

func idleCallsInGroups(s *suite) {
	const count = 200
	var changes []capf.PhoneChange
	for n := range count {
		changes = append(changes, capf.PhoneChange{Device: device(n)})
	}
	s.apply(capf.ApplyAdd, changes...)
	before := s.Commits()
	s.must(together(count, func(n int) error {
		return s.RecordIdleCall(s.ctx, capf.IdleCall{Device: device(n), Address: "192.0.2.7", TLS: "1.2", At: Start})
	}))
	if commits := s.Commits() - before; commits > count/2 {
		s.t.Errorf("%d commits for %d calls", commits, count)
	}
	s.equal("the last", s.lastIdleCall(device(count-1)) != nil, true)
}
