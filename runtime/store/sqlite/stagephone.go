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

// phoneStager stages phones of a run. A phone that is new goes where it will be in the end, with its operation
// (newphones.go). One that the store has waits beside it.
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
		return stageUpdated(rows, p.run, record, expected.Int64, &source.Phone)
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

const insertStagedPhone = `INSERT INTO staged_phones (device, run, record, expected, changes, description, auth_mode, auth_string,
	key_size, security_mode, lsc_known, mic, result, kept_operation, operation, op_auth_mode, op_key_size, completes_by, created_at,
	created_by, ended_at, ended_by, ending, op_result, detail)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

func stageUpdated(rows *rawStatements, run, record, expected int64, p *capf.Phone) error {
	columns := append([]driver.Value{p.Device, run, record, expected, expected + 1, p.Description, string(p.AuthMode),
		column(store.SecretColumn(p.AuthString)), string(p.KeySize), string(p.SecurityMode), string(p.LSCKnown), string(p.MIC),
		column(store.ResultColumn(p.LastResult))}, stagedOperation(p.Last)...)
	return rows.insert(insertStagedPhone, columns...)
}

// stagedOperation gives the columns from kept_operation on.
func stagedOperation(last *capf.OperationRecord) []driver.Value {
	columns := make([]driver.Value, 12)
	switch {
	case last == nil:
	case last.Ref.ID != 0:
		columns[0] = last.Ref.ID
	default:
		columns = []driver.Value{nil, string(last.Operation), string(last.AuthMode), string(last.KeySize), column(store.Seconds(last.CompletesBy)),
			column(store.Seconds(last.CreatedAt)), last.CreatedBy, column(store.Seconds(last.EndedAt)), last.EndedBy, string(last.Ending),
			column(store.ResultColumn(last.Result)), last.Detail}
	}
	return columns
}

// column gives what a driver knows: the value, or nil for NULL. None of the columns of this package fails at that.
func column(value driver.Valuer) driver.Value {
	plain, _ := value.Value()
	return plain
}
