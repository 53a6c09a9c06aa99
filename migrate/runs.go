package migrate

import (
	"context"
	"fmt"

	"capf/runtime/capf"
)

// Runs that were applied are listed, found by their number, and taken back.

// List gives the runs that were applied, those that were rolled back too, the oldest first.
func List(ctx context.Context, store RunList) ([]capf.MigrationRun, error) { return store.Runs(ctx) }

// findRun gives the run of that number, for 0 the newest that stands, and those after it. CodeNotFound where there is none,
// CodeConflict where it was rolled back.
func findRun(runs []capf.MigrationRun, id int64) (capf.MigrationRun, []capf.MigrationRun, error) {
	for i := len(runs) - 1; i >= 0; i-- {
		switch run := runs[i]; {
		case run.ID == id && !run.RolledBackAt.IsZero():
			return run, nil, &capf.Error{Code: capf.CodeConflict, Hint: "see `capf migrate list` for those that stand",
				Message: fmt.Sprintf("migration run %d was rolled back at %s by %s", id, capf.FormatTime(run.RolledBackAt), run.RolledBackBy)}
		case run.ID == id, id == 0 && run.RolledBackAt.IsZero():
			return run, runs[i+1:], nil
		}
	}
	message, hint := fmt.Sprintf("migration run %d is not in the store", id), "see `capf migrate list`"
	if id == 0 {
		message, hint = "nothing was migrated, or all of it was rolled back", "run `capf migrate run`"
	}
	return capf.MigrationRun{}, nil, &capf.Error{Code: capf.CodeNotFound, Message: message, Hint: hint}
}

// RollbackStore takes back what a run did, the newest first: all that it may take back, in one step. It refuses a run
// after which another one stands.
type RollbackStore interface {
	// RollBackRun gives what it restored, and what it kept because a person or a phone has changed it since.
	RollBackRun(ctx context.Context, run int64, by string) (capf.Rollback, error)
	// TryRollBack is RollBackRun without changing anything.
	TryRollBack(ctx context.Context, run int64, by string) (capf.Rollback, error)
}

// Rollback goes back before the run of that number, in the name of the actor; with dryRun it only says what would
// come of it. The same sources are new to the store after that, but for the records of phones that were kept. What was
// read of the sources (records, lines kept aside, certificates) stays as the history of the run. Nothing of the CAPF
// identity is a run's: neither its key nor what it has issued is ever touched.
func Rollback(ctx context.Context, id int64, dryRun bool, store RollbackStore, actor string) (capf.Rollback, error) {
	if id <= 0 {
		return capf.Rollback{}, &capf.Error{Code: capf.CodeInvalid, Message: fmt.Sprintf("migration run %d", id), Hint: "see `capf migrate list` for its number"}
	}
	if dryRun {
		return store.TryRollBack(ctx, id, actor)
	}
	return store.RollBackRun(ctx, id, actor)
}
