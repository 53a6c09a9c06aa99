package sqlite

import (
	"context"
	"database/sql"

	"capf/runtime/capf"
	"capf/runtime/store"
)

// WrongStrings counts the wrong strings that came for an operation under its present string, in all and from
// an address.
func (s *Store) WrongStrings(ctx context.Context, device string, ref capf.OperationRef, address string) (capf.WrongStrings, error) {
	if err := ctx.Err(); err != nil {
		return capf.WrongStrings{}, err
	}
	return countWrong(s.reads, device, ref, address)
}

func countWrong(statements *store.Statements, device string, ref capf.OperationRef, address string) (wrong capf.WrongStrings, err error) {
	var last, lastByAddress sql.NullInt64
	_, err = statements.First(store.Into(&wrong.InAll, &last, &wrong.FromAddress, &lastByAddress),
		`SELECT coalesce(sum(count), 0), max(last_at), coalesce(sum(iif(address = +?3, count, 0)), 0), max(iif(address = +?3, last_at, NULL))
		FROM wrong_strings WHERE device = +?1 AND operation = +?2`, device, ref.ID, address)
	wrong.Last, wrong.LastByAddress = store.Time(last), store.Time(lastByAddress)
	return wrong, err
}

// CountWrongString adds one to the wrong strings of an operation and records the attempt. The one that
// exhausts them ends the operation: failed with the attempt's result, its string void.
func (s *Store) CountWrongString(ctx context.Context, ref capf.OperationRef, attempt capf.Attempt) (wrong capf.WrongStrings, err error) {
	attempt = store.ClipAttempt(attempt)
	err = s.writer.Do(ctx, func(tx *store.Statements) error {
		if _, err := pendingOperation(tx, ref); capf.HasCode(err, capf.CodeSuperseded) {
			return recordAttempt(tx, attempt) // another string may stand there by now
		} else if err != nil {
			return err
		}
		if _, err := tx.Exec(`DELETE FROM wrong_strings WHERE device = +?1 AND operation <> ?2`, attempt.Device, ref.ID); err != nil {
			return err
		}
		if _, err := tx.Exec(`INSERT INTO wrong_strings (device, operation, address, count, last_at) VALUES (?1, ?2, ?3, 1, ?4)
			ON CONFLICT DO UPDATE SET count = count + 1, last_at = excluded.last_at`,
			attempt.Device, ref.ID, attempt.Address, attempt.At.Unix()); err != nil {
			return err
		}
		if wrong, err = countWrong(tx, attempt.Device, ref, attempt.Address); err != nil {
			return err
		}
		if wrong.Exhausted() {
			if err := exhaust(tx, ref, attempt); err != nil {
				return err
			}
		}
		return recordAttempt(tx, attempt)
	})
	return wrong, err
}

// exhaust fails the operation.
func exhaust(tx *store.Statements, ref capf.OperationRef, attempt capf.Attempt) error {
	ended := capf.OperationRecord{Ref: ref, Ending: capf.EndingFailed, EndedAt: attempt.At, EndedBy: "wrong authentication strings",
		Result: &attempt.Result, Detail: "too many wrong authentication strings, the last from " + attempt.Address}
	if err := writeEnded(tx, &ended); err != nil {
		return err
	}
	return updatePhone(tx, attempt.Device, 0, capf.Outcome{Result: attempt.Result, At: attempt.At})
}
