package migrate

import (
	"context"
	"fmt"

	"capf/runtime/capf"
)

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
