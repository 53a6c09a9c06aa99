package sqlite

import (
	"context"
	"database/sql"
	"time"

	"capf/runtime/capf"
	"capf/runtime/store"
)

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
