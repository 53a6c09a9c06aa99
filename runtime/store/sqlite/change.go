package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/hashicorp/go-multierror"

	"capf/runtime/capf"
	"capf/runtime/store"
)

// Changes of phones by a person, one or many at a time.

// planned is one change with the phone that it was worked out for and what comes of it.
type planned struct {
	capf.Changed
	before   phoneRow
	exists   bool
	newIndex int // place among the operations that are new, from 1; 0 for none
}

// ApplyChanges carries out changes of phones, all or none, and gives what each did. The rules are
// capf.PhoneChange.Apply's. With add a phone that exists is CodeConflict, with set one that does not
// CodeNotFound; the error joins one for each change that cannot be. Of the context, a zero Now is the
// store's clock, nil Parameters those of the store, a nil Random the system's.
//
// Phones are read and changes worked out before anything is locked. Those that changed until the set is
// written, because a session ended meanwhile, are worked out once more under the lock.
func (s *Store) ApplyChanges(ctx context.Context, mode capf.ApplyMode, changes []capf.PhoneChange, change capf.ChangeContext) ([]capf.Changed, error) {
	return s.applyChanges(ctx, mode, changes, change, true)
}

// TryChanges is ApplyChanges without writing anything.
func (s *Store) TryChanges(ctx context.Context, mode capf.ApplyMode, changes []capf.PhoneChange, change capf.ChangeContext) ([]capf.Changed, error) {
	return s.applyChanges(ctx, mode, changes, change, false)
}

func (s *Store) applyChanges(ctx context.Context, mode capf.ApplyMode, changes []capf.PhoneChange, change capf.ChangeContext, write bool) ([]capf.Changed, error) {
	changes, err := normalise(changes)
	if err != nil {
		return nil, err
	}
	complete, err := s.completeContext(ctx, change)
	if err != nil {
		return nil, err
	}
	plan, err := s.plan(ctx, mode, changes, complete)
	if err != nil {
		return nil, err
	}
	if write {
		if err := s.writeChanges(ctx, mode, changes, plan, complete); err != nil {
			return nil, err
		}
	}
	return outcomes(plan), nil
}

func outcomes(plan []planned) []capf.Changed {
	changed := make([]capf.Changed, len(plan))
	for i := range plan {
		changed[i] = plan[i].Changed
	}
	return changed
}

// normalise gives every device its name in the store, and lets none stand in the set twice: which change
// would come first is not said.
func normalise(changes []capf.PhoneChange) ([]capf.PhoneChange, error) {
	var failures *multierror.Error
	changes = slices.Clone(changes)
	seen := make(map[string]bool, len(changes))
	for i := range changes {
		device, err := capf.ParseDevice(changes[i].Device)
		if err == nil && seen[device] {
			err = &capf.Error{Code: capf.CodeConflict, Message: device + " is to be changed twice at once", Hint: "put its changes together"}
		}
		failures = multierror.Append(failures, err)
		changes[i].Device, seen[device] = device, true
	}
	return changes, failures.ErrorOrNil()
}

func (s *Store) completeContext(ctx context.Context, change capf.ChangeContext) (capf.ChangeContext, error) {
	if change.Now.IsZero() {
		change.Now = s.clock()
	}
	change.Now = store.WholeSeconds(change.Now)
	if change.Random == nil {
		change.Random = s.random
	}
	if change.Living == "" {
		living, err := s.LivingInstance()
		if err != nil {
			return change, err
		}
		change.Living = living
	}
	if change.Parameters != nil {
		return change, nil
	}
	parameters, err := s.Parameters(ctx)
	change.Parameters = parameters
	return change, err
}

// plan works every change out, and collects what forbids them.
func (s *Store) plan(ctx context.Context, mode capf.ApplyMode, changes []capf.PhoneChange, change capf.ChangeContext) ([]planned, error) {
	var failures *multierror.Error
	plan := make([]planned, 0, len(changes))
	newOperations := 0
	for i := range changes {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		one, err := planOne(s.reads, mode, changes[i], change)
		if err != nil {
			failures = multierror.Append(failures, err)
			continue
		}
		if one.Effect == capf.EffectNew || one.Effect == capf.EffectReplaced {
			newOperations++
			one.newIndex = newOperations
		}
		plan = append(plan, one)
	}
	return plan, failures.ErrorOrNil()
}

func planOne(statements *store.Statements, mode capf.ApplyMode, change capf.PhoneChange, context capf.ChangeContext) (planned, error) {
	row, exists, err := readPhone(statements, change.Device)
	if err != nil {
		return planned{}, err
	}
	switch {
	case exists && mode == capf.ApplyAdd:
		return planned{}, &capf.Error{Code: capf.CodeConflict, Message: "phone " + change.Device + " is in the store already",
			Hint: "use `capf phone set` to change it"}
	case !exists && mode == capf.ApplySet:
		return planned{}, noPhone(change.Device)
	case !exists:
		row.Phone = capf.NewPhone(change.Device, context.Parameters)
		row.changes = firstChanges()
	}
	changed, err := change.Apply(row.Phone, context)
	return planned{Changed: changed, before: row, exists: exists}, err
}

// firstChanges gives the count of changes that a phone begins with. It is random, so that a phone that
// was removed and added again is not taken for the one that was read before.
func firstChanges() int64 { return 1 + rand.Int64N(1<<62) }

// isIdle reports whether nothing at all would be written for the phone.
func (p *planned) isIdle() bool {
	return p.exists && p.Ended == nil && p.Effect == capf.EffectNone && describe(p) == ""
}

// describe says for the audit trail what is set, without the authentication string.
func describe(p *planned) string {
	var words []string
	add := func(name, before, after string) {
		if !p.exists || before != after {
			words = append(words, name+"="+after)
		}
	}
	before, after := &p.before.Phone, &p.Phone
	if p.Effect != capf.EffectNone {
		words = append(words, fmt.Sprintf("operation=%s (%s)", after.Last.Operation, p.Effect))
	}
	add("auth-mode", string(before.AuthMode), string(after.AuthMode))
	add("key-size", string(before.KeySize), string(after.KeySize))
	add("security-mode", string(before.SecurityMode), string(after.SecurityMode))
	add("lsc-hash", string(before.LSCHash), string(after.LSCHash))
	if before.Description != after.Description {
		words = append(words, fmt.Sprintf("description=%q", after.Description))
	}
	if !before.AuthString.Same(after.AuthString) && !after.AuthString.IsZero() {
		words = append(words, "auth-string set")
	}
	if !before.AuthString.Same(after.AuthString) && after.AuthString.IsZero() {
		words = append(words, "auth-string void")
	}
	return strings.Join(words, " ")
}

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

// onBulk has work use the connection for large sets: with temporary tables of its own, and not behind what others write.
func (s *Store) onBulk(ctx context.Context, work func(*store.Statements) error) (err error) {
	connection, err := s.bulkPool.Conn(ctx)
	if err != nil {
		return s.classify(err)
	}
	statements := store.NewStatements(connection, s.classify)
	defer func() { err = errors.Join(err, statements.Close(), connection.Close()) }()
	return work(statements)
}

// writeBulk does work in one transaction on the connection for large sets, while the writer writes nothing.
func (s *Store) writeBulk(ctx context.Context, tx *store.Statements, work func() error) error {
	return s.writer.Alone(ctx, func() error { return inTransaction(tx, work) })
}

// inTransaction runs work between BEGIN IMMEDIATE and COMMIT.
func inTransaction(tx *store.Statements, work func() error) error {
	if _, err := tx.Exec(`BEGIN IMMEDIATE`); err != nil {
		return err
	}
	err := work()
	if err == nil {
		_, err = tx.Exec(`COMMIT`)
	}
	if err != nil {
		// After a full disk SQLite has rolled back by itself; then this fails, and there is nothing to undo.
		_, _ = tx.Exec(`ROLLBACK`)
	}
	return err
}

// inSnapshot runs work on one state of the store, of which it changes nothing but temporary tables. It holds no lock.
func inSnapshot(tx *store.Statements, work func() error) error {
	if _, err := tx.Exec(`BEGIN`); err != nil {
		return err
	}
	err := work()
	_, ended := tx.Exec(`ROLLBACK`)
	return errors.Join(err, ended)
}

// step is one of several statements that are executed in their order.
type step struct {
	query     string
	arguments []any
}

func executeAll(tx *store.Statements, steps []step) error {
	for _, step := range steps {
		if _, err := tx.Exec(step.query, step.arguments...); err != nil {
			return err
		}
	}
	return nil
}

// RemovePhones removes phones, all or none; the error joins one with CodeNotFound for each that is not
// there. What was pending is withdrawn. The history of operations and every certificate stay, under the
// name of the device.
func (s *Store) RemovePhones(ctx context.Context, devices []string, actor string) error {
	return s.writer.Do(ctx, func(tx *store.Statements) error {
		var failures *multierror.Error
		for _, device := range devices {
			failures = multierror.Append(failures, s.removePhone(tx, device, actor))
		}
		return failures.ErrorOrNil()
	})
}

func (s *Store) removePhone(tx *store.Statements, device, actor string) error {
	row, found, err := readPhone(tx, device)
	if err != nil {
		return err
	}
	if !found {
		return noPhone(device)
	}
	if ended := row.Withdraw(s.now(), actor); ended != nil {
		if err := writeEnded(tx, ended); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(`DELETE FROM phones WHERE device = +?1`, device); err != nil {
		return err
	}
	for _, query := range []string{`DELETE FROM held_calls WHERE device = +?1`, `DELETE FROM resets WHERE device = +?1`,
		`DELETE FROM wrong_strings WHERE device = +?1`, `DELETE FROM idle_calls WHERE device = +?1`} {
		if _, err := tx.Exec(query, device); err != nil {
			return err
		}
	}
	if err := voidBefore(tx, device); err != nil {
		return err
	}
	if _, err := tx.Exec(`UPDATE attempts SET known = 0 WHERE device = +?1`, device); err != nil {
		return err
	}
	return s.audit(tx, actor, "phone remove", device, "")
}

const updateEnded = `UPDATE operations SET ending = ?2, ended_at = ?3, ended_by = ?4, result = ?5, detail = ?6, serving = '' WHERE id = +?1`

// writeEnded writes how an operation ended.
func writeEnded(tx *store.Statements, ended *capf.OperationRecord) error {
	_, err := tx.Exec(updateEnded, ended.Ref.ID, string(ended.Ending), store.Seconds(ended.EndedAt), ended.EndedBy,
		store.ResultColumn(ended.Result), ended.Detail)
	return err
}
