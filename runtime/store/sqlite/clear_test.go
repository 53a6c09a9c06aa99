package sqlite

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"capf/runtime/capf"
	"capf/runtime/store/storetest"
)

// fewTurns ends once the store has asked it so many times whether to go on, which it does before each transaction. What
// is left then is what a process leaves that is killed there.
type fewTurns struct {
	context.Context
	left int
}

func (f *fewTurns) Err() error {
	if f.left--; f.left < 0 {
		return context.Canceled
	}
	return nil
}

// TestClearingIsCut has a run cleared away and cuts that after each transaction: the same run afterwards finds nothing of it.
func TestClearingIsCut(t *testing.T) {
	s := open(t)
	const there, phones = clearBatch + 100, 2 * (clearBatch + 100)
	if err := s.ApplyRun(t.Context(), stageRun(t, s, "first", addedRecords(0, there)), capf.MigrationCounts{}); err != nil {
		t.Fatal(err)
	}
	records := addedRecords(0, phones)
	for n := range there {
		records[n].Verdict = capf.VerdictUpdated
	}
	before := dump(t, s)
	cut := errors.New("never cleared")
	for turns := 0; cut != nil; turns++ {
		stageRun(t, s, "key", records)
		if cut = s.clearUnapplied(&fewTurns{t.Context(), turns}); cut != nil && !errors.Is(cut, context.Canceled) {
			t.Fatal(cut)
		}
		goOn(t, s, fmt.Sprintf("cut after %d transactions", turns), records)
		sameDump(t, "after the rollback", dump(t, s), before)
	}
	checkWhole(t, s)
}

// goOn does what the same command does again: it stages what is not staged, applies the run and rolls it back.
func goOn(t *testing.T, s *Store, when string, records []storetest.Planned) {
	t.Helper()
	id, err := s.BeginRun(t.Context(), capf.MigrationRun{Key: "key", By: "tester"})
	if err != nil {
		t.Fatal(when, err)
	}
	if err := storetest.Stage(t.Context(), s, id, records); err != nil {
		t.Fatal(when, err)
	}
	if err := s.ApplyRun(t.Context(), id, capf.MigrationCounts{}); err != nil {
		t.Fatal(when, err)
	}
	var found int
	query := `SELECT count(*) FROM phones p JOIN import_records i ON i.id = p.imported AND i.run = ?1 JOIN operations o ON o.id = p.last_operation`
	if err := s.readPool.QueryRow(query, id).Scan(&found); err != nil || found != len(records) {
		t.Fatalf("%s: %d phones are of the run, %v; want %d", when, found, err, len(records))
	}
	if done, err := s.RollBackRun(t.Context(), id, "undoer"); err != nil || len(done.Kept) > 0 {
		t.Fatal(when, done.Kept, err)
	}
}
