package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"capf/runtime/capf"
	"capf/runtime/store"
)

// What a session reads, and what it writes before an operation ends.

// superseded tells a session that its operation is not the one to carry out any more.
func superseded(ref capf.OperationRef) error {
	return &capf.Error{Code: capf.CodeSuperseded,
		Message: fmt.Sprintf("operation %d is no longer pending as it was when the session began", ref.ID),
		Hint:    "the phone has to ask again"}
}

// BeginOperation marks an operation as carried out by a session that has authenticated. CodeSuperseded
// where it is not pending at that revision, or its deadline has passed; CodeAuthentication where what the
// phone authenticated by was withdrawn since. That certificate is recorded with it, as if the phone had
// returned it to a Troubleshoot.
func (s *Store) BeginOperation(ctx context.Context, device string, ref capf.OperationRef, info capf.SessionInfo) error {
	return s.writer.Do(ctx, func(tx *store.Statements) error {
		begun, err := tx.Exec(`UPDATE operations SET serving = ?4, session_at = ?6, session_address = ?7, session_tls = ?8
			WHERE id = +?1 AND device = +?2 AND revision = +?3 AND ending = '' AND (completes_by IS NULL OR completes_by >= +?5)`,
			ref.ID, device, ref.Revision, info.Instance, s.now().Unix(), store.Seconds(info.Started), info.Address, info.TLS)
		if err != nil {
			return err
		}
		if begun == 0 {
			return superseded(ref)
		}
		if err := judgePresented(tx, device, info.Presented); err != nil {
			return err
		}
		_, err = tx.Exec(`UPDATE phones SET last_session = ?2, last_address = ?3, last_tls = ?4 WHERE device = +?1`,
			device, store.Seconds(info.Started), info.Address, info.TLS)
		if err != nil || info.Presented == nil {
			return err
		}
		return recordPresented(tx, device, ref, info.Presented.Certificate, s.now())
	})
}

// A certificate is known by what its issuer has signed: the bytes around it can be changed by anybody so that they
// still verify.
const selectWithdrawn = `SELECT
	EXISTS (SELECT 1 FROM certificates WHERE serial = +?1 AND device = +?2 AND kind = +?3 AND key_sha256 = +?4 AND state = 'revoked'),
	?5 <> '' AND NOT EXISTS (SELECT 1 FROM anchors WHERE kind = +?3 AND sha256 = +?5)`

// judgePresented gives CodeAuthentication where what a session of the device authenticated by was withdrawn since: the
// certificate revoked, or its trust anchor removed. The operation is left alone then, as after every failed
// authentication, and so is a certificate that left before: it was issued while nothing was wrong with the one that the
// phone had shown, and the phone may well hold it.
func judgePresented(tx *store.Statements, device string, presented *capf.Presented) error {
	if presented == nil {
		return nil
	}
	var revoked, removed bool
	_, err := tx.First(store.Into(&revoked, &removed), selectWithdrawn, presented.Serial, device, string(presented.Kind), presented.KeySHA256, presented.Anchor)
	kind := strings.ToUpper(string(presented.Kind))
	switch {
	case err != nil:
		return err
	case revoked:
		return &capf.Error{Code: capf.CodeAuthentication, Message: fmt.Sprintf("the phone's %s is revoked", kind)}
	case removed:
		return &capf.Error{Code: capf.CodeAuthentication, Message: fmt.Sprintf("the trust anchor of the phone's %s was removed", kind)}
	}
	return nil
}

// recordPresented keeps what the phone has shown of its certificates. One that was not confirmed is now.
func recordPresented(tx *store.Statements, device string, ref capf.OperationRef, presented capf.Certificate, now time.Time) error {
	presented.Device, presented.Operation = device, ref.ID
	at := capf.Outcome{At: now}
	// A proof can be replayed: what is older than the LSC that the phone is known to have is no news of it.
	newer, err := tx.First(store.Into(new(int64)), `SELECT id FROM certificates
		WHERE device = ?1 AND kind = 'lsc' AND state = 'confirmed' AND not_before > ?2 AND ?3 = 'lsc' LIMIT 1`,
		device, presented.NotBefore.Unix(), string(presented.Kind))
	if err != nil || newer {
		return err
	}
	id, proved, err := recordSeen(tx, presented, at)
	if err != nil || id == 0 {
		return err
	}
	if presented.Kind == capf.MIC {
		_, err = tx.Exec(`UPDATE phones SET mic = 'present', changes = changes + 1 WHERE device = +?1 AND mic <> 'present'`, device)
		return err
	}
	if proved {
		if err := revokeOthers(tx, device, id, revokedSuperseded, at); err != nil {
			return err
		}
	}
	_, err = tx.Exec(`UPDATE phones SET lsc = ?2, lsc_known = 'installed', changes = changes + 1
		WHERE device = +?1 AND (lsc IS NOT +?2 OR lsc_known <> 'installed')`, device, id)
	return err
}

// ReleaseOperation leaves an operation pending after the line of its session broke, with its string, and
// keeps the result, as an attempt of the phone too. Where it is not that instance's any more it changes
// nothing.
func (s *Store) ReleaseOperation(ctx context.Context, ref capf.OperationRef, instance string, result capf.Result) error {
	return s.writer.Do(ctx, func(tx *store.Statements) error {
		released, err := tx.Exec(`UPDATE operations SET serving = ''
			WHERE id = +?1 AND revision = +?2 AND ending = '' AND serving = +?3 AND serving <> ''`, ref.ID, ref.Revision, instance)
		if err != nil || released == 0 {
			return err
		}
		if err := s.addBroken(tx, ref, result); err != nil {
			return err
		}
		_, err = tx.Exec(`UPDATE phones SET result = ?2,
			result_mark = (SELECT coalesce(max(a.id), 0) FROM attempts a WHERE a.device = phones.device)
			WHERE device = (SELECT device FROM operations WHERE id = +?1) AND last_operation = +?1`, ref.ID, int(result))
		return err
	})
}

// pendingOperation gives the operation if it is pending at that revision, else CodeSuperseded. The
// deadline is for the caller.
func pendingOperation(tx *store.Statements, ref capf.OperationRef) (operation capf.OperationRecord, err error) {
	var completesBy sql.NullInt64
	found, err := tx.First(store.Into(&operation.Device, &operation.Operation, &completesBy),
		`SELECT device, operation, completes_by FROM operations WHERE id = +?1 AND revision = +?2 AND ending = ''`, ref.ID, ref.Revision)
	if err == nil && !found {
		err = superseded(ref)
	}
	operation.Ref, operation.CompletesBy = ref, store.Time(completesBy)
	return operation, err
}

// selectLate leaves out what the living service ?3 carries out: enough of that would fill every batch.
const selectLate = `SELECT device FROM operations WHERE ending = '' AND completes_by < +?1 AND (serving = '' OR serving <> +?3)
	ORDER BY completes_by LIMIT +?2`

// ExpireOperations ends up to limit operations whose deadline has passed, and voids their strings, save
// those that a session of the living service carries out: what the phone does to the end counts. It gives
// their number; fewer than limit means that none is left.
func (s *Store) ExpireOperations(ctx context.Context, now time.Time, limit int) (expired int, err error) {
	now = store.WholeSeconds(now)
	if err := s.voidStringsBefore(ctx, now, limit); err != nil {
		return 0, err
	}
	living, err := s.LivingInstance()
	if err != nil {
		return 0, err
	}
	err = s.writer.Do(ctx, func(tx *store.Statements) error {
		devices, err := store.Collect(tx, scanText, selectLate, now.Unix(), limit, living)
		if err != nil {
			return err
		}
		for _, device := range devices {
			ended, err := expire(tx, device, now, living)
			if err != nil {
				return err
			}
			expired += ended
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return expired, nil
}

func scanText(cursor store.Scanner) (text string, err error) {
	err = cursor.Scan(&text)
	return text, err
}

// markOfDeadline is the newest attempt up to the deadline of a phone's operation: one that came later is newer than the
// outcome, also where that is written later still.
const markOfDeadline = `max(result_mark, (SELECT coalesce(max(a.id), 0) FROM attempts a WHERE a.device = phones.device
	AND a.at <= coalesce((SELECT o.completes_by FROM operations o WHERE o.id = phones.last_operation), a.at)))`

// expire gives 1 where it ended the operation of the device.
func expire(tx *store.Statements, device string, now time.Time, living string) (int, error) {
	row, found, err := readPhone(tx, device)
	if err != nil || !found {
		return 0, err
	}
	ended := row.Expire(now, living)
	if ended == nil {
		return 0, nil
	}
	if err := writeEnded(tx, ended); err != nil {
		return 0, err
	}
	_, err = tx.Exec(`UPDATE phones SET auth_string = NULL, result = ?2,
		result_mark = `+markOfDeadline+`, changes = changes + 1 WHERE device = +?1`, device, store.ResultColumn(ended.Result))
	return 1, err
}

// withdrawnDetails say why a session ended that had authenticated by a certificate which was withdrawn meanwhile.
var withdrawnDetails = map[capf.Result]string{
	capf.ResultInvalidLSC: "the phone's LSC was revoked, or its trust anchor removed, during the session; the operation stays pending",
	capf.ResultInvalidMIC: "the trust anchor of the phone's MIC was removed during the session; the operation stays pending",
}

// addBroken keeps, among the attempts of its phone, a session that did not come to the end of its operation.
func (s *Store) addBroken(tx *store.Statements, ref capf.OperationRef, result capf.Result) error {
	broken := capf.Attempt{At: s.now(), Result: result, Detail: "the session ended inside the operation, which stays pending"}
	operation, completesBy := capf.OperationRecord{}, sql.NullInt64{}
	_, err := tx.First(store.Into(&broken.Device, &broken.Address, &broken.TLS, &completesBy),
		`SELECT device, session_address, session_tls, completes_by FROM operations WHERE id = +?1`, ref.ID)
	if err != nil {
		return err
	}
	if withdrawn := withdrawnDetails[result]; withdrawn != "" {
		broken.Detail = withdrawn
	}
	if operation.CompletesBy = store.Time(completesBy); !operation.IsPending(broken.At) {
		broken.Detail = "the deadline passed during the session"
	}
	return recordAttempt(tx, store.ClipAttempt(broken))
}

// RecordIdleCall keeps a call in the name of a phone for which nothing was pending, in place of the one
// before. Of a device that is no phone of ours it keeps nothing.
func (s *Store) RecordIdleCall(ctx context.Context, call capf.IdleCall) error {
	clipped := store.ClipAttempt(capf.Attempt{Device: call.Device, Address: call.Address, TLS: call.TLS})
	return s.writer.Do(ctx, func(tx *store.Statements) error {
		_, err := tx.Exec(`INSERT INTO idle_calls (device, address, tls, at) SELECT device, ?2, ?3, ?4 FROM phones WHERE device = +?1
			ON CONFLICT (device) DO UPDATE SET address = excluded.address, tls = excluded.tls, at = excluded.at`,
			clipped.Device, clipped.Address, clipped.TLS, call.At.Unix())
		return err
	})
}

const selectIdleCall = `SELECT address, tls, at FROM idle_calls WHERE device = +?1`

// LastIdleCall gives the last call in the name of a phone for which nothing was pending; nil where there was
// none.
func (s *Store) LastIdleCall(ctx context.Context, device string) (*capf.IdleCall, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	call := capf.IdleCall{Device: device}
	var at sql.NullInt64
	found, err := s.reads.First(store.Into(&call.Address, &call.TLS, &at), selectIdleCall, device)
	if err != nil || !found {
		return nil, err
	}
	call.At = store.Time(at)
	return &call, nil
}

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
