package sqlite

import (
	"context"
	"crypto/x509"
	"database/sql"
	"fmt"
	"slices"

	"capf/runtime/capf"
	"capf/runtime/store"
)

// stageBatch is how many rows are staged in one transaction, so that a service beside goes on.
const stageBatch = 500

// inBatches writes rows of a run batch by batch.
func inBatches[T any](ctx context.Context, s *Store, run int64, rows []T, write func(*store.Statements, T) error) error {
	for batch := range slices.Chunk(rows, stageBatch) {
		err := s.writer.Do(ctx, func(tx *store.Statements) error {
			if err := checkStaged(tx, run); err != nil {
				return err
			}
			for _, row := range batch {
				if err := write(tx, row); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// checkStaged gives CodeConflict where the run is not one that is being staged.
func checkStaged(tx *store.Statements, run int64) error {
	var id int64
	staged, err := tx.First(store.Into(&id), `SELECT id FROM migration_runs WHERE id = +?1 AND applied_at IS NULL`, run)
	if err == nil && !staged {
		err = &capf.Error{Code: capf.CodeConflict, Message: fmt.Sprintf("migration run %d is not open: it was applied, or another run has cleared it away", run),
			Hint: "run the migration again, one at a time"}
	}
	return err
}

// StageRecords stages the records of phones, and the phones that come of them. CodeConflict where two
// records of the run give the same phone.
func (s *Store) StageRecords(ctx context.Context, run int64, records []capf.ImportRecord) error {
	return inBatches(ctx, s, run, records, func(tx *store.Statements, record capf.ImportRecord) error {
		id, err := tx.Insert(`INSERT INTO import_records (run, device, machine, file, line, digest, raw, time, verdict)
			VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)`, run, record.Device, record.Machine, record.File, record.Line, record.Digest,
			notNil(record.Raw), record.Time, string(record.Verdict))
		if err != nil || record.Phone == nil {
			return err
		}
		return stagePhone(tx, run, id, record)
	})
}

// notNil gives bytes for a column that takes no NULL.
func notNil(bytes []byte) []byte {
	if bytes == nil {
		return []byte{}
	}
	return bytes
}

const insertStagedPhone = `INSERT INTO staged_phones (device, run, record, expected, changes, description, auth_mode, auth_string,
	key_size, security_mode, lsc_known, mic, result, kept_operation, operation, op_auth_mode, op_key_size, completes_by, created_at,
	created_by, ended_at, ended_by, ending, op_result, detail)
	VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25)`

func stagePhone(tx *store.Statements, run, record int64, source capf.ImportRecord) error {
	device, err := capf.ParseDevice(source.Phone.Device)
	if err != nil {
		return err
	}
	expected, err := expectedChanges(tx, device, source)
	if err != nil {
		return err
	}
	changes := expected.Int64 + 1
	if !expected.Valid {
		changes = firstChanges()
	}
	p := source.Phone
	columns := append([]any{device, run, record, expected, changes, p.Description, string(p.AuthMode), store.SecretColumn(p.AuthString),
		string(p.KeySize), string(p.SecurityMode), string(p.LSCKnown), string(p.MIC), store.ResultColumn(p.LastResult)},
		stagedOperation(p.Last)...)
	_, err = tx.Exec(insertStagedPhone, columns...)
	if isUnique(err) {
		return &capf.Error{Code: capf.CodeConflict, Message: fmt.Sprintf("phone %s comes from two records of the run", device), Err: err}
	}
	return err
}

// expectedChanges gives the count of changes of the phone that the run planned with; NULL where there was
// no phone.
func expectedChanges(tx *store.Statements, device string, source capf.ImportRecord) (expected sql.NullInt64, err error) {
	if source.Changes != 0 {
		return sql.NullInt64{Int64: source.Changes, Valid: true}, nil
	}
	if source.Verdict == capf.VerdictNew {
		return sql.NullInt64{}, nil
	}
	_, err = tx.First(store.Into(&expected), `SELECT changes FROM phones WHERE device = +?1`, device)
	return expected, err
}

// stagedOperation gives the columns from kept_operation on.
func stagedOperation(last *capf.OperationRecord) []any {
	columns := make([]any, 12)
	switch {
	case last == nil:
	case last.Ref.ID != 0:
		columns[0] = last.Ref.ID
	default:
		columns = []any{nil, string(last.Operation), string(last.AuthMode), string(last.KeySize), store.Seconds(last.CompletesBy),
			store.Seconds(last.CreatedAt), last.CreatedBy, store.Seconds(last.EndedAt), last.EndedBy, string(last.Ending),
			store.ResultColumn(last.Result), last.Detail}
	}
	return columns
}

// StageKept stages lines that were not understood.
func (s *Store) StageKept(ctx context.Context, run int64, lines []capf.KeptLine) error {
	return inBatches(ctx, s, run, lines, func(tx *store.Statements, line capf.KeptLine) error {
		_, err := tx.Exec(`INSERT INTO kept_lines (run, machine, file, line, bytes, sha256, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)`,
			run, line.Machine, line.File, line.Line, line.Bytes, line.SHA256, line.Reason)
		return err
	})
}

// StageFiles stages certificates. Anchors and LSCs must be readable, and an LSC must have a device name
// as its common name: CodeInvalid otherwise.
func (s *Store) StageFiles(ctx context.Context, run int64, files []capf.LegacyFile) error {
	return inBatches(ctx, s, run, files, func(tx *store.Statements, file capf.LegacyFile) error {
		_, err := tx.Exec(`INSERT INTO legacy_files (run, machine, file, line, sha256, subject, der, use, why)
			VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)`, run, file.Machine, file.File, file.Line, file.SHA256, file.Subject,
			notNil(file.DER), string(file.Use), file.Why)
		if err != nil || file.Use == capf.LegacyStored {
			return err
		}
		return stageCertificate(tx, run, file)
	})
}

func stageCertificate(tx *store.Statements, run int64, file capf.LegacyFile) error {
	certificate, err := capf.ReadCertificate(file.DER)
	if err != nil {
		return fileProblem(file, err)
	}
	if file.Use == capf.LegacyLSC {
		if certificate.Device, err = deviceOf(file.DER); err != nil {
			return fileProblem(file, err)
		}
	}
	_, err = tx.Exec(`INSERT INTO staged_certificates (run, use, device, serial, subject, issuer, not_before, not_after, der, sha256, key_sha256, origin)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)`, run, string(file.Use), certificate.Device, certificate.Serial,
		certificate.Subject, certificate.Issuer, certificate.NotBefore.Unix(), certificate.NotAfter.Unix(), certificate.DER,
		certificate.SHA256, certificate.KeySHA256, fmt.Sprintf("migration run %d: %s, %s", run, file.Machine, file.File))
	return err
}

func fileProblem(file capf.LegacyFile, err error) error {
	return &capf.Error{Code: capf.CodeInvalid, Message: fmt.Sprintf("certificate %s of %s cannot serve as %s", file.File, file.Machine, file.Use), Err: err}
}

// deviceOf gives the phone that an LSC is for: LSCs have the device as their common name.
func deviceOf(der []byte) (string, error) {
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return "", err
	}
	return capf.ParseDevice(parsed.Subject.CommonName)
}

// StageParameters stages values of parameters. They are checked as by SetParameter, and take effect only
// for parameters that were never set.
func (s *Store) StageParameters(ctx context.Context, run int64, values map[string]string) error {
	return s.writer.Do(ctx, func(tx *store.Statements) error {
		if err := checkStaged(tx, run); err != nil {
			return err
		}
		for name, value := range values {
			parameter, err := capf.FindParameter(name)
			if err != nil {
				return err
			}
			if value, err = parameter.Normalise(value); err != nil {
				return err
			}
			_, err = tx.Exec(`INSERT INTO staged_parameters (name, run, value) VALUES (?1, ?2, ?3)
				ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, run, value)
			if err != nil {
				return err
			}
		}
		return nil
	})
}
