package storetest

import (
	"fmt"
	"time"

	"capf/runtime/capf"
)

var filterTests = map[string]func(*suite){
	"every filter gives what capf says": filtersAgree,
	"patterns":                          filterPatterns,
}

// filtersAgree lists phones in every state by every filter, and compares with capf's own answer.
func filtersAgree(s *suite) {
	phones := s.phonesInEveryState()
	at := capf.Moment{Now: s.clock.Now()}
	for _, filter := range everyFilter() {
		var want []string
		for _, phone := range phones {
			if filter.Matches(&phone, at) {
				want = append(want, phone.Device)
			}
		}
		s.equal(describeFilter(filter), s.names(filter), want)
	}
}

// phonesInEveryState makes phones and gives them in the order of their names.
func (s *suite) phonesInEveryState() []capf.Phone {
	i := newIssuer(s.t, "CAPF")
	s.apply(capf.ApplyAdd, capf.PhoneChange{Device: device(0)})
	s.pend(device(1), capf.OperationInstall)
	s.pend(device(2), capf.OperationTroubleshoot)
	s.apply(capf.ApplyAdd, capf.PhoneChange{Device: device(3), Operation: given(capf.OperationInstall),
		AuthMode: given(capf.AuthByNullString), SecurityMode: given(capf.Encrypted)})
	s.enrol(i, device(4))
	withdrawn := s.pend(device(5), capf.OperationDelete)
	s.must(s.BeginOperation(s.ctx, device(5), withdrawn.Last.Ref, s.info("gone")))
	s.apply(capf.ApplySet, capf.PhoneChange{Device: device(5), Operation: given(capf.OperationNone)})
	failed := s.pend(device(6), capf.OperationInstall)
	s.must(s.EndOperation(s.ctx, device(6), failed.Last.Ref, capf.Outcome{Ending: capf.EndingFailed, Result: capf.ResultFailed, At: Start, By: "phone"}))
	s.enrol(i, device(7))
	deleted := s.pend(device(7), capf.OperationDelete)
	s.must(s.EndOperation(s.ctx, device(7), deleted.Last.Ref, s.success(capf.Outcome{LSC: capf.LSCNone})))
	serving := s.pend(device(8), capf.OperationInstall)
	s.must(s.BeginOperation(s.ctx, device(8), serving.Last.Ref, s.info("gone")))
	soon := Start.Add(time.Hour)
	s.apply(capf.ApplyAdd, capf.PhoneChange{Device: device(9), Operation: given(capf.OperationInstall), CompletesBy: &soon})
	s.apply(capf.ApplyAdd, capf.PhoneChange{Device: device(10), Operation: given(capf.OperationInstall), CompletesBy: &soon})
	s.seeExpiring(i, device(11))
	s.clock.Advance(2 * time.Hour)
	s.apply(capf.ApplySet, capf.PhoneChange{Device: device(10), Description: given("swept")})

	var phones []capf.Phone
	for n := range 12 {
		phones = append(phones, s.phone(device(n)))
	}
	return phones
}

// seeExpiring has a phone return an LSC that ends within the hour.
func (s *suite) seeExpiring(i *issuer, device string) {
	ref := s.pend(device, capf.OperationTroubleshoot).Last.Ref
	seen := i.read(i.sign(device, newKey(s.t), i.certificate, Start.Add(time.Hour)))
	seen.Kind = capf.LSC
	s.must(s.EndOperation(s.ctx, device, ref, s.success(capf.Outcome{Seen: []capf.Certificate{seen}, LSC: capf.LSCInstalled})))
}

func everyFilter() []capf.PhoneFilter {
	filters := []capf.PhoneFilter{{}, {Device: device(3)}, {Device: "SEP*"}, {Device: "*4"}, {Device: "CSF*"},
		{ExpiresBefore: Start.Add(time.Hour)}, {ExpiresBefore: Start.Add(time.Hour + time.Second)}, {ExpiresBefore: Start.AddDate(6, 0, 0)}}
	for _, value := range capf.Operations {
		filters = append(filters, capf.PhoneFilter{Operation: &value})
	}
	for _, value := range capf.Statuses {
		filters = append(filters, capf.PhoneFilter{Status: &value}, capf.PhoneFilter{Status: &value, AuthMode: given(capf.AuthByString)})
	}
	for _, value := range capf.AuthModes {
		filters = append(filters, capf.PhoneFilter{AuthMode: &value})
	}
	for _, value := range capf.LSCStatuses {
		filters = append(filters, capf.PhoneFilter{LSCStatus: &value}, capf.PhoneFilter{LSCStatus: &value, Device: "SEP*"})
	}
	return filters
}

func describeFilter(f capf.PhoneFilter) string {
	show := func(value any) string { return fmt.Sprint(value) }
	text := "filter " + f.Device + " " + capf.FormatTime(f.ExpiresBefore)
	if f.Operation != nil {
		text += " operation " + show(*f.Operation)
	}
	if f.Status != nil {
		text += " status " + show(*f.Status)
	}
	if f.AuthMode != nil {
		text += " mode " + show(*f.AuthMode)
	}
	if f.LSCStatus != nil {
		text += " LSC " + show(*f.LSCStatus)
	}
	return text
}

func filterPatterns(s *suite) {
	for _, name := range []string{"SEP001122334455", "SEP001122334466", "SEP0011AA000000", "CSFALICE", "CSFBOB", "ATA.1_x-y"} {
		s.apply(capf.ApplyAdd, capf.PhoneChange{Device: name})
	}
	for pattern, want := range map[string][]string{
		"SEP00112233*":       {"SEP001122334455", "SEP001122334466"},
		"SEP0011223344[56]*": {"SEP001122334455", "SEP001122334466"},
		"SEP00112233445[^6]": {"SEP001122334455"},
		"SEP0011223344??":    {"SEP001122334455", "SEP001122334466"},
		"00:11:22:33:44:55":  {"SEP001122334455"},
		"CSF*":               {"CSFALICE", "CSFBOB"},
		"*":                  {"ATA.1_x-y", "CSFALICE", "CSFBOB", "SEP001122334455", "SEP001122334466", "SEP0011AA000000"},
		"csf*":               nil,
		`CSF\BOB`:            {"CSFBOB"},
		"nobody":             nil,
	} {
		s.equal("pattern "+pattern, s.names(capf.PhoneFilter{Device: pattern}), want)
	}
	err := s.Phones(s.ctx, capf.PhoneFilter{Device: "SEP["}, func(capf.Phone) error { return nil })
	s.wantCode(err, capf.CodeInvalid)
}
