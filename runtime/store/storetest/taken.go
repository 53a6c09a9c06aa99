package storetest

import (
	"slices"
	"strings"
	"time"

	"capf/runtime/capf"
)

// taken gives the phones with the records of a run that they come from.
func (s *suite) taken(run int64) []capf.TakenPhone {
	s.t.Helper()
	return collect(s, func(yield func(capf.TakenPhone) error) error { return s.TakenPhones(s.ctx, run, yield) })
}

// stagingTaken: a record is told by its number in the run that is asked about, by its digest in any other.
func stagingTaken(s *suite) {
	s.apply(capf.ApplyAdd, capf.PhoneChange{Device: device(1)})
	first := []Planned{
		record(device(3), capf.VerdictHistory, nil),
		record(device(3), capf.VerdictNew, legacyPhone(device(3), capf.EndingNone)),
		record(device(2), capf.VerdictNew, legacyPhone(device(2), capf.EndingSuccess)),
	}
	earlier := s.run("key", first...)
	second := record(device(4), capf.VerdictNew, legacyPhone(device(4), capf.EndingFailed))
	later := s.run("other", second)
	hidden := s.stage("staged", record(device(5), capf.VerdictNew, legacyPhone(device(5), capf.EndingNone)))
	s.clock.Advance(time.Hour)
	mode := capf.AuthByNullString
	s.apply(capf.ApplySet, capf.PhoneChange{Device: device(2), AuthMode: &mode})

	for _, test := range []struct {
		name    string
		run     int64
		records []int
		digests []string
	}{
		{"the run before", earlier, []int{0, 3, 2, 0}, []string{"", "", "", second.Digest}},
		{"the run after", later, []int{0, 0, 0, 1}, []string{"", first[2].Digest, first[1].Digest, ""}},
		{"a run that is not applied", hidden, []int{0, 0, 0, 0}, []string{"", first[2].Digest, first[1].Digest, second.Digest}},
	} {
		all := s.taken(test.run)
		var records []int
		var digests []string
		for _, one := range all {
			records, digests = append(records, one.Record), append(digests, one.Digest)
		}
		s.equal(test.name+": records", records, test.records)
		s.equal(test.name+": digests", digests, test.digests)
		s.takenAsStored(all)
	}
}

// takenAsStored holds what is said of phones against the phones themselves.
func (s *suite) takenAsStored(all []capf.TakenPhone) {
	s.t.Helper()
	if !slices.IsSortedFunc(all, func(a, b capf.TakenPhone) int { return strings.Compare(a.Device, b.Device) }) {
		s.t.Error("the phones are not in the order of their names")
	}
	origins := s.provenances()
	s.equal("phones", len(all), len(origins))
	for _, one := range all {
		full := s.phone(one.Device)
		want := capf.Phone{Device: full.Device, Description: full.Description, AuthMode: full.AuthMode, AuthString: full.AuthString, KeySize: full.KeySize}
		if last := full.Last; last != nil {
			want.Last = &capf.OperationRecord{Ref: capf.OperationRef{ID: last.Ref.ID}, Device: last.Device, Operation: last.Operation,
				AuthMode: last.AuthMode, KeySize: last.KeySize, EndedAt: last.EndedAt, EndedBy: last.EndedBy, Ending: last.Ending,
				Result: last.Result, Detail: last.Detail}
		}
		s.equal("phone", one.Phone(), want)
		if one.Digest != "" {
			s.equal("machine", one.Machine, origins[one.Device].Imported.Machine)
		}
		s.equal("changed", one.ChangedAt, origins[one.Device].ChangedAt)
	}
}
