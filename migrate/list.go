package migrate

import (
	"context"
	"fmt"

	"capf/runtime/capf"
)

// List gives the runs that were applied, the oldest first.
func List(ctx context.Context, store RunList) ([]capf.MigrationRun, error) { return store.Runs(ctx) }

// findRun gives the run of that number, for 0 the newest. CodeNotFound where there is none.
func findRun(ctx context.Context, store RunList, id int64) (capf.MigrationRun, []capf.MigrationRun, error) {
	runs, err := store.Runs(ctx)
	if err != nil {
		return capf.MigrationRun{}, nil, err
	}
	if id == 0 && len(runs) > 0 {
		id = runs[len(runs)-1].ID
	}
	for i, run := range runs {
		if run.ID == id {
			return run, runs[i+1:], nil
		}
	}
	message, hint := fmt.Sprintf("migration run %d is not in the store", id), "see `capf migrate list`"
	if id == 0 {
		message, hint = "nothing was migrated yet", "run `capf migrate run`"
	}
	return capf.MigrationRun{}, nil, &capf.Error{Code: capf.CodeNotFound, Message: message, Hint: hint}
}
