package storetest

import (
	"context"
	"fmt"
	"time"

	"capf/runtime/capf"
)

// Groups is what a checklist counts.
type Groups interface {
	PhoneGroups(ctx context.Context, at capf.Moment) ([]capf.PhoneGroup, error)
	UnfinishedRuns(ctx context.Context) (int, error)
}

var groupTests = map[string]func(*suite){
	"phones that read alike": groupsOfPhones,
	"no phones, no groups":   groupsOfNone,
	"unfinished runs":        groupsUnfinished,
}

// reading is what the rules say of a phone, as far as groups go.
func reading(phone *capf.Phone, at capf.Moment) string {
	operation, mode := capf.Operation(""), capf.AuthMode("")
	if phone.Last != nil {
		operation, mode = phone.Last.Operation, phone.Last.AuthMode
	}
	return fmt.Sprintf("LSC %s, MIC %s, %s by %s: %s", phone.LSCStatus(at.Now), phone.MIC, operation, mode, phone.Last.Status(at.Now, at.Living))
}

// wantGroups holds the groups against the phones, one by one.
func (s *suite) wantGroups(at capf.Moment, kinds int) {
	s.t.Helper()
	want, got := make(map[string]int), make(map[string]int)
	s.must(s.Phones(s.ctx, capf.PhoneFilter{}, func(phone capf.Phone) error {
		want[reading(&phone, at)]++
		return nil
	}))
	groups, err := s.PhoneGroups(s.ctx, at)
	s.must(err)
	for i := range groups {
		got[reading(&groups[i].Phone, at)] += groups[i].Count
	}
	s.equal("groups", got, want)
	s.equal("different readings", len(got), kinds)
}

// groupsOfPhones has phones in every state, seen at three times and by the eyes of two services.
func groupsOfPhones(s *suite) {
	issuer := newIssuer(s.t, "CAPF")
	s.enrol(issuer, device(1))
	s.enrol(issuer, device(2))
	s.pend(device(2), capf.OperationTroubleshoot)
	s.pend(device(3), capf.OperationInstall)
	s.must(s.BeginOperation(s.ctx, device(3), s.phone(device(3)).Last.Ref, s.info("here")))
	s.pend(device(4), capf.OperationInstall)
	soon, null := Start.Add(time.Hour), capf.AuthByNullString
	s.apply(capf.ApplyAdd, capf.PhoneChange{Device: device(5)}, capf.PhoneChange{Device: device(6)},
		capf.PhoneChange{Device: device(7), Operation: given(capf.OperationInstall), AuthMode: &null, CompletesBy: &soon})
	failed := s.pend(device(8), capf.OperationDelete).Last.Ref
	s.must(s.EndOperation(s.ctx, device(8), failed, capf.Outcome{Ending: capf.EndingFailed, Result: capf.ResultFailed, At: s.clock.Now(), By: "192.0.2.7"}))
	s.pend(device(9), capf.OperationInstall)
	s.apply(capf.ApplySet, capf.PhoneChange{Device: device(9), Operation: given(capf.OperationNone)})

	for _, at := range []struct {
		moment capf.Moment
		kinds  int
	}{
		{capf.Moment{Now: Start, Living: "here"}, 8},
		{capf.Moment{Now: Start}, 7}, // what nobody carries out is pending
		{capf.Moment{Now: Start.Add(2 * time.Hour), Living: "here"}, 8},
		{capf.Moment{Now: Start.AddDate(6, 0, 0), Living: "other"}, 7},
	} {
		s.wantGroups(at.moment, at.kinds)
	}
}

func groupsOfNone(s *suite) { s.wantGroups(capf.Moment{Now: Start}, 0) }

func groupsUnfinished(s *suite) {
	want := func(number int) {
		s.t.Helper()
		count, err := s.UnfinishedRuns(s.ctx)
		s.must(err)
		s.equal("unfinished runs", count, number)
	}
	want(0)
	run, err := s.BeginRun(s.ctx, capf.MigrationRun{Key: "a", By: actor})
	s.must(err)
	want(1)
	s.must(s.ApplyRun(s.ctx, run, capf.MigrationCounts{}))
	want(0)
}
