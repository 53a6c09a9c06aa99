package sqlite

import (
	"context"

	"github.com/hashicorp/go-multierror"

	"capf/runtime/capf"
	"capf/runtime/store"
)

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
