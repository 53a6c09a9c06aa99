package sqlite

import (
	"context"
	"fmt"

	"capf/runtime/capf"
	"capf/runtime/store"
)

// RevokeLSCs revokes LSCs, by the word of an administrator, and gives them with their phones as they are then:
// all of a device that are not revoked, or for a serial number the one that has it. Of the phone nothing is
// known then but that it may still hold a revoked LSC: where it was the current one, the LSC status becomes
// unknown (not none: Delete and Troubleshoot must remain possible) and no LSC is the phone's.
//
// CodeNotFound where there is none to revoke; CodeConflict where a serial number has two issuers; CodeRefused
// for a MIC. One of device and serial is given, the other is empty.
func (s *Store) RevokeLSCs(ctx context.Context, device, serial string, reason capf.RevokeReason, actor string) (revoked []capf.RevokedLSC, err error) {
	err = s.writer.Do(ctx, func(tx *store.Statements) error {
		certificates, err := revocable(tx, device, serial)
		if err != nil {
			return err
		}
		revoked = nil
		for _, certificate := range certificates {
			one, err := s.revokeLSC(tx, certificate, reason, actor)
			if err != nil {
				return err
			}
			revoked = append(revoked, one)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return revoked, nil
}

// revocable finds what is meant.
func revocable(tx *store.Statements, device, serial string) ([]capf.Certificate, error) {
	if device != "" {
		found, err := store.Collect(tx, scanCertificate, selectCertificates+`WHERE device = +?1 AND kind = 'lsc' AND state <> 'revoked' ORDER BY id`, device)
		if err == nil && len(found) == 0 {
			err = &capf.Error{Code: capf.CodeNotFound, Message: "no LSC of " + device + " is known that is not revoked",
				Hint: "see `capf certificate list " + device + "`"}
		}
		return found, err
	}
	found, err := store.Collect(tx, scanCertificate, selectCertificates+`WHERE serial = +?1 ORDER BY id`, serial)
	if err != nil {
		return nil, err
	}
	return found, oneLSC(serial, found)
}

// oneLSC sees that a serial number means one LSC that can be revoked.
func oneLSC(serial string, found []capf.Certificate) error {
	switch {
	case len(found) == 0:
		return &capf.Error{Code: capf.CodeNotFound, Message: "no certificate with serial number " + serial + " is in the store",
			Hint: "see `capf certificate list`"}
	case len(found) > 1:
		return &capf.Error{Code: capf.CodeConflict, Message: fmt.Sprintf("%d certificates have serial number %s, those of %s and %s among them",
			len(found), serial, found[0].Device, found[1].Device), Hint: "name the device instead"}
	case found[0].Kind != capf.LSC:
		return &capf.Error{Code: capf.CodeRefused, Message: fmt.Sprintf("serial number %s is the MIC of %s, which its manufacturer issued", serial, found[0].Device),
			Hint: "to keep it out, set another authentication mode, or remove its anchor"}
	case found[0].State == capf.CertificateRevoked:
		return &capf.Error{Code: capf.CodeConflict, Message: fmt.Sprintf("the LSC %s of %s is revoked already, since %s", serial, found[0].Device,
			capf.FormatTime(found[0].RevokedAt)), Hint: "nothing is left to do"}
	}
	return nil
}

func (s *Store) revokeLSC(tx *store.Statements, certificate capf.Certificate, reason capf.RevokeReason, actor string) (capf.RevokedLSC, error) {
	now := s.now()
	certificate.State, certificate.RevokedAt, certificate.RevokeReason = capf.CertificateRevoked, now, string(reason)
	revoked := capf.RevokedLSC{Certificate: certificate}
	_, err := tx.Exec(`UPDATE certificates SET state = 'revoked', revoked_at = ?2, revoke_reason = ?3 WHERE id = +?1`,
		certificate.ID, now.Unix(), string(reason))
	if err != nil {
		return capf.RevokedLSC{}, err
	}
	current, err := tx.Exec(`UPDATE phones SET lsc = NULL, lsc_known = 'unknown', changes = changes + 1, changed_at = ?3
		WHERE device = +?1 AND lsc = +?2`, certificate.Device, certificate.ID, now.Unix())
	if err != nil {
		return capf.RevokedLSC{}, err
	}
	if revoked.WasCurrent = current > 0; revoked.WasCurrent {
		if err := voidBefore(tx, certificate.Device); err != nil {
			return capf.RevokedLSC{}, err
		}
	}
	row, found, err := readPhone(tx, certificate.Device)
	if err != nil {
		return capf.RevokedLSC{}, err
	}
	if found {
		revoked.Phone = &row.Phone
	}
	return revoked, s.audit(tx, actor, "ca revoke", certificate.Device, fmt.Sprintf("serial=%s reason=%s", certificate.Serial, reason))
}

// HasSerial reports whether a certificate has that serial number (lower-case hex).
func (s *Store) HasSerial(ctx context.Context, serial string) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	var id int64
	return s.reads.First(store.Into(&id), `SELECT id FROM certificates WHERE serial = +?1 LIMIT 1`, serial)
}
