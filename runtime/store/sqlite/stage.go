package sqlite

import (
	"context"
	"crypto/x509"
	"database/sql/driver"
	"fmt"

	"capf/runtime/capf"
	"capf/runtime/store"
)

// StageRecords stages the records of phones, in the order of their numbers.
func (s *Store) StageRecords(ctx context.Context, run int64, records []capf.ImportRecord) error {
	ids := sequence{table: "import_records"}
	return inBatches(ctx, s, run, records, ids.read, func(record *capf.ImportRecord) ([]driver.Value, error) {
		return recordRow(run, record)
	}, func(rows *rawStatements, row []driver.Value) error {
		row[0] = ids.next()
		return rows.insert(insertRecord, row...)
	})
}

const insertRecord = `INSERT INTO import_records (id, run, device, machine, file, line, digest, raw, time, verdict)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

// recordRow gives a record as it is written, but for its ID.
func recordRow(run int64, record *capf.ImportRecord) ([]driver.Value, error) {
	if err := checkVerdict(record); err != nil {
		return nil, err
	}
	return []driver.Value{nil, run, record.Device, record.Machine, record.File, int64(record.Line), record.Digest, notNil(record.Raw),
		record.Time, string(record.Verdict)}, nil
}

// nothing is what most kinds of rows need at the beginning of a transaction.
func nothing(*store.Statements) error { return nil }

// asItIs is for rows of which nothing is made before they are written.
func asItIs[T any](row *T) (*T, error) { return row, nil }

// notNil gives bytes for a column that takes no NULL.
func notNil(bytes []byte) []byte {
	if bytes == nil {
		return []byte{}
	}
	return bytes
}

// StageKept stages lines that were not understood.
func (s *Store) StageKept(ctx context.Context, run int64, lines []capf.KeptLine) error {
	return inBatches(ctx, s, run, lines, nothing, asItIs, func(rows *rawStatements, line *capf.KeptLine) error {
		var bytes any // NULL for private keys
		if line.Bytes != nil {
			bytes = line.Bytes
		}
		return rows.insert(`INSERT INTO kept_lines (run, machine, file, line, bytes, sha256, reason) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			run, line.Machine, line.File, int64(line.Line), bytes, line.SHA256, line.Reason)
	})
}

// StageFiles stages certificates. Anchors and LSCs must be readable, and an LSC must have a device name
// as its common name: CodeInvalid otherwise.
func (s *Store) StageFiles(ctx context.Context, run int64, files []capf.LegacyFile) error {
	return inBatches(ctx, s, run, files, nothing, asItIs, func(rows *rawStatements, file *capf.LegacyFile) error {
		if err := checkUse(file); err != nil {
			return err
		}
		err := rows.insert(`INSERT INTO legacy_files (run, machine, file, line, sha256, subject, der, use, why)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`, run, file.Machine, file.File, int64(file.Line), file.SHA256, file.Subject,
			notNil(file.DER), string(file.Use), file.Why)
		if err != nil || file.Use == capf.LegacyStored {
			return err
		}
		return stageCertificate(rows, run, file)
	})
}

func stageCertificate(rows *rawStatements, run int64, file *capf.LegacyFile) error {
	certificate, err := capf.ReadCertificate(file.DER)
	if err != nil {
		return fileProblem(file, err)
	}
	if file.Use == capf.LegacyLSC {
		if certificate.Device, err = deviceOf(file.DER); err != nil {
			return fileProblem(file, err)
		}
	}
	return rows.insert(`INSERT INTO staged_certificates (run, use, device, serial, subject, issuer, not_before, not_after, der, sha256,
		key_sha256, origin) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, run, string(file.Use), certificate.Device, certificate.Serial,
		certificate.Subject, certificate.Issuer, certificate.NotBefore.Unix(), certificate.NotAfter.Unix(), certificate.DER,
		certificate.SHA256, certificate.KeySHA256, fmt.Sprintf("migration run %d: %s, %s", run, file.Machine, file.File))
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
