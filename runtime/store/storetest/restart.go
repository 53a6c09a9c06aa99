package storetest

import (
	"time"

	"capf/runtime/capf"
)

// restarts: what is due stays so until somebody says it is done, and goes with its node.
func restarts(s *suite) {
	want := func(want ...capf.Restart) {
		s.t.Helper()
		got, err := s.Restarts(s.ctx)
		s.must(err)
		s.equal("restarts", got, want)
	}
	for _, name := range []string{"two", "one", "three"} {
		s.must(s.AddNode(s.ctx, node(name, false), actor))
	}
	s.must(s.OweRestart(s.ctx, "two", 1))
	s.must(s.OweRestart(s.ctx, "one", 1))
	s.wantCode(s.OweRestart(s.ctx, "none", 1), capf.CodeNotFound)
	s.clock.Advance(time.Hour)
	s.must(s.OweRestart(s.ctx, "two", 2))
	one, two := capf.Restart{Node: "one", Version: 1, Since: Start}, capf.Restart{Node: "two", Version: 1, Since: Start}
	want(one, two)

	s.wantCode(s.RestartsDone(s.ctx, []string{"one", "none"}, actor), capf.CodeNotFound)
	want(one, two)
	s.must(s.RestartsDone(s.ctx, []string{"one", "three"}, actor))
	one.DoneAt, one.DoneBy = Start.Add(time.Hour), actor
	want(one, two)
	trail, err := s.Audit(s.ctx, 1)
	s.must(err)
	s.equal("audit entry", trail, []capf.AuditEntry{{At: one.DoneAt, Actor: actor, Action: "ctl restarted", Subject: "one", Detail: "since version 1"}})
	s.clock.Advance(time.Hour)
	s.must(s.RestartsDone(s.ctx, []string{"one"}, "somebody else"))
	want(one, two)
	all, err := s.Restarts(s.ctx)
	s.must(err)
	s.equal("due", capf.RestartsDue(all), []string{"two"})

	s.must(s.OweRestart(s.ctx, "one", 3))
	one = capf.Restart{Node: "one", Version: 3, Since: Start.Add(2 * time.Hour)}
	want(one, two)
	s.must(s.RemoveNode(s.ctx, "two", actor))
	want(one)
}
