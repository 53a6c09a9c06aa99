package sqlite

import (
	"encoding/json"
	"fmt"

	"capf/runtime/capf"
	"capf/runtime/store"
)

// insertDecisions notes what was decided for a run that is being staged, and what was missing and accepted.
func insertDecisions(tx *store.Statements, id int64, run capf.MigrationRun) error {
	decisions, err := json.Marshal(append([]capf.MigrationDecision{}, run.Decisions...))
	if err != nil {
		return fmt.Errorf("decisions of migration run %d: %w", id, err)
	}
	missing, err := json.Marshal(append([]string{}, run.Missing...))
	if err != nil {
		return fmt.Errorf("what migration run %d lacks: %w", id, err)
	}
	_, err = tx.Exec(`UPDATE migration_runs SET decisions = ?2, missing = ?3 WHERE id = +?1`, id, string(decisions), string(missing))
	return err
}

// readDecisions reads what insertDecisions wrote; empty lists are none.
func readDecisions(run *capf.MigrationRun, decisions, missing []byte) error {
	if err := json.Unmarshal(decisions, &run.Decisions); err != nil {
		return err
	}
	if len(run.Decisions) == 0 {
		run.Decisions = nil
	}
	if err := json.Unmarshal(missing, &run.Missing); err != nil {
		return err
	}
	if len(run.Missing) == 0 {
		run.Missing = nil
	}
	return nil
}
