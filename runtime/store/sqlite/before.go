package sqlite

import (
	"context"
	"fmt"
	"strings"
	"time"

	"capf/runtime/capf"
	"capf/runtime/store"
)

// What RollBackRun goes back to is written before a run is applied, in short transactions: nobody looks at it before the
// run is. The transaction that applies the run then only finds what sessions have changed since.

const (
	// What a run adds needs no image, so that a first run of many phones costs nothing here. A run that goes on after one
	// that was cut finds the images of that.
	phonesBefore = `INSERT OR REPLACE INTO phones_before (run, device, record, description, auth_mode, auth_string, string_until, key_size,
		security_mode, last_operation, pending_operation, last_session, result, result_mark, changed_at, imported)
		SELECT ?1, p.device, s.record, p.description, p.auth_mode, iif(o.completes_by < ?2, NULL, p.auth_string), o.completes_by, p.key_size,
		p.security_mode, p.last_operation, o.id, p.last_session, p.result, p.result_mark, p.changed_at, p.imported
		FROM staged_phones s CROSS JOIN phones p ON p.device = s.device
		LEFT JOIN operations o ON o.device = p.device AND o.ending = ''
		WHERE s.run = +?1 AND s.device > ?3 AND s.device <= ?4 ORDER BY s.device`

	selectStagedAfter = `SELECT device FROM staged_phones WHERE device > +?1 ORDER BY device LIMIT 1 OFFSET +?2`

	// A session notes when it began and how its line broke, and does not count that as a change of the phone.
	selectOutdated = `SELECT s.device, p.changes IS NOT s.expected FROM staged_phones s
		LEFT JOIN phones_before b ON b.run = +?1 AND b.device = s.device LEFT JOIN phones p ON p.device = s.device
		WHERE s.run = +?1 AND (p.changes IS NOT s.expected OR b.device IS NULL OR p.last_session IS NOT b.last_session
		OR p.result IS NOT b.result OR p.result_mark <> b.result_mark) ORDER BY s.device`

	// Of a run that was rolled back, or will not be applied any more, nothing is gone back to.
	clearBefore = `DELETE FROM phones_before WHERE (run, device) IN (SELECT run, device FROM phones_before WHERE run IN
		(SELECT id FROM migration_runs WHERE applied_at IS NULL OR rolled_back_at IS NOT NULL) LIMIT +?1)`
)

// lastDevice comes after the name of any device.
const lastDevice = "\U0010FFFF"

// beforeAtOnce is after how many phones the clock is looked at.
const beforeAtOnce = 256

// keepBefore writes the images of all phones that a run updates.
func (s *Store) keepBefore(ctx context.Context, run int64) error {
	after := ""
	return s.load(ctx, func(l *loader) error {
		return s.inTurns(ctx, l, func() (left bool, err error) {
			if err := checkStaged(l.checks, run); err != nil {
				return false, err
			}
			until := time.Now().Add(holdTime)
			for left = true; left && err == nil && time.Now().Before(until); {
				after, left, err = s.keepSome(l.checks, run, after)
			}
			return left, err
		})
	})
}

func (s *Store) keepSome(tx *store.Statements, run int64, after string) (upTo string, left bool, err error) {
	left, err = tx.First(store.Into(&upTo), selectStagedAfter, after, beforeAtOnce-1)
	if err != nil {
		return "", false, err
	}
	if !left {
		upTo = lastDevice
	}
	_, err = tx.Exec(phonesBefore, run, s.now().Unix(), after, upTo)
	return upTo, left, err
}

// refreshBefore brings the images up to date, under the lock. CodeConflict where a phone has changed since the run was
// planned with it.
func (s *Store) refreshBefore(tx *store.Statements, run int64) error {
	var outdated, changed []string
	err := tx.Each(func(cursor store.Scanner) error {
		var device string
		var conflict bool
		err := cursor.Scan(&device, &conflict)
		if outdated = append(outdated, device); conflict {
			changed = append(changed, device)
		}
		return err
	}, selectOutdated, run)
	if err == nil && len(changed) > 0 {
		err = changedSince(changed)
	}
	if err != nil {
		return err
	}
	now := s.now().Unix()
	for _, device := range outdated {
		if _, err := tx.Exec(phoneBefore, run, now, device); err != nil {
			return err
		}
	}
	return nil
}

// phoneBefore is phonesBefore for one phone.
var phoneBefore = strings.Replace(phonesBefore, "s.device > ?3 AND s.device <= ?4", "s.device = ?3", 1)

// mostNamed is how many phones an error names.
const mostNamed = 3

func changedSince(devices []string) error {
	return &capf.Error{Code: capf.CodeConflict, Hint: "nothing is stored; run it again",
		Message: fmt.Sprintf("phones have changed since the migration was planned: %s", strings.Join(devices[:min(mostNamed, len(devices))], ", "))}
}

// clearImages removes, in short transactions, the images of runs that are applied no more or not yet.
func (s *Store) clearImages(ctx context.Context, l *loader) error {
	return s.inTurns(ctx, l, func() (bool, error) {
		cleared, err := l.checks.Exec(clearBefore, clearBatch)
		return cleared == clearBatch, err
	})
}
