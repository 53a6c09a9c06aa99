package sqlite

import (
	"context"
	"database/sql"
	"time"

	"capf/runtime/capf"
	"capf/runtime/store"
)

// What the service asks when the maintenance window opens.

// RecordHeldCall remembers that the maintenance window held a phone back, in place of the call before. Where
// the operation is no longer pending at that revision it writes nothing.
func (s *Store) RecordHeldCall(ctx context.Context, ref capf.OperationRef, call capf.HeldCall) error {
	return s.writer.Do(ctx, func(tx *store.Statements) error {
		_, err := tx.Exec(`INSERT INTO held_calls (device, operation, address, at, opens_at)
			SELECT device, id, ?4, ?5, ?6 FROM operations WHERE id = +?1 AND revision = +?2 AND device = +?3 AND ending = ''
			ON CONFLICT (device) DO UPDATE SET operation = excluded.operation, address = excluded.address, at = excluded.at,
			opens_at = excluded.opens_at`,
			ref.ID, ref.Revision, call.Device, call.Address, call.At.Unix(), store.Seconds(call.Opens))
		return err
	})
}

// LastHeldCall gives the last call of a phone that was held back for the operation that it has last; nil
// where there was none.
func (s *Store) LastHeldCall(ctx context.Context, device string) (*capf.HeldCall, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	call := capf.HeldCall{Device: device}
	var at, opens sql.NullInt64
	found, err := s.reads.First(store.Into(&call.Address, &at, &opens), `SELECT h.address, h.at, h.opens_at
		FROM held_calls h JOIN phones p ON p.device = h.device AND p.last_operation = h.operation WHERE h.device = +?1`, device)
	if err != nil || !found {
		return nil, err
	}
	call.At, call.Opens = store.Time(at), store.Time(opens)
	return &call, nil
}

// RecordResets remembers resets of phones, each in place of the one before, and notes them in the audit
// trail. What is no phone of ours is left out.
func (s *Store) RecordResets(ctx context.Context, resets []capf.Reset) error {
	return s.writer.Do(ctx, func(tx *store.Statements) error {
		for _, reset := range resets {
			reset.Problem = store.ClipAttempt(capf.Attempt{Detail: reset.Problem}).Detail
			known, err := tx.Exec(`INSERT INTO resets (device, at, by, problem) SELECT device, ?2, ?3, ?4 FROM phones WHERE device = +?1
				ON CONFLICT (device) DO UPDATE SET at = excluded.at, by = excluded.by, problem = excluded.problem`,
				reset.Device, reset.At.Unix(), reset.By, reset.Problem)
			if err != nil {
				return err
			}
			if known == 0 {
				continue
			}
			if err := s.audit(tx, reset.By, "phone reset", reset.Device, reset.Problem); err != nil {
				return err
			}
		}
		return nil
	})
}

const selectReset = `SELECT device, at, by, problem FROM resets WHERE device = +?1`

// LastReset gives the last reset of a phone; nil where there was none.
func (s *Store) LastReset(ctx context.Context, device string) (*capf.Reset, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var reset capf.Reset
	found, err := s.reads.First(func(row store.Scanner) (err error) {
		var at sql.NullInt64
		err = row.Scan(&reset.Device, &at, &reset.By, &reset.Problem)
		reset.At = store.Time(at)
		return err
	}, selectReset, device)
	if err != nil || !found {
		return nil, err
	}
	return &reset, nil
}

// pageOfRenewals gives the LSCs that phones hold and that are to be renewed, by an index on when that is.
const pageOfRenewals = `SELECT c.id, c.not_after - (c.not_after - c.not_before) / 3, c.device FROM certificates c
	JOIN phones p ON p.device = c.device AND p.lsc = c.id
	WHERE c.kind = 'lsc' AND c.state = 'confirmed'
	AND (c.not_after - (c.not_after - c.not_before) / 3, c.id) > (+?1, +?2)
	AND c.not_after - (c.not_after - c.not_before) / 3 <= +?3
	ORDER BY c.not_after - (c.not_after - c.not_before) / 3, c.id LIMIT 256`

// renewalRow is where a page ends, and whose LSC it is.
type renewalRow struct {
	id, start int64
	device    string
}

// RenewalsDue hands out the phones that hold an LSC of whose life two thirds are over at that time, whatever
// is pending for them, until yield gives an error, which it gives back.
func (s *Store) RenewalsDue(ctx context.Context, now time.Time, yield func(capf.Phone) error) error {
	last := renewalRow{start: -1 << 62}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		page, err := store.Collect(s.reads, scanRenewal, pageOfRenewals, last.start, last.id, now.Unix())
		if err != nil {
			return err
		}
		for _, row := range page {
			phone, found, err := readPhone(s.reads, row.device)
			if err == nil && found {
				err = yield(phone.Phone)
			}
			if err != nil {
				return err
			}
		}
		if len(page) < pageSize {
			return nil
		}
		last = page[len(page)-1]
	}
}

func scanRenewal(cursor store.Scanner) (row renewalRow, err error) {
	var start sql.NullInt64
	err = cursor.Scan(&row.id, &start, &row.device)
	row.start = start.Int64
	return row, err
}
