package sqlite

import (
	"errors"
	"fmt"
	"strings"
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

// unchecked has work write as ApplyRun does.
func unchecked(t *testing.T, s *Store, work func(*store.Statements) error) error {
	t.Helper()
	return s.onBulk(t.Context(), func(tx *store.Statements) error {
		return s.writeUnchecked(t.Context(), tx, func() error { return work(tx) })
	})
}

// TestImagesAreKeptBefore: what sessions do between that and the end of a run is in what a rollback goes back to, and so
// is what a run that was cut had kept.
func TestImagesAreKeptBefore(t *testing.T) {
	s := open(t)
	const phones = beforeAtOnce + 40
	id, refs := stageUpdates(t, s, phones)
	added, err := s.prepareApply(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	var kept int
	if err := s.readPool.QueryRow(`SELECT count(*) FROM phones_before WHERE run = ?1`, id).Scan(&kept); err != nil || kept != phones {
		t.Fatalf("%d images are kept, %v; want %d", kept, err, phones)
	}
	info := capf.SessionInfo{Instance: "here", Address: "192.0.2.7", TLS: "1.0", Started: time.Now()}
	if err := s.BeginOperation(t.Context(), deviceName(7), refs[7], info); err != nil {
		t.Fatal(err)
	}
	if err := s.ReleaseOperation(t.Context(), refs[7], "here", capf.ResultCommunication); err != nil {
		t.Fatal(err)
	}
	before := dump(t, s)
	for device, text := range before { // what is staged nobody sees
		before[device] = ""
		for line := range strings.Lines(text) {
			if !strings.HasSuffix(line, fmt.Sprintf(" run=%d\n", id)) {
				before[device] += line
			}
		}
	}
	// A run that is cut while it is applied goes on, and finds images of before.
	cut := errors.New("cut")
	err = unchecked(t, s, func(tx *store.Statements) error { return errors.Join(cut, s.updatePhones(tx, added)) })
	if err == nil || err.Error() != cut.Error() {
		t.Fatal(err)
	}
	if err := s.ApplyRun(t.Context(), id, capf.MigrationCounts{}); err != nil {
		t.Fatal(err)
	}
	done, err := s.RollBackRun(t.Context(), id, "undoer")
	if err != nil || done.Counts.PhonesRestored != phones || done.Counts.OperationsReopened != phones || len(done.Kept) > 0 {
		t.Fatal(done, err)
	}
	sameDump(t, "before the run", dump(t, s), before)
	checkSound(t, s)
}

// TestChangedBesideImages: a phone that changes once its image is kept stops the run, however it changes, and what was staged
// of it can be cleared away without a trace.
func TestChangedBesideImages(t *testing.T) {
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
		t.Run(name, func(t *testing.T) { changedBesideImages(t, change) })
	}
}

func changedBesideImages(t *testing.T, change func(*testing.T, *Store, string, capf.OperationRef)) {
	s := open(t)
	id, refs := stageUpdates(t, s, 30)
	added, err := s.prepareApply(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	change(t, s, deviceName(7), refs[7])
	before := dump(t, s)
	err = unchecked(t, s, func(tx *store.Statements) error { return s.updatePhones(tx, added) })
	wantCode(t, err, capf.CodeConflict, deviceName(7))
	wantCode(t, s.ApplyRun(t.Context(), id, capf.MigrationCounts{}), capf.CodeConflict, deviceName(7))
	sameDump(t, "after the conflict", dump(t, s), before)
	if err := s.clearUnapplied(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"phones_before", "staged_phones", "staged_operations", "staged_endings", "migration_runs"} {
		if rows := texts(t, s.readPool, `SELECT count(*) || '' FROM `+table); rows[0] != "0" {
			t.Errorf("%s rows are left in %s", rows[0], table)
		}
	}
	if staged := texts(t, s.readPool, `SELECT device FROM operations WHERE run IS NOT NULL`); len(staged) > 0 {
		t.Errorf("operations of the run are left: %v", staged)
	}
	checkWhole(t, s)
}

// TestImagesThatWereLost: without an image a phone gets one while the run is applied, and endings that a run before has left
// end nothing.
func TestImagesThatWereLost(t *testing.T) {
	s := open(t)
	apply(t, s, operation(deviceName(100)))
	before := dump(t, s)
	id := stageRun(t, s, "nothing", nil)
	if _, err := s.bulkPool.Exec(`INSERT INTO staged_endings (id, ending) SELECT id, 'replaced' FROM operations`); err != nil {
		t.Fatal(err)
	}
	if err := s.ApplyRun(t.Context(), id, capf.MigrationCounts{}); err != nil {
		t.Fatal(err)
	}
	sameDump(t, "of other phones", dump(t, s), before)

	id, _ = stageUpdates(t, s, 30)
	added, err := s.prepareApply(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.bulkPool.Exec(`DELETE FROM phones_before WHERE device < ?1`, deviceName(9)); err != nil {
		t.Fatal(err)
	}
	err = s.onBulk(t.Context(), func(tx *store.Statements) error {
		return s.writeUnchecked(t.Context(), tx, func() error { return s.applyRun(tx, added, "{}") })
	})
	if err != nil {
		t.Fatal(err)
	}
	images := texts(t, s.readPool, fmt.Sprintf(`SELECT count(*) || '' FROM phones_before WHERE run = %d`, id))
	ended := texts(t, s.readPool, fmt.Sprintf(`SELECT count(*) || '' FROM operations WHERE detail = 'migration run %d'`, id))
	if images[0] != "30" || ended[0] != "30" {
		t.Errorf("%s images are kept, %s operations are ended; want 30 each", images[0], ended[0])
	}
	checkWhole(t, s)
}
