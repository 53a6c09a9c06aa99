package sqlite

import (
	"context"
	"database/sql"

	"capf/runtime/capf"
	"capf/runtime/store"
)

// Operations gives the operations of a device, the newest first; those of a phone that was removed too.
func (s *Store) Operations(ctx context.Context, device string) ([]capf.OperationRecord, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return store.Collect(s.reads, scanOperation, `SELECT id, device, revision, operation, auth_mode, key_size, completes_by, created_at,
		created_by, ended_at, ended_by, ending, result, detail, serving, session_at, session_address, session_tls
		FROM operations WHERE device = +?1 ORDER BY id DESC`, device)
}

func scanOperation(cursor store.Scanner) (capf.OperationRecord, error) {
	var device string
	var c operationColumns
	var sessionAt sql.NullInt64
	var session capf.OperationSession
	err := cursor.Scan(&c.id, &device, &c.revision, &c.operation, &c.authMode, &c.keySize, &c.completesBy, &c.createdAt,
		&c.createdBy, &c.endedAt, &c.endedBy, &c.ending, &c.result, &c.detail, &c.server,
		&sessionAt, &session.Address, &session.TLS)
	if err != nil {
		return capf.OperationRecord{}, err
	}
	record := c.record(device)
	if sessionAt.Valid {
		session.Started = store.Time(sessionAt)
		record.Session = &session
	}
	return *record, nil
}

// Attempts gives the attempts of a device that are kept, the newest first.
func (s *Store) Attempts(ctx context.Context, device string) ([]capf.Attempt, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return store.Collect(s.reads, scanAttempt,
		`SELECT device, address, at, result, detail, tls FROM attempts WHERE device = +?1 ORDER BY id DESC`, device)
}

func scanAttempt(cursor store.Scanner) (attempt capf.Attempt, err error) {
	var at sql.NullInt64
	err = cursor.Scan(&attempt.Device, &attempt.Address, &at, &attempt.Result, &attempt.Detail, &attempt.TLS)
	attempt.At = store.Time(at)
	return attempt, err
}

// RecordAttempt adds to the log of attempts and drops what is beyond its bounds: the newest
// capf.MaxAttempts of a phone, the newest store.MaxStrangerAttempts of all other devices together.
func (s *Store) RecordAttempt(ctx context.Context, attempt capf.Attempt) error {
	attempt = store.ClipAttempt(attempt)
	return s.writer.Do(ctx, func(tx *store.Statements) error { return recordAttempt(tx, attempt) })
}

// recordAttempt adds to the log of attempts and keeps it within its bounds.
func recordAttempt(tx *store.Statements, attempt capf.Attempt) error {
	var known bool
	if _, err := tx.First(store.Into(&known), `SELECT EXISTS (SELECT 1 FROM phones WHERE device = +?1)`, attempt.Device); err != nil {
		return err
	}
	_, err := tx.Exec(`INSERT INTO attempts (device, known, address, at, result, detail, tls) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)`,
		attempt.Device, known, attempt.Address, store.Seconds(attempt.At).Int64, int(attempt.Result), attempt.Detail, attempt.TLS)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(`DELETE FROM attempts WHERE device = +?1 AND id <=
		(SELECT id FROM attempts WHERE device = +?1 ORDER BY id DESC LIMIT 1 OFFSET +?2)`, attempt.Device, capf.MaxAttempts); err != nil || known {
		return err
	}
	_, err = tx.Exec(`DELETE FROM attempts WHERE known = 0 AND id <=
		(SELECT id FROM attempts WHERE known = 0 ORDER BY id DESC LIMIT 1 OFFSET +?1)`, store.MaxStrangerAttempts)
	return err
}

// Audit gives the newest entries of the audit trail, the newest first; limit 0 gives all.
func (s *Store) Audit(ctx context.Context, limit int) ([]capf.AuditEntry, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if limit <= 0 {
		limit = -1 // SQLite: no limit
	}
	return store.Collect(s.reads, scanAudit, `SELECT at, actor, action, subject, detail FROM audit ORDER BY id DESC LIMIT +?1`, limit)
}

func scanAudit(cursor store.Scanner) (entry capf.AuditEntry, err error) {
	var at sql.NullInt64
	err = cursor.Scan(&at, &entry.Actor, &entry.Action, &entry.Subject, &entry.Detail)
	entry.At = store.Time(at)
	return entry, err
}

// audit adds an entry, in the transaction of what it tells of.
func (s *Store) audit(tx *store.Statements, actor, action, subject, detail string) error {
	_, err := tx.Exec(`INSERT INTO audit (at, actor, action, subject, detail) VALUES (?1, ?2, ?3, ?4, ?5)`,
		s.now().Unix(), actor, action, subject, detail)
	return err
}
