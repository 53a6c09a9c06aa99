package sqlite

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"capf/runtime/capf"
	"capf/runtime/store"
)

// stageUpdates adds so many phones, each pending, and stages a run that updates all of them. It gives the run and the
// operation of each phone.
func stageUpdates(t *testing.T, s *Store, count int) (int64, []capf.OperationRef) {
	t.Helper()
	records := addedRecords(0, count)
	var refs []capf.OperationRef
	for n := range records {
		apply(t, s, operation(records[n].Device))
		phone, err := s.Phone(t.Context(), records[n].Device)
		if err != nil {
			t.Fatal(err)
		}
		refs = append(refs, phone.Last.Ref)
		records[n].Verdict = capf.VerdictUpdated
	}
	return stageRun(t, s, "key", records), refs
}

// TestImagesAreThoseOfTheMoment: what sessions do between the staging and the end of a run is in what a rollback goes back
// to, also after an application of the run that came to nothing.
func TestImagesAreThoseOfTheMoment(t *testing.T) {
	s := open(t)
	const phones = 40
	id, refs := stageUpdates(t, s, phones)
	info := capf.SessionInfo{Instance: "here", Address: "192.0.2.7", TLS: "1.0", Started: time.Now()}
	if err := s.BeginOperation(t.Context(), deviceName(7), refs[7], info); err != nil {
		t.Fatal(err)
	}
	if err := s.ReleaseOperation(t.Context(), refs[7], "here", capf.ResultCommunication); err != nil {
		t.Fatal(err)
	}
	before := dump(t, s)
	cut := errors.New("cut")
	err := s.onBulk(t.Context(), func(tx *store.Statements) error {
		return s.writeBulk(t.Context(), tx, func() error { return errors.Join(s.applyRun(tx, id, "{}"), cut) })
	})
	if !errors.Is(err, cut) || err.Error() != cut.Error() {
		t.Fatal(err)
	}
	sameDump(t, "after the cut", dump(t, s), before)
	if err := s.ApplyRun(t.Context(), id, capf.MigrationCounts{}); err != nil {
		t.Fatal(err)
	}
	images := texts(t, s.readPool, fmt.Sprintf(`SELECT count(*) || '' FROM phones_before WHERE run = %d`, id))
	ended := texts(t, s.readPool, fmt.Sprintf(`SELECT count(*) || '' FROM operations WHERE detail = 'migration run %d'`, id))
	if images[0] != fmt.Sprint(phones) || ended[0] != fmt.Sprint(phones) {
		t.Errorf("%s images are kept, %s operations are ended; want %d each", images[0], ended[0], phones)
	}
	done, err := s.RollBackRun(t.Context(), id, "undoer")
	if err != nil || done.Counts.PhonesRestored != phones || done.Counts.OperationsReopened != phones || len(done.Kept) > 0 {
		t.Fatal(done, err)
	}
	sameDump(t, "before the run", dump(t, s), before)
	checkSound(t, s)
}

// TestChangedSinceStaged: a phone that changes once it is staged stops the run, however it changes, and what was staged of
// it can be cleared away without a trace.
func TestChangedSinceStaged(t *testing.T) {
	text := "mine"
	for name, change := range map[string]func(*testing.T, *Store, string, capf.OperationRef){
		"set": func(t *testing.T, s *Store, device string, _ capf.OperationRef) {
			apply(t, s, capf.PhoneChange{Device: device, Description: &text})
		},
		"removed": func(t *testing.T, s *Store, device string, _ capf.OperationRef) {
			if err := s.RemovePhones(t.Context(), []string{device}, "ada"); err != nil {
				t.Fatal(err)
			}
		},
		"removed and added": func(t *testing.T, s *Store, device string, _ capf.OperationRef) {
			if err := s.RemovePhones(t.Context(), []string{device}, "ada"); err != nil {
				t.Fatal(err)
			}
			apply(t, s, operation(device))
		},
		"served": func(t *testing.T, s *Store, device string, ref capf.OperationRef) {
			outcome := capf.Outcome{Ending: capf.EndingFailed, Result: capf.ResultCommunication, At: time.Now(), By: "session"}
			if err := s.EndOperation(t.Context(), device, ref, outcome); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) { changedSinceStaged(t, change) })
	}
}

func changedSinceStaged(t *testing.T, change func(*testing.T, *Store, string, capf.OperationRef)) {
	s := open(t)
	id, refs := stageUpdates(t, s, 30)
	change(t, s, deviceName(7), refs[7])
	before := dump(t, s)
	wantCode(t, s.ApplyRun(t.Context(), id, capf.MigrationCounts{}), capf.CodeConflict, deviceName(7))
	sameDump(t, "after the conflict", dump(t, s), before)
	if err := s.clearUnapplied(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"phones_before", "staged_phones", "migration_runs"} {
		if rows := texts(t, s.readPool, `SELECT count(*) || '' FROM `+table); rows[0] != "0" {
			t.Errorf("%s rows are left in %s", rows[0], table)
		}
	}
	sameDump(t, "after clearing", dump(t, s), before)
	checkWhole(t, s)
}
