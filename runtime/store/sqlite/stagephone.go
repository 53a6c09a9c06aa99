package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"time"

	"capf/runtime/capf"
	"capf/runtime/store"
)

// StagePhones stages phones that come of records which are staged already. In the order of their devices that is quick.
// CodeConflict where two records of the run give the same phone.
func (s *Store) StagePhones(ctx context.Context, run int64, phones []capf.StagedPhone) error {
	var first sql.NullInt64
	if _, err := s.reads.First(store.Into(&first), `SELECT min(id) FROM import_records WHERE run = +?1`, run); err != nil {
		return err
	}
	stager := s.phoneStager(run)
	return inBatches(ctx, s, run, phones, stager.begin, func(phone *capf.StagedPhone) (*stagedRow, error) {
		return stager.row(first.Int64+int64(phone.Record)-1, phone)
	}, stager.write)
}

// phoneStager stages phones of a run, and their operations where they will be in the end. A phone that is new goes there
// too (newphones.go). One that the store has waits beside it.
type phoneStager struct {
	run        int64
	now        time.Time
	reads      *store.Statements
	operations sequence
	reserved   reservedIDs
}

func (s *Store) phoneStager(run int64) *phoneStager {
	return &phoneStager{run: run, now: s.now(), reads: s.reads, operations: sequence{table: "operations"}}
}

// begin reads what others may have changed since the transaction before.
func (p *phoneStager) begin(tx *store.Statements) error {
	return errors.Join(p.operations.read(tx), p.reserved.read(tx, p.run))
}

// stagedRow is a phone as it is written, but for the ID of a new operation: which are free is known only while nobody else
// writes.
type stagedRow struct {
	query       string
	values      []driver.Value
	operationAt int            // of the operation's
	operation   []driver.Value // a new one, its ID first; nil for none
	pending     bool           // it will be
}

// row checks a phone, and makes of it what is written.
func (p *phoneStager) row(record int64, source *capf.StagedPhone) (*stagedRow, error) {
	device, err := capf.ParseDevice(source.Phone.Device)
	if err != nil {
		return nil, err
	}
	source.Phone.Device = device
	if err := checkPhone(&source.Phone); err != nil {
		return nil, err
	}
	expected, err := p.expected(source)
	switch {
	case err != nil:
		return nil, err
	case expected.Valid:
		return p.updatedRow(record, expected.Int64, &source.Phone), nil
	default:
		return p.newRow(record, &source.Phone), nil
	}
}

func (p *phoneStager) write(rows *rawStatements, row *stagedRow) error {
	if row.operation != nil {
		id, err := p.writeOperation(rows, row)
		if err != nil {
			return err
		}
		row.values[row.operationAt] = id
	}
	return rows.insert(row.query, row.values...)
}

func (p *phoneStager) writeOperation(rows *rawStatements, row *stagedRow) (id int64, err error) {
	if row.pending && p.reserved.next < p.reserved.end {
		id = p.reserved.next
		p.reserved.next++
	} else {
		id = p.operations.next()
	}
	if row.pending {
		if err := rows.insert(`INSERT INTO staged_operations (id) VALUES (?)`, id); err != nil {
			return id, err
		}
	}
	row.operation[0] = id
	return id, rows.insert(insertOperation, row.operation...)
}

// expected gives the count of changes of the phone that the run planned with; NULL where there was no phone.
func (p *phoneStager) expected(source *capf.StagedPhone) (expected sql.NullInt64, err error) {
	if source.Changes != 0 {
		return sql.NullInt64{Int64: source.Changes, Valid: true}, nil
	}
	if source.Verdict == capf.VerdictNew {
		return sql.NullInt64{}, nil
	}
	_, err = p.reads.First(store.Into(&expected), `SELECT changes FROM phones WHERE device = +?1`, source.Phone.Device)
	return expected, err
}

const insertStagedPhone = `INSERT INTO staged_phones (device, run, record, expected, description, auth_mode, auth_string,
	key_size, security_mode, result, last_operation, replaces) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

func (p *phoneStager) updatedRow(record, expected int64, phone *capf.Phone) *stagedRow {
	row := &stagedRow{query: insertStagedPhone, operationAt: 10}
	operation := p.giveOperation(row, phone)
	row.values = []driver.Value{phone.Device, p.run, record, expected, phone.Description, string(phone.AuthMode),
		column(store.SecretColumn(phone.AuthString)), string(phone.KeySize), string(phone.SecurityMode),
		integer(store.ResultColumn(phone.LastResult)), operation, row.pending}
	return row
}

func (p *phoneStager) newRow(record int64, phone *capf.Phone) *stagedRow {
	row := &stagedRow{query: insertNewPhone, operationAt: 6}
	operation := p.giveOperation(row, phone)
	row.values = []driver.Value{phone.Device, phone.Description, string(phone.AuthMode), column(store.SecretColumn(phone.AuthString)),
		string(phone.KeySize), string(phone.SecurityMode), operation, string(phone.LSCKnown), string(phone.MIC),
		integer(store.ResultColumn(phone.LastResult)), firstChanges(), record}
	return row
}

// giveOperation gives a row the operation of its phone where that is new. It gives the ID of one that is not, and nil.
func (p *phoneStager) giveOperation(row *stagedRow, phone *capf.Phone) (known driver.Value) {
	last := phone.Last
	switch {
	case last == nil:
		return nil
	case last.Ref.ID != 0:
		return last.Ref.ID
	}
	ending, created := last.Ending, last.CreatedAt
	if created.IsZero() {
		created = p.now
	}
	if row.pending = ending == capf.EndingNone; row.pending {
		ending = capf.EndingWithdrawn
	}
	row.operation = []driver.Value{nil, p.run, phone.Device, string(last.Operation), string(last.AuthMode), string(last.KeySize),
		integer(store.Seconds(last.CompletesBy)), created.Unix(), last.CreatedBy, integer(store.Seconds(last.EndedAt)), last.EndedBy,
		string(ending), integer(store.ResultColumn(last.Result)), last.Detail}
	return nil
}

// column gives what a driver knows: the value, or nil for NULL. None of the columns of this package fails at that.
func column(value driver.Valuer) driver.Value {
	plain, _ := value.Value()
	return plain
}

// integer does the same, and takes less memory for it.
func integer(value sql.NullInt64) driver.Value {
	if !value.Valid {
		return nil
	}
	return value.Int64
}
