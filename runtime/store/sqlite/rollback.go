package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"capf/runtime/capf"
	"capf/runtime/store"
)

// RollBackRun takes back what an applied run changed, all in one transaction, and gives what it restored and what
// it kept. The run's records, kept lines and files stay as history; the run counts as applied no more.
//
// What a person or a phone has changed since stays as it is, each phone as a whole: one that was changed, has
// called, or got an LSC; removed ones stay removed. So do certificates that a phone has shown or that were revoked,
// anchors on which LSCs hang, and parameters that were set since. Certificates that were issued are no run's.
// An operation that the run ended is pending again; where its deadline has passed it reads as expired, and its
// string stays void. That an operation of the run itself expired is nobody's change.
//
// CodeNotFound where there is no such run; CodeConflict where it was rolled back already or a newer one stands;
// CodeRefused for one that was applied before anything was kept to go back to.
func (s *Store) RollBackRun(ctx context.Context, run int64, by string) (capf.Rollback, error) {
	anchors, err := store.Collect(s.reads, scanAnchor, selectRunAnchors, run)
	if err != nil {
		return capf.Rollback{}, err
	}
	// Here and not under the lock: to verify the LSCs of 100,000 phones takes seconds.
	if err := s.LinkIssuers(ctx, anchors); err != nil {
		return capf.Rollback{}, err
	}
	done, err := s.rollBack(ctx, capf.Rollback{Run: run, By: by}, func(r *rollback, work func() error) error {
		return s.writeUnchecked(ctx, r.tx, work)
	})
	if err == nil {
		s.clearRolledBack(ctx)
	}
	return done, err
}

// clearRolledBack removes what the run had kept. Where that does not come to its end, the next run does it.
func (s *Store) clearRolledBack(ctx context.Context) {
	_ = s.load(ctx, func(l *loader) error { return s.clearImages(ctx, l) })
}

// TryRollBack is RollBackRun without changing anything. It holds no lock.
func (s *Store) TryRollBack(ctx context.Context, run int64, by string) (capf.Rollback, error) {
	return s.rollBack(ctx, capf.Rollback{Run: run, By: by, DryRun: true}, func(r *rollback, work func() error) error {
		return inSnapshot(r.tx, work)
	})
}

// inSnapshot runs work on one state of the store, of which it changes nothing but temporary tables.
func inSnapshot(statements *store.Statements, work func() error) error {
	if _, err := statements.Exec(`BEGIN`); err != nil {
		return err
	}
	err := work()
	_, ended := statements.Exec(`ROLLBACK`)
	return errors.Join(err, ended)
}

// rollback is one that is under way.
type rollback struct {
	capf.Rollback
	tx  *store.Statements
	now time.Time
	of  rollbackRun
}

// rollbackRun is what is known of the run.
type rollbackRun struct {
	after, upTo given
}

// rollBack works out on a connection of its own, in temporary tables, what is to be restored, and restores it
// unless that is only a trial. frame is what all of it happens in, but for what stays as it is once a run is applied.
func (s *Store) rollBack(ctx context.Context, of capf.Rollback, frame func(*rollback, func() error) error) (capf.Rollback, error) {
	r := &rollback{Rollback: of}
	err := s.onBulk(ctx, func(tx *store.Statements) error {
		r.tx = tx
		for _, step := range []func() error{r.createUndo, r.find, r.take} {
			if err := step(); err != nil {
				return err
			}
		}
		return frame(r, func() error { return s.carryOutRollback(r) })
	})
	if err != nil {
		return capf.Rollback{}, err
	}
	return r.Rollback, nil
}

func (s *Store) carryOutRollback(r *rollback) error {
	r.now = s.now()
	r.At = r.now
	if err := r.find(); err != nil {
		return err
	}
	for _, step := range []func() error{r.decide, r.decideAnchors, r.count, r.list} {
		if err := step(); err != nil {
			return err
		}
	}
	if r.DryRun {
		return nil
	}
	if err := r.write(); err != nil {
		return err
	}
	return s.audit(r.tx, r.By, "migrate rollback", fmt.Sprintf("run %d", r.Run), describeRollback(r.Rollback))
}

func describeRollback(of capf.Rollback) string {
	c := of.Counts
	return fmt.Sprintf("phones removed=%d restored=%d operations removed=%d reopened=%d certificates removed=%d anchors removed=%d parameters removed=%d kept=%d",
		c.PhonesRemoved, c.PhonesRestored, c.OperationsRemoved, c.OperationsReopened, c.Certificates, c.Anchors, c.Parameters, len(of.Kept))
}

const (
	selectRunAnchors = `SELECT a.id, a.kind, a.subject, a.serial, a.not_before, a.not_after, a.der, a.sha256, a.origin, a.added_at
		FROM migration_runs r JOIN anchors a ON a.id > r.anchors_after AND a.id <= r.anchors_up_to WHERE r.id = +?1 ORDER BY a.id`

	selectRollbackRun = `SELECT rolled_back_at, rolled_back_by, certificates_after IS NOT NULL,
		coalesce(certificates_after, 0), coalesce(certificates_up_to, 0), coalesce(anchors_after, 0), coalesce(anchors_up_to, 0),
		(SELECT coalesce(max(n.id), 0) FROM migration_runs n WHERE n.id > r.id AND n.applied_at IS NOT NULL AND n.rolled_back_at IS NULL)
		FROM migration_runs r WHERE id = +?1 AND applied_at IS NOT NULL`
)
