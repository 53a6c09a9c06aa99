package sqlite

import (
	"fmt"
	"strings"
	"testing"

	"capf/runtime/capf"
	"capf/runtime/store/storetest"
)

// TestStringsLeaveFreedPages: strings are on many pages; the tables of phones that a run puts aside, what it has staged and
// what is cleared away of it give theirs back whole.
func TestStringsLeaveFreedPages(t *testing.T) {
	const phones = 400
	old, staged := pendingByString(1, phones), pendingByString(phones+1, 2*phones)
	for name, migrate := range map[string]func(*Store, int64) error{
		"applied": func(s *Store, run int64) error { return s.ApplyRun(t.Context(), run, capf.MigrationCounts{}) },
		"cleared": func(s *Store, _ int64) error { return s.clearUnapplied(t.Context()) },
		"rolled back": func(s *Store, run int64) error {
			if err := s.ApplyRun(t.Context(), run, capf.MigrationCounts{}); err != nil {
				return err
			}
			_, err := s.RollBackRun(t.Context(), run, "undoer")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			run := stageRun(t, s, "first", old)
			if err := s.ApplyRun(t.Context(), run, capf.MigrationCounts{}); err != nil {
				t.Fatal(err)
			}
			if err := migrate(s, stageRun(t, s, "second", staged)); err != nil {
				t.Fatal(err)
			}
			withdrawAll(t, s)
			content := fileOf(t, s)
			left := 0
			for _, record := range append(old, staged...) {
				left += strings.Count(content, record.Phone.AuthString.Reveal())
			}
			if left > 0 {
				t.Errorf("void strings are in the file %d times", left)
			}
		})
	}
}

// pendingByString gives records of phones that a run adds, pending by strings that stand in no record.
func pendingByString(from, count int) []storetest.Planned {
	records := addedRecords(from, count)
	for n := range records {
		phone := records[n].Phone
		phone.AuthMode, phone.Last.AuthMode, phone.Last.Ending = capf.AuthByString, capf.AuthByString, capf.EndingNone
		phone.AuthString, _ = capf.ParseAuthenticationString(fmt.Sprintf("73104%05d", from+n))
	}
	return records
}

func withdrawAll(t *testing.T, s *Store) {
	t.Helper()
	none := capf.OperationNone
	var changes []capf.PhoneChange
	err := s.Phones(t.Context(), capf.PhoneFilter{}, func(phone capf.Phone) error {
		changes = append(changes, capf.PhoneChange{Device: phone.Device, Operation: &none})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	apply(t, s, changes...)
}
