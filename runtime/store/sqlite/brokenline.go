package sqlite

import (
	"database/sql"

	"capf/runtime/capf"
	"capf/runtime/store"
)

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
