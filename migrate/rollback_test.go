package migrate

import (
	"context"
	"testing"
	"time"

	"capf/runtime/capf"
)

// rollbackStore notes what it is asked for.
type rollbackStore struct{ asked []string }

func (s *rollbackStore) RollBackRun(_ context.Context, run int64, by string) (capf.Rollback, error) {
	s.asked = append(s.asked, "roll back for "+by)
	return capf.Rollback{Run: run}, nil
}

func (s *rollbackStore) TryRollBack(_ context.Context, run int64, by string) (capf.Rollback, error) {
	s.asked = append(s.asked, "try for "+by)
	return capf.Rollback{Run: run, DryRun: true}, nil
}

func TestRollbackTriesOrDoes(t *testing.T) {
	store := &rollbackStore{}
	for _, dry := range []bool{true, false} {
		done, err := Rollback(t.Context(), 7, dry, store, "tester")
		if err != nil || done.Run != 7 || done.DryRun != dry {
			t.Errorf("dry run %t: %+v, %v", dry, done, err)
		}
	}
	for _, id := range []int64{0, -1} {
		_, err := Rollback(t.Context(), id, false, store, "tester")
		wantCode(t, err, capf.CodeInvalid, "capf migrate list")
	}
	if len(store.asked) != 2 || store.asked[0] != "try for tester" || store.asked[1] != "roll back for tester" {
		t.Errorf("the store was asked to %q", store.asked)
	}
}

// TestVerifyRolledBack: there is nothing to compare with a run that was rolled back, and it is not the newest.
func TestVerifyRolledBack(t *testing.T) {
	store := newMemoryStore()
	first := mustRun(t, phoneFolders(t, map[string][]string{"pub": {"SEP000000000001,install,pending,,null string,,1024,"}}), testOptions(), store)
	second := mustRun(t, phoneFolders(t, map[string][]string{"pub": {"SEP000000000002,install,pending,,null string,,1024,"}}), testOptions(), store)
	store.run(second.Run).RolledBackAt, store.run(second.Run).RolledBackBy = testNow.Add(time.Hour), "undoer"
	_, err := Verify(t.Context(), second.Run, store, nil)
	wantCode(t, err, capf.CodeConflict, "rolled back at 2026-03-01T13:00:00Z by undoer")
	if v := mustVerify(t, store, 0); v.Run != first.Run || !v.OK() {
		t.Errorf("the newest that stands is %+v, not run %d", v, first.Run)
	}
	store.run(first.Run).RolledBackAt = testNow
	_, err = Verify(t.Context(), 0, store, nil)
	wantCode(t, err, capf.CodeNotFound, "all of it was rolled back")
}
