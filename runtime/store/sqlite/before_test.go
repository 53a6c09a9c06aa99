package sqlite

import (
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
	// A run that was cut goes on, and finds images of before.
	err = s.writer.Do(t.Context(), func(tx *store.Statements) error { return s.checkUnchanged(tx, added) })
	if err != nil {
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

// TestChangedBesideImages: a phone that changes once its image is kept stops the run, and what was staged of it can be
// cleared away without a trace.
func TestChangedBesideImages(t *testing.T) {
	s := open(t)
	id, _ := stageUpdates(t, s, 30)
	added, err := s.prepareApply(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	text := "mine"
	apply(t, s, capf.PhoneChange{Device: deviceName(7), Description: &text})
	before := dump(t, s)
	err = s.writer.Do(t.Context(), func(tx *store.Statements) error { return s.checkUnchanged(tx, added) })
	wantCode(t, err, capf.CodeConflict, deviceName(7))
	wantCode(t, s.ApplyRun(t.Context(), id, capf.MigrationCounts{}), capf.CodeConflict, deviceName(7))
	sameDump(t, "after the conflict", dump(t, s), before)
	if err := s.clearUnapplied(t.Context()); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]int{
		`SELECT count(*) FROM phones_before`: 0, `SELECT count(*) FROM staged_phones`: 0, `SELECT count(*) FROM staged_operations`: 0,
		`SELECT count(*) FROM operations`: 30, `SELECT count(*) FROM operations WHERE ending = ''`: 30, `SELECT count(*) FROM migration_runs`: 0,
	} {
		var got int
		if _, err := s.reads.First(store.Into(&got), query); err != nil || got != want {
			t.Errorf("%s gives %d, %v; want %d", query, got, err, want)
		}
	}
	checkWhole(t, s)
}
