package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/hashicorp/go-multierror"

	"capf/runtime/capf"
	"capf/runtime/store"
)

// createChanges makes the temporary table in which a set of changes waits for its transaction. Writing
// there takes no lock on the store.
const createChanges = `CREATE TEMP TABLE IF NOT EXISTS changes (
	device TEXT PRIMARY KEY, expected INTEGER, changes INTEGER, description TEXT, auth_mode TEXT, auth_string TEXT,
	key_size TEXT, security_mode TEXT, lsc_known TEXT, mic TEXT, detail TEXT,
	ended INTEGER, ending TEXT, ended_at INTEGER, ended_by TEXT, ended_result INTEGER, ended_detail TEXT,
	amended INTEGER, revision INTEGER,
	new_index INTEGER, operation TEXT, op_auth_mode TEXT, op_key_size TEXT, completes_by INTEGER,
	created_at INTEGER, created_by TEXT, lsc_hash TEXT) WITHOUT ROWID`

const insertChange = `INSERT INTO changes VALUES
	(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27)`

// The statements that carry the changes out; ?1 is the highest ID of an operation, ?2 the time, ?3 who.
const (
	selectStale = `SELECT s.device FROM changes s LEFT JOIN phones p ON p.device = s.device WHERE p.changes IS NOT s.expected`

	selectHighest = `SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'operations'`

	endOperations = `UPDATE operations SET ending = s.ending, ended_at = s.ended_at, ended_by = s.ended_by,
		result = s.ended_result, detail = s.ended_detail, serving = ''
		FROM changes s WHERE operations.id = s.ended`

	// A session that serves the operation goes on with it where only the deadline was moved.
	amendOperations = `UPDATE operations SET revision = s.revision, auth_mode = s.op_auth_mode, key_size = s.op_key_size,
		completes_by = s.completes_by, serving = iif(operations.revision = s.revision, operations.serving, '')
		FROM changes s WHERE operations.id = s.amended`

	insertOperations = `INSERT INTO operations (id, revision, device, operation, auth_mode, key_size, completes_by, created_at,
		created_by, ended_at, ended_by, ending, result, detail, serving)
		SELECT ?1 + s.new_index, s.revision, s.device, s.operation, s.op_auth_mode, s.op_key_size, s.completes_by, s.created_at,
		s.created_by, NULL, '', '', NULL, '', '' FROM changes s WHERE s.new_index IS NOT NULL ORDER BY s.new_index`

	// Another string begins without the wrong ones before.
	forgetWrong = `DELETE FROM wrong_strings WHERE device IN
		(SELECT s.device FROM changes s JOIN phones p ON p.device = s.device WHERE p.auth_string IS NOT s.auth_string)`

	// Of a phone that is changed no rollback restores the string that it had before a migration.
	forgetBefore = `UPDATE phones_before SET auth_string = NULL WHERE auth_string IS NOT NULL AND device IN (SELECT device FROM changes)`

	updatePhones = `UPDATE phones SET description = s.description, auth_mode = s.auth_mode, auth_string = s.auth_string,
		key_size = s.key_size, security_mode = s.security_mode, lsc_hash = s.lsc_hash, last_operation = coalesce(?1 + s.new_index, last_operation),
		result = iif(s.ended_result IS NULL, result, s.ended_result),
		result_mark = iif(s.ended_result IS NULL, result_mark, ` + markOfDeadline + `),
		changes = s.changes, changed_at = ?2
		FROM changes s WHERE s.expected IS NOT NULL AND phones.device = s.device`

	insertPhones = `INSERT INTO phones (device, description, auth_mode, auth_string, key_size, security_mode, last_operation,
		lsc, lsc_known, mic, last_session, last_address, last_tls, result, result_mark, changes, changed_at, imported, lsc_hash)
		SELECT s.device, s.description, s.auth_mode, s.auth_string, s.key_size, s.security_mode, ?1 + s.new_index,
		NULL, s.lsc_known, s.mic, NULL, '', '', NULL,
		(SELECT coalesce(max(a.id), 0) FROM attempts a WHERE a.device = s.device), s.changes, ?2, NULL, s.lsc_hash
		FROM changes s WHERE s.expected IS NULL ORDER BY s.device`

	claimAttempts = `UPDATE attempts SET known = 1 WHERE known = 0 AND device IN (SELECT device FROM changes WHERE expected IS NULL)`

	insertAudit = `INSERT INTO audit (at, actor, action, subject, detail)
		SELECT ?2, ?3, iif(s.expected IS NULL, 'phone add', 'phone set'), s.device, s.detail FROM changes s ORDER BY s.device`
)

// writeChanges stages the plan without a lock, then writes it in one short transaction, in which what has
// become stale is planned once more. It fills in the IDs of new operations.
func (s *Store) writeChanges(ctx context.Context, mode capf.ApplyMode, changes []capf.PhoneChange, plan []planned, change capf.ChangeContext) error {
	var highest int64
	err := s.onBulk(ctx, func(tx *store.Statements) error {
		staged, err := stageChanges(tx, plan)
		if err != nil || staged == 0 {
			return err
		}
		return s.writeBulk(ctx, tx, func() error {
			if err := refresh(tx, mode, changes, plan, change); err != nil {
				return err
			}
			highest, err = carryOut(tx, change)
			return err
		})
	})
	if err != nil {
		return err
	}
	for i := range plan {
		if plan[i].newIndex > 0 {
			plan[i].Phone.Last.Ref.ID = highest + int64(plan[i].newIndex)
		}
	}
	return nil
}

// refresh plans those changes anew whose phones have changed since they were read. It runs under the lock,
// so that they cannot change again, and there are as few as sessions that ended meanwhile.
func refresh(statements *store.Statements, mode capf.ApplyMode, changes []capf.PhoneChange, plan []planned, change capf.ChangeContext) error {
	stale, err := store.Collect(statements, scanText, selectStale)
	if err != nil || len(stale) == 0 {
		return err
	}
	place := make(map[string]int, len(changes))
	for i := range changes {
		place[changes[i].Device] = i
	}
	var failures *multierror.Error
	for at, device := range stale {
		i := place[device]
		one, err := planOne(statements, mode, changes[i], change)
		if err != nil {
			failures = multierror.Append(failures, err)
			continue
		}
		if one.Effect == capf.EffectNew || one.Effect == capf.EffectReplaced {
			one.newIndex = len(changes) + 1 + at // none of the plan has it
		}
		plan[i] = one
		if _, err := statements.Exec(`DELETE FROM changes WHERE device = ?1`, device); err != nil {
			return err
		}
		if one.isIdle() {
			continue
		}
		if _, err := statements.Exec(insertChange, changeColumns(&one)...); err != nil {
			return err
		}
	}
	return failures.ErrorOrNil()
}

// stageChanges fills the temporary table, and gives the number of phones in it.
func stageChanges(statements *store.Statements, plan []planned) (staged int, err error) {
	if err := executeAll(statements, []step{{createChanges, nil}, {`DELETE FROM changes`, nil}, {`BEGIN`, nil}}); err != nil {
		return 0, err
	}
	for i := range plan {
		if plan[i].isIdle() {
			continue
		}
		if _, err := statements.Exec(insertChange, changeColumns(&plan[i])...); err != nil {
			_, undo := statements.Exec(`ROLLBACK`)
			return 0, errors.Join(err, undo)
		}
		staged++
	}
	_, err = statements.Exec(`COMMIT`)
	return staged, err
}

// changeColumns gives a change as it stands in the temporary table.
func changeColumns(p *planned) []any {
	after := &p.Phone
	var ended, operation capf.OperationRecord
	if p.Ended != nil {
		ended = *p.Ended
	}
	var amended int64
	if p.Effect == capf.EffectAmended || p.newIndex > 0 {
		operation = *after.Last
	}
	if p.Effect == capf.EffectAmended {
		amended = after.Last.Ref.ID
	}
	expected := sql.NullInt64{Int64: p.before.changes, Valid: p.exists}
	return []any{
		after.Device, expected, p.before.changes + 1, after.Description, string(after.AuthMode), store.SecretColumn(after.AuthString),
		string(after.KeySize), string(after.SecurityMode), string(after.LSCKnown), string(after.MIC), describe(p),
		store.Nullable(ended.Ref.ID), string(ended.Ending), store.Seconds(ended.EndedAt), ended.EndedBy,
		store.ResultColumn(ended.Result), ended.Detail,
		store.Nullable(amended), operation.Ref.Revision,
		store.Nullable(p.newIndex), string(operation.Operation), string(operation.AuthMode), string(operation.KeySize),
		store.Seconds(operation.CompletesBy), store.Seconds(operation.CreatedAt), operation.CreatedBy, string(after.LSCHash),
	}
}

// carryOut writes what is staged, and gives the highest ID that an operation had before.
func carryOut(statements *store.Statements, change capf.ChangeContext) (highest int64, err error) {
	if _, err := statements.First(store.Into(&highest), selectHighest); err != nil {
		return 0, err
	}
	now := change.Now.Unix()
	return highest, executeAll(statements, []step{
		{endOperations, nil},
		{amendOperations, nil},
		{insertOperations, []any{highest}},
		{forgetWrong, nil},
		{forgetBefore, nil},
		{updatePhones, []any{highest, now}},
		{insertPhones, []any{highest, now}},
		{claimAttempts, nil},
		{insertAudit, []any{highest, now, change.Actor}},
	})
}
