package storetest

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"capf/runtime/capf"
	"capf/runtime/store"
)

var attemptTests = map[string]func(*suite){
	"a phone keeps its newest":               attemptsOfPhone,
	"strangers share one bound":              attemptsOfStrangers,
	"texts are cut and made harmless":        attemptTexts,
	"removing and adding moves between both": attemptsMove,
}

func (s *suite) attempts(device string) []capf.Attempt {
	s.t.Helper()
	attempts, err := s.Attempts(s.ctx, device)
	s.must(err)
	return attempts
}

func attemptsOfPhone(s *suite) {
	s.apply(capf.ApplyAdd, capf.PhoneChange{Device: device(1)}, capf.PhoneChange{Device: device(2)})
	s.must(s.RecordAttempt(s.ctx, capf.Attempt{Device: device(2), At: Start, Result: capf.ResultInvalidMIC}))
	var want []capf.Attempt
	for n := range capf.MaxAttempts + 5 {
		attempt := capf.Attempt{Device: device(1), Address: "192.0.2.9", At: Start.Add(time.Duration(n) * time.Second),
			Result: capf.ResultInvalidAuthString, Detail: fmt.Sprint("try ", n)}
		s.must(s.RecordAttempt(s.ctx, attempt))
		want = append([]capf.Attempt{attempt}, want...)
	}
	s.equal("attempts", s.attempts(device(1)), want[:capf.MaxAttempts])
	s.equal("attempts of another", len(s.attempts(device(2))), 1)
}

func attemptsOfStrangers(s *suite) {
	s.apply(capf.ApplyAdd, capf.PhoneChange{Device: device(0)})
	s.must(s.RecordAttempt(s.ctx, capf.Attempt{Device: device(0), At: Start, Result: capf.ResultInvalidMIC}))
	for n := range store.MaxStrangerAttempts + 10 {
		s.must(s.RecordAttempt(s.ctx, capf.Attempt{Device: device(n + 1), At: Start, Result: capf.ResultFailed}))
	}
	total := 0
	for n := range store.MaxStrangerAttempts + 10 {
		total += len(s.attempts(device(n + 1)))
	}
	s.equal("attempts of strangers", total, store.MaxStrangerAttempts)
	s.equal("the newest stranger's", len(s.attempts(device(store.MaxStrangerAttempts+10))), 1)
	s.equal("the phone's", len(s.attempts(device(0))), 1)
}

func attemptTexts(s *suite) {
	s.must(s.RecordAttempt(s.ctx, capf.Attempt{Device: device(1), Address: "\x1b[2J", Result: capf.ResultFailed,
		Detail: strings.Repeat("é", 5000) + "\xff"}))
	attempt := s.attempts(device(1))[0]
	if len(attempt.Detail) > 300 || !utf8.ValidString(attempt.Detail) || strings.ContainsRune(attempt.Address, 0x1b) {
		s.t.Errorf("kept as it came: %d bytes, address %q", len(attempt.Detail), attempt.Address)
	}
}

func attemptsMove(s *suite) {
	s.must(s.RecordAttempt(s.ctx, capf.Attempt{Device: device(1), At: Start, Result: capf.ResultFailed}))
	s.apply(capf.ApplyAdd, capf.PhoneChange{Device: device(1)})
	if result := s.phone(device(1)).LastResult; result != nil {
		s.t.Errorf("a new phone begins with result %s", result)
	}
	for n := range store.MaxStrangerAttempts {
		s.must(s.RecordAttempt(s.ctx, capf.Attempt{Device: device(n + 2), At: Start, Result: capf.ResultFailed}))
	}
	s.equal("now a phone's own", len(s.attempts(device(1))), 1)
	s.must(s.RemovePhones(s.ctx, []string{device(1)}, actor))
	s.must(s.RecordAttempt(s.ctx, capf.Attempt{Device: device(2), At: Start, Result: capf.ResultFailed}))
	s.equal("a stranger's again", len(s.attempts(device(1))), 0)
}
