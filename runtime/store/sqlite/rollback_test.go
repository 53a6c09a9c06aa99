package sqlite

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"capf/runtime/capf"
	"capf/runtime/store/storetest"
)

const stringBefore = "7310442986"

// updatedPending gives a store in which a run has replaced an operation that was pending by a string, and the run.
func updatedPending(t *testing.T, clock func() time.Time) (*Store, int64) {
	t.Helper()
	s := openAt(t, filepath.Join(t.TempDir(), "capf.db"), clock)
	digits, err := capf.ParseAuthenticationString(stringBefore)
	if err != nil {
		t.Fatal(err)
	}
	pending := operation(deviceName(1))
	pending.AuthString = &digits
	apply(t, s, pending)
	id := stageOne(t, s, "key")
	if err := s.ApplyRun(t.Context(), id, capf.MigrationCounts{}); err != nil {
		t.Fatal(err)
	}
	return s, id
}

// stageOne stages an update of the one phone, pending by another string.
func stageOne(t *testing.T, s *Store, key string) int64 {
	t.Helper()
	id, err := s.BeginRun(t.Context(), capf.MigrationRun{Key: key, By: "runner"})
	if err != nil {
		t.Fatal(err)
	}
	phone := capf.NewPhone(deviceName(1), capf.Parameters{})
	phone.Last = &capf.OperationRecord{Operation: capf.OperationInstall, AuthMode: capf.AuthByString, KeySize: capf.RSA1024, CompletesBy: s.now().AddDate(0, 0, 10)}
	if phone.AuthString, err = capf.ParseAuthenticationString("0042"); err != nil {
		t.Fatal(err)
	}
	records := []storetest.Planned{{ImportRecord: capf.ImportRecord{Device: phone.Device, Verdict: capf.VerdictUpdated}, Phone: &phone}}
	if err := storetest.Stage(t.Context(), s, id, records); err != nil {
		t.Fatal(err)
	}
	return id
}

// stringsKept counts the strings that wait for a rollback.
func stringsKept(t *testing.T, s *Store) (count int) {
	t.Helper()
	if err := s.readPool.QueryRow(`SELECT count(auth_string) FROM phones_before`).Scan(&count); err != nil {
		t.Fatal(err)
	}
	return count
}

// TestStringsBeforeAreVoid: the string that a phone had before a run is kept only as long as the phone can get it back.
func TestStringsBeforeAreVoid(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	text := "mine"
	for name, does := range map[string]func(s *Store, ref capf.OperationRef) error{
		"a person changes the phone": func(s *Store, _ capf.OperationRef) error {
			apply(t, s, capf.PhoneChange{Device: deviceName(1), Description: &text})
			return nil
		},
		"the phone is removed": func(s *Store, _ capf.OperationRef) error {
			return s.RemovePhones(t.Context(), []string{deviceName(1)}, "person")
		},
		"the operation of the run ends": func(s *Store, ref capf.OperationRef) error {
			return s.EndOperation(t.Context(), deviceName(1), ref, capf.Outcome{Ending: capf.EndingFailed, Result: capf.ResultFailed})
		},
		"its strings are exhausted": func(s *Store, ref capf.OperationRef) error {
			for range 50 {
				if _, err := s.CountWrongString(t.Context(), ref, capf.Attempt{Device: deviceName(1), Address: "a", At: now, Result: capf.ResultInvalidAuthString}); err != nil {
					return err
				}
			}
			return nil
		},
		"the deadline passes": func(s *Store, _ capf.OperationRef) error {
			_, err := s.ExpireOperations(t.Context(), now.AddDate(0, 0, 11), 1)
			return err
		},
		"the run is rolled back": func(s *Store, _ capf.OperationRef) error {
			_, err := s.RollBackRun(t.Context(), 1, "undoer")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := updatedPending(t, func() time.Time { return now })
			if got := stringsKept(t, s); got != 1 {
				t.Fatalf("%d strings are kept, not 1", got)
			}
			phone, err := s.Phone(t.Context(), deviceName(1))
			if err != nil {
				t.Fatal(err)
			}
			if err := does(s, phone.Last.Ref); err != nil {
				t.Fatal(err)
			}
			if got := stringsKept(t, s); got != 0 {
				t.Errorf("%d strings are still kept", got)
			}
		})
	}
}

// TestVoidStringLeavesTheFile looks for the digits themselves, once nobody can get them back.
func TestVoidStringLeavesTheFile(t *testing.T) {
	s, _ := updatedPending(t, nil)
	if !strings.Contains(fileOf(t, s), stringBefore) {
		t.Fatal("the string is not found where it should be")
	}
	text := "mine"
	apply(t, s, capf.PhoneChange{Device: deviceName(1), Description: &text})
	if strings.Contains(fileOf(t, s), stringBefore) {
		t.Error("a void string is still in the file")
	}
}

// fileOf gives the store's file, with all of its WAL in it.
func fileOf(t *testing.T, s *Store) string {
	t.Helper()
	if _, err := s.bulkPool.Exec(`PRAGMA wal_checkpoint(TRUNCATE)`); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// TestLateStringIsNotKept: a string that is void already when the run comes is not kept for later.
func TestLateStringIsNotKept(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s := openAt(t, filepath.Join(t.TempDir(), "capf.db"), func() time.Time { return now })
	apply(t, s, operation(deviceName(1)))
	now = now.AddDate(0, 0, 11)
	if err := s.ApplyRun(t.Context(), stageOne(t, s, "key"), capf.MigrationCounts{}); err != nil {
		t.Fatal(err)
	}
	if got := stringsKept(t, s); got != 0 {
		t.Errorf("%d strings are kept", got)
	}
}

// TestWrongStringsAreCountedOn: a run and its rollback give nobody new tries for the same string.
func TestWrongStringsAreCountedOn(t *testing.T) {
	s := open(t)
	ref := apply(t, s, operation(deviceName(1)))[0].Phone.Last.Ref
	wrong := capf.Attempt{Device: deviceName(1), Address: "192.0.2.7", At: time.Now(), Result: capf.ResultInvalidAuthString}
	guess := func(ref capf.OperationRef, times int) {
		t.Helper()
		for range times {
			if _, err := s.CountWrongString(t.Context(), ref, wrong); err != nil {
				t.Fatal(err)
			}
		}
	}
	guess(ref, 7)
	id := stageOne(t, s, "key")
	if err := s.ApplyRun(t.Context(), id, capf.MigrationCounts{}); err != nil {
		t.Fatal(err)
	}
	phone, err := s.Phone(t.Context(), deviceName(1))
	if err != nil {
		t.Fatal(err)
	}
	guess(phone.Last.Ref, 1) // counting these forgets those
	if _, err := s.RollBackRun(t.Context(), id, "undoer"); err != nil {
		t.Fatal(err)
	}
	counted, err := s.WrongStrings(t.Context(), deviceName(1), ref, wrong.Address)
	if err != nil || counted.InAll != 7 {
		t.Errorf("%d wrong strings are counted, %v; want 7", counted.InAll, err)
	}
}

// TestRunOfEarlierSchemaIsRefused: nothing was kept of what such a run changed.
func TestRunOfEarlierSchemaIsRefused(t *testing.T) {
	s, id := updatedPending(t, nil)
	if _, err := s.bulkPool.Exec(`UPDATE migration_runs SET certificates_after = NULL`); err != nil {
		t.Fatal(err)
	}
	for _, roll := range []func() error{
		func() error { _, err := s.RollBackRun(t.Context(), id, "undoer"); return err },
		func() error { _, err := s.TryRollBack(t.Context(), id, "undoer"); return err },
	} {
		wantCode(t, roll(), capf.CodeRefused, "run 1", "earlier capf")
	}
}

// TestVoidingGoesByAnIndex: it is done for every phone that ends an operation.
func TestVoidingGoesByAnIndex(t *testing.T) {
	s := open(t)
	for query, want := range map[string]string{voidBeforeOf: "phones_before_string (device=?)", selectPastStrings: "phones_before_until (string_until<?)"} {
		if plan := queryPlan(t, s, query, "x"); !strings.Contains(plan, want) {
			t.Errorf("the plan lacks %q:\n%s", want, plan)
		}
	}
}
