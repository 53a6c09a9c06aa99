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
	return inBatches(ctx, s, run, phones, stager.begin, func(rows *rawStatements, phone capf.StagedPhone) error {
		return stager.stage(rows, first.Int64+int64(phone.Record)-1, phone)
	})
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

func (p *phoneStager) stage(rows *rawStatements, record int64, source capf.StagedPhone) error {
	device, err := capf.ParseDevice(source.Phone.Device)
	if err != nil {
		return err
	}
	source.Phone.Device = device
	if err := checkPhone(&source.Phone); err != nil {
		return err
	}
	expected, err := p.expected(source)
	switch {
	case err != nil:
		return err
	case expected.Valid:
		return p.stageUpdated(rows, record, expected.Int64, &source.Phone)
	default:
		return p.stageNew(rows, record, &source.Phone)
	}
}

// expected gives the count of changes of the phone that the run planned with; NULL where there was no phone.
func (p *phoneStager) expected(source capf.StagedPhone) (expected sql.NullInt64, err error) {
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

func (p *phoneStager) stageUpdated(rows *rawStatements, record, expected int64, phone *capf.Phone) error {
	operation, replaces, err := p.lastOperation(rows, phone)
	if err != nil {
		return err
	}
	return rows.insert(insertStagedPhone, phone.Device, p.run, record, expected, phone.Description, string(phone.AuthMode),
		column(store.SecretColumn(phone.AuthString)), string(phone.KeySize), string(phone.SecurityMode),
		column(store.ResultColumn(phone.LastResult)), operation, replaces)
}

// lastOperation gives the ID of the operation of a phone that is updated, nil for none, and whether it is a new one that
// will be pending. One that is new it stages.
func (p *phoneStager) lastOperation(rows *rawStatements, phone *capf.Phone) (id any, replaces bool, err error) {
	last := phone.Last
	switch {
	case last == nil:
		return nil, false, nil
	case last.Ref.ID != 0:
		return last.Ref.ID, false, nil
	}
	id, err = p.stageOperation(rows, phone.Device, last)
	return id, last.Ending == capf.EndingNone, err
}

// column gives what a driver knows: the value, or nil for NULL. None of the columns of this package fails at that.
func column(value driver.Valuer) driver.Value {
	plain, _ := value.Value()
	return plain
}
