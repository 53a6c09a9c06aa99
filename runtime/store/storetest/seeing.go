package storetest

import (
	"time"

	"capf/runtime/capf"
)

var seeingTests = map[string]func(*suite){
	"the history names the sessions of an operation": seeingSessions,
	"a broken line is an attempt too":                seeingBrokenLine,
	"broken lines share the bound of attempts":       seeingBrokenBound,
	"traces are set, changed and ended":              seeingTraces,
	"levels that a trace cannot have":                seeingTraceLevels,
	"the number of traced devices is bounded":        seeingTraceBound,
	"phones by TLS version":                          seeingTLS,
	"operations that are open":                       seeingOpen,
}

func seeingSessions(s *suite) {
	ref := s.pend(device(1), capf.OperationInstall).Last.Ref
	if got := s.operations(device(1))[0].Session; got != nil {
		s.t.Errorf("before any session: %+v", got)
	}
	s.must(s.BeginOperation(s.ctx, device(1), ref, s.info("here")))
	s.clock.Advance(time.Minute)
	next := s.info("here")
	next.Address, next.TLS = "192.0.2.8", "1.3"
	s.must(s.BeginOperation(s.ctx, device(1), ref, next))
	s.must(s.EndOperation(s.ctx, device(1), ref, s.success(capf.Outcome{})))
	s.equal("session", s.operations(device(1))[0].Session, &capf.OperationSession{Started: s.clock.Now(), Address: "192.0.2.8", TLS: "1.3"})
}

func seeingBrokenLine(s *suite) {
	ref := s.pend(device(1), capf.OperationInstall).Last.Ref
	s.must(s.BeginOperation(s.ctx, device(1), ref, s.info("here")))
	s.clock.Advance(time.Minute)
	s.must(s.ReleaseOperation(s.ctx, ref, "another", capf.ResultTimedOut))
	s.equal("attempts of another instance", len(s.attempts(device(1))), 0)
	s.must(s.ReleaseOperation(s.ctx, ref, "here", capf.ResultTimedOut))
	s.must(s.ReleaseOperation(s.ctx, ref, "here", capf.ResultTimedOut))
	attempts := s.attempts(device(1))
	s.equal("attempts", len(attempts), 1)
	if attempts[0].Detail == "" {
		s.t.Error("the attempt says nothing")
	}
	attempts[0].Detail = ""
	s.equal("attempt", attempts[0], capf.Attempt{Device: device(1), Address: "192.0.2.7", TLS: "1.0", At: s.clock.Now(), Result: capf.ResultTimedOut})
	s.equal("result", s.phone(device(1)).LastResult, given(capf.ResultTimedOut))
	s.must(s.BeginOperation(s.ctx, device(1), ref, s.info("here")))
	s.must(s.EndOperation(s.ctx, device(1), ref, s.success(capf.Outcome{})))
	s.equal("result of the end", s.phone(device(1)).LastResult, given(capf.ResultSuccess))
}

func seeingBrokenBound(s *suite) {
	ref := s.pend(device(1), capf.OperationInstall).Last.Ref
	for range capf.MaxAttempts + 3 {
		s.must(s.BeginOperation(s.ctx, device(1), ref, s.info("here")))
		s.must(s.ReleaseOperation(s.ctx, ref, "here", capf.ResultCommunication))
	}
	s.equal("attempts", len(s.attempts(device(1))), capf.MaxAttempts)
}

func (s *suite) traces() map[string]capf.TraceLevel {
	s.t.Helper()
	settings, err := s.Traces(s.ctx)
	s.must(err)
	levels := make(map[string]capf.TraceLevel)
	for _, one := range settings {
		levels[one.Subject] = one.Level
		s.equal("who and when", []any{one.ChangedBy, one.ChangedAt}, []any{actor, s.clock.Now()})
	}
	return levels
}

func seeingTraces(s *suite) {
	s.equal("at first", s.traces(), map[string]capf.TraceLevel{})
	s.must(s.SetTrace(s.ctx, device(1), capf.TraceInfo, actor))
	s.must(s.SetTrace(s.ctx, device(1), capf.TraceDebug, actor))
	s.must(s.SetTrace(s.ctx, capf.TraceAll, capf.TraceInfo, actor))
	s.must(s.SetTrace(s.ctx, capf.TraceService, capf.TraceWarn, actor))
	s.equal("set", s.traces(), map[string]capf.TraceLevel{device(1): capf.TraceDebug, capf.TraceAll: capf.TraceInfo, capf.TraceService: capf.TraceWarn})
	s.must(s.SetTrace(s.ctx, device(1), capf.TraceOff, actor))
	s.must(s.SetTrace(s.ctx, device(2), capf.TraceOff, actor))
	s.equal("ended", s.traces(), map[string]capf.TraceLevel{capf.TraceAll: capf.TraceInfo, capf.TraceService: capf.TraceWarn})
	trail, err := s.Audit(s.ctx, 0)
	s.must(err)
	s.equal("trail", len(trail), 6)
}

func seeingTraceLevels(s *suite) {
	for subject, level := range map[string]capf.TraceLevel{device(1): capf.TraceWarn, capf.TraceAll: capf.TraceError, capf.TraceService: "loud"} {
		s.wantCode(s.SetTrace(s.ctx, subject, level, actor), capf.CodeInvalid)
	}
	s.equal("traces", s.traces(), map[string]capf.TraceLevel{})
}

func seeingTraceBound(s *suite) {
	for n := range capf.MaxTraces {
		s.must(s.SetTrace(s.ctx, device(n), capf.TraceInfo, actor))
	}
	s.wantCode(s.SetTrace(s.ctx, device(capf.MaxTraces), capf.TraceInfo, actor), capf.CodeRefused)
	s.must(s.SetTrace(s.ctx, device(0), capf.TraceDebug, actor))
	s.must(s.SetTrace(s.ctx, capf.TraceAll, capf.TraceInfo, actor))
	s.must(s.SetTrace(s.ctx, device(0), capf.TraceOff, actor))
	s.must(s.SetTrace(s.ctx, device(capf.MaxTraces), capf.TraceInfo, actor))
}

func seeingTLS(s *suite) {
	for n, version := range []string{"", "1.0", "1.2", "1.2"} {
		ref := s.pend(device(n), capf.OperationInstall).Last.Ref
		if version == "" {
			continue
		}
		info := s.info("here")
		info.TLS = version
		s.must(s.BeginOperation(s.ctx, device(n), ref, info))
	}
	counts, err := s.PhonesByTLS(s.ctx)
	s.must(err)
	s.equal("phones", counts, map[string]int{"": 1, "1.0": 1, "1.2": 2})
}

func seeingOpen(s *suite) {
	soon := Start.Add(time.Hour)
	s.apply(capf.ApplyAdd, capf.PhoneChange{Device: device(1), Operation: given(capf.OperationInstall), CompletesBy: &soon},
		capf.PhoneChange{Device: device(2), Operation: given(capf.OperationInstall)}, capf.PhoneChange{Device: device(3)})
	s.must(s.EndOperation(s.ctx, device(4), s.pend(device(4), capf.OperationInstall).Last.Ref, s.success(capf.Outcome{})))
	for _, want := range [][2]int{{2, 0}, {2, 0}, {2, 1}} {
		all, late, err := s.OpenOperations(s.ctx)
		s.must(err)
		s.equal("open and late", [2]int{all, late}, want)
		s.clock.Advance(time.Hour)
	}
}
