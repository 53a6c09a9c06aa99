package sqlite

import (
	"context"
	"fmt"
	"slices"

	"capf/runtime/capf"
	"capf/runtime/store"
)

// The reasons for which EndOperation revokes certificates.
const (
	revokedSuperseded = "superseded"
	revokedDeleted    = "deleted"
)

// EndOperation writes what came of an operation, voids the authentication string with it, and keeps what
// the phone showed of its certificates, all in one transaction. CodeSuperseded where the operation is not
// pending at that revision any more; a deadline that passed during the session does not undo what the
// phone has done. CodeAuthentication where what the session authenticated by was withdrawn. CodeRefused where a
// certificate that the phone returned has another device's key, or a success confirms one that is revoked.
//
// The other LSCs of the device are revoked when the phone has confirmed one, by storing it or by
// returning one that was not confirmed yet, and when it has confirmed a delete.
func (s *Store) EndOperation(ctx context.Context, device string, ref capf.OperationRef, outcome capf.Outcome) error {
	outcome.At = store.WholeSeconds(outcome.At)
	if outcome.At.IsZero() {
		outcome.At = s.now()
	}
	if outcome.Ending != capf.EndingSuccess && outcome.Ending != capf.EndingFailed {
		return &capf.Error{Code: capf.CodeInternal, Message: fmt.Sprintf("operation %d cannot end as %q in a session", ref.ID, outcome.Ending)}
	}
	return s.writer.Do(ctx, func(tx *store.Statements) error {
		operation, err := pendingOperation(tx, ref)
		if err != nil {
			return err
		}
		if operation.Device != device {
			return superseded(ref)
		}
		if err := judgePresented(tx, device, outcome.Presented); err != nil {
			return err
		}
		ended := capf.OperationRecord{Ref: ref, Ending: outcome.Ending, EndedAt: outcome.At, EndedBy: outcome.By,
			Result: &outcome.Result, Detail: outcome.Detail}
		if err := writeEnded(tx, &ended); err != nil {
			return err
		}
		return writeOutcome(tx, operation, outcome)
	})
}

// writeOutcome brings certificates and phone up to what the phone has shown.
func writeOutcome(tx *store.Statements, operation capf.OperationRecord, outcome capf.Outcome) error {
	current, proved, err := confirm(tx, operation, &outcome)
	if err != nil {
		return err
	}
	if proved {
		if err := revokeOthers(tx, operation.Device, current, revokedSuperseded, outcome); err != nil {
			return err
		}
	}
	deleted := outcome.LSC == capf.LSCNone && operation.Operation == capf.OperationDelete && outcome.Ending == capf.EndingSuccess
	if deleted {
		if err := revokeOthers(tx, operation.Device, 0, revokedDeleted, outcome); err != nil {
			return err
		}
	}
	return updatePhone(tx, operation.Device, current, outcome)
}

// confirm records the certificates of the outcome. It gives the LSC that the phone is known to hold, 0
// for none, and whether that became known only now. Of a phone that has installed a revoked one it is known only that
// it may have to be deleted.
func confirm(tx *store.Statements, operation capf.OperationRecord, outcome *capf.Outcome) (current int64, proved bool, err error) {
	if outcome.Confirmed != 0 {
		if current, proved, err = confirmIssued(tx, operation.Device, *outcome); err != nil {
			return 0, false, err
		}
	}
	for _, seen := range outcome.Seen {
		seen.Device, seen.Operation = operation.Device, operation.Ref.ID
		id, isNew, err := recordSeen(tx, seen, *outcome)
		if err != nil {
			return 0, false, err
		}
		if seen.Kind == capf.LSC && id == 0 && outcome.LSC == capf.LSCInstalled {
			outcome.LSC = capf.LSCUnknown
		}
		if seen.Kind == capf.LSC && id != 0 {
			current, proved = id, proved || isNew
		}
	}
	return current, proved, nil
}

// confirmIssued confirms the certificate that the phone has stored. One that was revoked since it left stays
// revoked. The operation that it was for is no success then: it was to give the phone an LSC that is worth something.
// That the phone has stored it is known all the same, and so that it holds none of the others any more.
func confirmIssued(tx *store.Statements, device string, outcome capf.Outcome) (current int64, proved bool, err error) {
	var state capf.CertificateState
	var serial string
	found, err := tx.First(store.Into(&state, &serial), `SELECT state, serial FROM certificates WHERE id = +?1 AND device = +?2 AND kind = 'lsc'`,
		outcome.Confirmed, device)
	if err != nil {
		return 0, false, err
	}
	if !found {
		return 0, false, &capf.Error{Code: capf.CodeNotFound, Message: fmt.Sprintf("phone %s has no LSC %d to confirm", device, outcome.Confirmed)}
	}
	if state != capf.CertificateRevoked {
		return confirmStored(tx, outcome.Confirmed, state, outcome)
	}
	if outcome.Ending == capf.EndingSuccess {
		err = &capf.Error{Code: capf.CodeRefused, Message: fmt.Sprintf("the LSC %s was revoked before phone %s said that it has stored it", serial, device),
			Hint: "set the operation again; until it succeeds the phone holds a revoked certificate"}
	}
	return 0, true, err
}

// recordSeen stores a certificate that the phone returned, or confirms it where it is in the store. It
// gives 0 for one that is revoked.
func recordSeen(tx *store.Statements, seen capf.Certificate, outcome capf.Outcome) (id int64, proved bool, err error) {
	var state capf.CertificateState
	known, err := tx.First(store.Into(&id, &state), `SELECT id, state FROM certificates WHERE device = +?1 AND kind = +?2 AND sha256 = +?3`,
		seen.Device, string(seen.Kind), seen.SHA256)
	if err != nil {
		return 0, false, err
	}
	if known {
		return confirmStored(tx, id, state, outcome)
	}
	if err := refuseForeignKey(tx, seen); err != nil {
		return 0, false, err
	}
	seen.State, seen.Source = capf.CertificateConfirmed, capf.SourceSeen
	seen.RecordedAt, seen.ConfirmedAt = outcome.At, outcome.At
	id, err = addCertificate(tx, seen)
	return id, true, err
}

func confirmStored(tx *store.Statements, id int64, state capf.CertificateState, outcome capf.Outcome) (current int64, proved bool, err error) {
	switch state {
	case capf.CertificateRevoked:
		return 0, false, nil
	case capf.CertificateConfirmed:
		return id, false, nil
	}
	_, err = tx.Exec(`UPDATE certificates SET state = 'confirmed', confirmed_at = ?2 WHERE id = +?1`, id, outcome.At.Unix())
	return id, true, err
}

// revokeOthers revokes every LSC of the device but one; 0 spares none.
func revokeOthers(tx *store.Statements, device string, spared int64, reason string, outcome capf.Outcome) error {
	_, err := tx.Exec(`UPDATE certificates SET state = 'revoked', revoked_at = ?4, revoke_reason = ?3
		WHERE device = +?1 AND kind = 'lsc' AND state <> 'revoked' AND id <> +?2`, device, spared, reason, outcome.At.Unix())
	return err
}

// updatePhone writes the result, voids the string, and writes what is known of certificates now: of the
// LSC where one is held, or the outcome says that there is none or an unknown one.
func updatePhone(tx *store.Statements, device string, current int64, outcome capf.Outcome) error {
	if err := voidBefore(tx, device); err != nil {
		return err
	}
	known := outcome.LSC
	if current != 0 {
		known = capf.LSCInstalled
	}
	if known == capf.LSCExpired {
		known = capf.LSCInstalled // dates are judged when the phone is read
	}
	mic := outcome.MIC
	if slices.ContainsFunc(outcome.Seen, func(seen capf.Certificate) bool { return seen.Kind == capf.MIC }) {
		mic = capf.MICPresent
	}
	_, err := tx.Exec(`UPDATE phones SET auth_string = NULL, result = ?2,
		result_mark = (SELECT coalesce(max(a.id), 0) FROM attempts a WHERE a.device = phones.device),
		lsc = CASE WHEN ?3 <> 0 THEN ?3 WHEN ?4 = '' THEN lsc WHEN ?4 = 'installed' THEN lsc END,
		lsc_known = iif(?4 = '', lsc_known, ?4), mic = iif(?5 = '', mic, ?5),
		changes = changes + 1, changed_at = ?6 WHERE device = +?1`,
		device, int(outcome.Result), current, string(known), string(mic), outcome.At.Unix())
	return err
}
