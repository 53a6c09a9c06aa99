package migrate

import (
	"context"
	"fmt"

	"capf/runtime/capf"
)

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
