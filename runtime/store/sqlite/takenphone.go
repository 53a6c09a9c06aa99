package sqlite

import (
	"context"
	"database/sql"

	"capf/runtime/capf"
	"capf/runtime/store"
)

// recordsOf are the IDs of a run's records, first to last; none where other rows lie between them, or it has none.
type recordsOf struct{ first, last int64 }

// A run stages its records one after the other, so that their numbers are told from their IDs.
const selectRecordsOf = `SELECT count(*), min(id), max(id) FROM import_records
	WHERE run = (SELECT id FROM migration_runs WHERE id = +?1 AND applied_at IS NOT NULL)`

func (s *Store) recordsOf(run int64) (recordsOf, error) {
	var count int64
	var first, last sql.NullInt64
	_, err := s.reads.First(store.Into(&count, &first, &last), selectRecordsOf, run)
	if err != nil || count == 0 || last.Int64-first.Int64 != count-1 {
		return recordsOf{}, err
	}
	return recordsOf{first.Int64, last.Int64}, nil
}

// number gives that of a record, from 1; 0 for one that is not the run's.
func (r recordsOf) number(id sql.NullInt64) int {
	if !id.Valid || r.first == 0 || id.Int64 < r.first || id.Int64 > r.last {
		return 0
	}
	return int(id.Int64 - r.first + 1)
}

// Records lie in the order of their run, phones in that of their names: to look up the record of each phone takes longer
// than all the rest. So it is done for records of other runs only.
const selectTakenPhones = `SELECT p.device, p.description, p.auth_mode, p.auth_string, p.key_size, p.changed_at, p.imported, i.digest, i.machine,
	p.last_operation, o.operation, o.auth_mode, o.key_size, o.ended_at, o.ended_by, o.ending, o.result, o.detail
	FROM phones p LEFT JOIN operations o ON o.id = p.last_operation
	LEFT JOIN import_records i ON i.id = CASE WHEN p.imported BETWEEN +?3 AND +?4 THEN NULL ELSE p.imported END
	WHERE p.device > +?1 ORDER BY p.device LIMIT +?2`

// TakenPhones hands out every phone, as far as records of phones say something of it, with the record that it comes from,
// in the order of their names, until yield gives an error.
func (s *Store) TakenPhones(ctx context.Context, run int64, yield func(capf.TakenPhone) error) error {
	records, err := s.recordsOf(run)
	if err != nil {
		return err
	}
	return inPages(ctx, s.reads, records.scanTaken, func(phone capf.TakenPhone) string { return phone.Device }, yield,
		selectTakenPhones, []any{"", pageSize, records.first, records.last})
}

// scanTaken reads a row of selectTakenPhones.
func (r recordsOf) scanTaken(cursor store.Scanner) (p capf.TakenPhone, err error) {
	var digits sql.Null[string]
	var changedAt, imported sql.NullInt64
	var digest, machine sql.NullString
	var o operationColumns
	err = cursor.Scan(&p.Device, &p.Description, &p.AuthMode, &digits, &p.KeySize, &changedAt, &imported, &digest, &machine,
		&o.id, &o.operation, &o.authMode, &o.keySize, &o.endedAt, &o.endedBy, &o.ending, &o.result, &o.detail)
	if err != nil {
		return capf.TakenPhone{}, err
	}
	p.Record, p.ChangedAt, p.Digest, p.Machine = r.number(imported), store.Time(changedAt), digest.String, machine.String
	p.Last = o.record(p.Device)
	p.AuthString, err = store.Secret(digits)
	return p, err
}
