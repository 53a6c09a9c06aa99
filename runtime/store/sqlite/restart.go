package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"capf/runtime/capf"
	"capf/runtime/store"
)

// OweRestart notes that the services of a node have to be restarted for a list. Where that is so already, the earlier
// list stays noted. CodeNotFound where there is no such node.
func (s *Store) OweRestart(ctx context.Context, node string, version int64) error {
	return s.writer.Do(ctx, func(tx *store.Statements) error {
		if _, err := nodeNamed(tx, node); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO restarts (node, version, since, done_at, done_by) VALUES (?1, ?2, ?3, NULL, '')
			ON CONFLICT (node) DO UPDATE SET version = excluded.version, since = excluded.since, done_at = NULL, done_by = ''
			WHERE restarts.done_at IS NOT NULL`, node, version, s.now().Unix())
		return err
	})
}

// Restarts gives what is known of the restarts of each node that got a list since they are noted, by name.
func (s *Store) Restarts(ctx context.Context) ([]capf.Restart, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return store.Collect(s.reads, scanRestart, `SELECT node, version, since, done_at, done_by FROM restarts ORDER BY node`)
}

func scanRestart(cursor store.Scanner) (restart capf.Restart, err error) {
	var since, doneAt sql.NullInt64
	err = cursor.Scan(&restart.Node, &restart.Version, &since, &doneAt, &restart.DoneBy)
	restart.Since, restart.DoneAt = store.Time(since), store.Time(doneAt)
	return restart, err
}

// RestartsDone notes that somebody has restarted the services of these nodes. Of a node of which none is due nothing is
// noted. CodeNotFound, and nothing noted, where one of them is not there.
func (s *Store) RestartsDone(ctx context.Context, nodes []string, actor string) error {
	return s.writer.Do(ctx, func(tx *store.Statements) error {
		for _, node := range nodes {
			if _, err := nodeNamed(tx, node); err != nil {
				return err
			}
			if err := s.restartDone(tx, node, actor); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Store) restartDone(tx *store.Statements, node, actor string) error {
	var version int64
	due, err := tx.First(store.Into(&version), `SELECT version FROM restarts WHERE node = +?1 AND done_at IS NULL`, node)
	if err != nil || !due {
		return err
	}
	if _, err := tx.Exec(`UPDATE restarts SET done_at = ?2, done_by = ?3 WHERE node = +?1`, node, s.now().Unix(), actor); err != nil {
		return err
	}
	return s.audit(tx, actor, "ctl restarted", node, fmt.Sprintf("since version %d", version))
}
