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

	// The operations that end with the run. That one is pending stays so, or its phone counts a change.
	endingsOfRun = `INSERT OR REPLACE INTO staged_endings (id, ending) SELECT b.pending_operation, iif(s.replaces, 'replaced', 'withdrawn')
		FROM staged_phones s CROSS JOIN phones_before b ON b.run = +?1 AND b.device = s.device
		WHERE s.run = +?1 AND s.device > ?3 AND s.device <= ?4 AND b.pending_operation IS NOT s.last_operation
		AND b.pending_operation IS NOT NULL ORDER BY b.pending_operation`

	// Those that phonesOfRun has not written. A session notes when it began and how its line broke, and does not count
	// that as a change of the phone.
	selectOutdated = `SELECT s.device, p.changes IS NOT s.expected FROM staged_phones s LEFT JOIN phones p ON p.device = s.device
		WHERE s.run = +?1 AND p.imported IS NOT s.record ORDER BY s.device`

	// Of a run that was rolled back, or will not be applied any more, nothing is gone back to.
	clearBefore = `DELETE FROM phones_before WHERE (run, device) IN (SELECT run, device FROM phones_before WHERE run IN
		(SELECT id FROM migration_runs WHERE applied_at IS NULL OR rolled_back_at IS NOT NULL) LIMIT +?1)`
)

// lastDevice comes after the name of any device.
const lastDevice = "\U0010FFFF"

// beforeAtOnce is after how many phones the clock is looked at.
const beforeAtOnce = 256

// keepBefore writes the images of all phones that a run updates, and which operations end with it.
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
	if after == "" {
		if _, err := tx.Exec(`DELETE FROM staged_endings`); err != nil { // of a run that was cut
			return "", false, err
		}
	}
	for _, query := range []string{phonesBefore, endingsOfRun} {
		if _, err := tx.Exec(query, run, s.now().Unix(), after, upTo); err != nil {
			return "", false, err
		}
	}
	return upTo, left, nil
}

// updateOutdated brings the images up to date of the phones that are not as those have them, under the lock, and writes
// the phones. CodeConflict where a phone has changed since the run was planned with it.
func (s *Store) updateOutdated(tx *store.Statements, run int64) error {
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
		if err := updateOne(tx, run, now, device); err != nil {
			return err
		}
	}
	return nil
}

// ofOne has a statement for phones from ?3 up to ?4, or for all of a run, take the phone ?3.
func ofOne(query string) string {
	query = strings.Replace(query, " AND s.device > ?3 AND s.device <= ?4", "", 1)
	return strings.Replace(query, "WHERE s.run = +?1", "WHERE s.run = +?1 AND s.device = ?3", 1)
}

var phoneBefore, endingOfPhone, phoneOfRun = ofOne(phonesBefore), ofOne(endingsOfRun), ofOne(phonesOfRun)

func updateOne(tx *store.Statements, run, now int64, device string) error {
	for _, query := range []string{phoneBefore, endingOfPhone} {
		if _, err := tx.Exec(query, run, now, device); err != nil {
			return err
		}
	}
	written, err := tx.Exec(phoneOfRun, run, now, device)
	if err == nil && written != 1 {
		err = changedSince([]string{device})
	}
	return err
}

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
