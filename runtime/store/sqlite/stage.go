package sqlite

import (
	"context"
	"crypto/x509"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"capf/runtime/capf"
	"capf/runtime/store"
)

// The rows of a migration are staged in short transactions, between which everybody else writes. Records, kept lines and
// files are in their tables from the start, and are seen once their run is applied. Phones with their operations,
// certificates and parameters wait in tables of their own until ApplyRun.

// rowsAtOnce is how many rows a transaction stages. It holds the write lock for some milliseconds; cli.md calls 50 much.
const rowsAtOnce = 400

// BeginRun begins to stage a run, and gives its ID. Nothing of it can be seen before ApplyRun. What an earlier run left
// that was never applied is cleared away first: one run is staged at a time. CodeConflict where a run with the same key
// is applied already.
func (s *Store) BeginRun(ctx context.Context, run capf.MigrationRun) (id int64, err error) {
	applied, err := s.AppliedRun(ctx, run.Key)
	if err != nil {
		return 0, err
	}
	if applied != nil {
		return 0, &capf.Error{Code: capf.CodeConflict, Message: fmt.Sprintf("run %d has taken over the same sources with the same decisions", applied.ID),
			Hint: "nothing is left to do; see `capf migrate verify`"}
	}
	if run.StartedAt.IsZero() {
		run.StartedAt = s.now()
	}
	if err := s.clearUnapplied(ctx); err != nil {
		return 0, err
	}
	err = s.writer.Do(ctx, func(tx *store.Statements) (err error) {
		id, err = insertRun(tx, run)
		return err
	})
	if err != nil {
		return 0, err
	}
	return id, nil
}

func insertRun(tx *store.Statements, run capf.MigrationRun) (int64, error) {
	decisions, err := json.Marshal(run.Decisions)
	if err != nil {
		return 0, fmt.Errorf("decisions of a migration run: %w", err)
	}
	missing, err := json.Marshal(run.Missing)
	if err != nil {
		return 0, fmt.Errorf("what a migration run lacks: %w", err)
	}
	id, err := tx.Insert(`INSERT INTO migration_runs (key, dialect, prefer, started_at, applied_at, by, counts, decisions, missing)
		VALUES (?1, ?2, ?3, ?4, NULL, ?5, '{}', ?6, ?7)`, run.Key, run.Dialect, run.Prefer, run.StartedAt.Unix(), run.By,
		string(decisions), string(missing))
	if err != nil {
		return 0, err
	}
	for i, source := range run.Sources {
		_, err := tx.Exec(`INSERT INTO migration_sources (run, position, machine, path, digest, dialect) VALUES (?1, ?2, ?3, ?4, ?5, ?6)`,
			id, i, source.Machine, source.Path, source.Digest, source.Dialect)
		if err != nil {
			return 0, err
		}
	}
	return id, nil
}

// clearBatch is how many rows are cleared in one transaction.
const clearBatch = 1000

// clearUnapplied removes what runs left that were not applied, and what is kept for a rollback that has happened. The runs
// go last, so that a next time finds what this one could not finish.
func (s *Store) clearUnapplied(ctx context.Context) error {
	if err := s.clearImages(ctx); err != nil {
		return err
	}
	for _, table := range []struct{ name, key, run string }{
		{"staged_phones", "device", "run"}, {"staged_certificates", "id", "run"}, {"staged_parameters", "name", "run"},
		{"import_records", "id", "run"}, {"kept_lines", "id", "run"}, {"legacy_files", "id", "run"},
		{"migration_sources", "run, position", "run"}, {"migration_runs", "id", "id"},
	} {
		err := s.clearSome(ctx, fmt.Sprintf(`DELETE FROM %[1]s WHERE (%[2]s) IN (SELECT %[2]s FROM %[1]s
			WHERE %[3]s IN (SELECT id FROM migration_runs WHERE applied_at IS NULL) LIMIT +?1)`, table.name, table.key, table.run))
		if err != nil {
			return err
		}
	}
	return nil
}

const clearBefore = `DELETE FROM phones_before WHERE (run, device) IN (SELECT run, device FROM phones_before
	WHERE run IN (SELECT id FROM migration_runs WHERE rolled_back_at IS NOT NULL) LIMIT +?1)`

// clearImages removes the images of phones that no rollback goes back to any more.
func (s *Store) clearImages(ctx context.Context) error {
	return s.clearSome(ctx, clearBefore)
}

// clearSome deletes rows in short transactions, ?1 in each, until none is left.
func (s *Store) clearSome(ctx context.Context, query string) error {
	for cleared := int64(clearBatch); cleared == clearBatch; {
		err := s.inTurn(ctx, func(tx *store.Statements) (err error) {
			cleared, err = tx.Exec(query, clearBatch)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// inTurn does work in one of many short transactions. While a service runs beside, it then rests for as long as that took:
// SQLite has no queue, and whoever waits for the lock would hardly ever meet it free.
func (s *Store) inTurn(ctx context.Context, work func(*store.Statements) error) error {
	began := time.Now()
	if err := s.writer.Do(ctx, work); err != nil {
		return err
	}
	living, err := s.LivingInstance()
	if err != nil || living == "" {
		return err
	}
	return capf.Wait(ctx, time.Since(began))
}

// checkStaged gives CodeConflict where the run is not one that is being staged.
func checkStaged(tx *store.Statements, run int64) error {
	staged, err := tx.First(store.Into(new(int64)), `SELECT id FROM migration_runs WHERE id = +?1 AND applied_at IS NULL`, run)
	if err == nil && !staged {
		err = &capf.Error{Code: capf.CodeConflict, Message: fmt.Sprintf("migration run %d is not open: it was applied, or another run has cleared it away", run),
			Hint: "run the migration again, one at a time"}
	}
	return err
}

// stageRows stages rows of a run, some in each transaction.
func stageRows[T any](ctx context.Context, s *Store, run int64, rows []T, insert func(*store.Statements, *T) error) error {
	for some := range slices.Chunk(rows, rowsAtOnce) {
		err := s.inTurn(ctx, func(tx *store.Statements) error {
			if err := checkStaged(tx, run); err != nil {
				return err
			}
			for i := range some {
				if err := insert(tx, &some[i]); err != nil {
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

// StageRecords stages the records of phones, in the order of their numbers.
func (s *Store) StageRecords(ctx context.Context, run int64, records []capf.ImportRecord) error {
	return stageRows(ctx, s, run, records, func(tx *store.Statements, r *capf.ImportRecord) error {
		_, err := tx.Exec(`INSERT INTO import_records (run, device, machine, file, line, digest, raw, time, verdict)
			VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)`,
			run, r.Device, r.Machine, r.File, r.Line, r.Digest, notNil(r.Raw), r.Time, string(r.Verdict))
		return err
	})
}

// notNil gives bytes for a column that takes no NULL.
func notNil(bytes []byte) []byte {
	if bytes == nil {
		return []byte{}
	}
	return bytes
}

// Where the number of changes is not given, the phone is taken as it is now.
const insertStagedPhone = `INSERT INTO staged_phones (device, run, record, expected, description, auth_mode, auth_string, key_size, security_mode,
	lsc_known, mic, result, kept_operation, operation, op_auth_mode, op_key_size, completes_by, created_at, created_by, ended_at, ended_by,
	ending, op_result, detail)
	VALUES (?1, ?2, ?3, coalesce(?4, (SELECT changes FROM phones WHERE device = ?1 AND ?5)), ?6, ?7, ?8, ?9, ?10,
	?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25)`

// StagePhones stages phones that come of records which are staged already. In the order of their devices that is quick.
// CodeConflict where two records of the run give the same phone.
func (s *Store) StagePhones(ctx context.Context, run int64, phones []capf.StagedPhone) error {
	var first sql.NullInt64
	if _, err := s.reads.First(store.Into(&first), `SELECT min(id) FROM import_records WHERE run = +?1`, run); err != nil {
		return err
	}
	return stageRows(ctx, s, run, phones, func(tx *store.Statements, phone *capf.StagedPhone) error {
		return s.stagePhone(tx, run, first.Int64+int64(phone.Record)-1, phone)
	})
}

func (s *Store) stagePhone(tx *store.Statements, run, record int64, staged *capf.StagedPhone) error {
	p := &staged.Phone
	device, err := capf.ParseDevice(p.Device)
	if err != nil {
		return err
	}
	var operation capf.OperationRecord
	if p.Last != nil {
		operation = *p.Last
	}
	if operation.CreatedAt.IsZero() {
		operation.CreatedAt = s.now()
	}
	added := any(nil) // the word of the operation where that is new
	if operation.Ref.ID == 0 && p.Last != nil {
		added = string(operation.Operation)
	}
	_, err = tx.Exec(insertStagedPhone, device, run, record, store.Nullable(staged.Changes), staged.Verdict != capf.VerdictNew,
		p.Description, string(p.AuthMode), store.SecretColumn(p.AuthString), string(p.KeySize), string(p.SecurityMode),
		string(p.LSCKnown), string(p.MIC), store.ResultColumn(p.LastResult), store.Nullable(operation.Ref.ID),
		added, string(operation.AuthMode), string(operation.KeySize), store.Seconds(operation.CompletesBy),
		operation.CreatedAt.Unix(), operation.CreatedBy, store.Seconds(operation.EndedAt), operation.EndedBy,
		string(operation.Ending), store.ResultColumn(operation.Result), operation.Detail)
	if isUnique(err) {
		return &capf.Error{Code: capf.CodeConflict, Message: "phone " + device + " comes from two records of the run", Err: err}
	}
	return err
}

// StageKept stages lines that were not understood.
func (s *Store) StageKept(ctx context.Context, run int64, lines []capf.KeptLine) error {
	return stageRows(ctx, s, run, lines, func(tx *store.Statements, line *capf.KeptLine) error {
		_, err := tx.Exec(`INSERT INTO kept_lines (run, machine, file, line, bytes, sha256, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)`,
			run, line.Machine, line.File, line.Line, line.Bytes, line.SHA256, line.Reason)
		return err
	})
}

// StageFiles stages certificates. Anchors and LSCs must be readable, and an LSC must have a device name
// as its common name: CodeInvalid otherwise.
func (s *Store) StageFiles(ctx context.Context, run int64, files []capf.LegacyFile) error {
	return stageRows(ctx, s, run, files, func(tx *store.Statements, file *capf.LegacyFile) error {
		_, err := tx.Exec(`INSERT INTO legacy_files (run, machine, file, line, sha256, subject, der, use, why)
			VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)`, run, file.Machine, file.File, file.Line, file.SHA256, file.Subject,
			notNil(file.DER), string(file.Use), file.Why)
		if err != nil || file.Use == capf.LegacyStored {
			return err
		}
		return stageCertificate(tx, run, file)
	})
}

func stageCertificate(tx *store.Statements, run int64, file *capf.LegacyFile) error {
	certificate, err := capf.ReadCertificate(file.DER)
	if err != nil {
		return fileProblem(file, err)
	}
	if file.Use == capf.LegacyLSC {
		if certificate.Device, err = deviceOf(file.DER); err != nil {
			return fileProblem(file, err)
		}
	}
	_, err = tx.Exec(`INSERT INTO staged_certificates (run, use, device, serial, subject, issuer, not_before, not_after, der, sha256,
		key_sha256, origin) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)`, run, string(file.Use), certificate.Device, certificate.Serial,
		certificate.Subject, certificate.Issuer, certificate.NotBefore.Unix(), certificate.NotAfter.Unix(), certificate.DER,
		certificate.SHA256, certificate.KeySHA256, fmt.Sprintf("migration run %d: %s, %s", run, file.Machine, file.File))
	return err
}

func fileProblem(file *capf.LegacyFile, err error) error {
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
