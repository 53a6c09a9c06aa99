package sqlite

import (
	"database/sql"

	"capf/runtime/capf"
	"capf/runtime/store"
)

// addBroken keeps, among the attempts of its phone, a session that did not come to the end of its operation.
func (s *Store) addBroken(tx *store.Statements, ref capf.OperationRef, result capf.Result) error {
	broken := capf.Attempt{At: s.now(), Result: result, Detail: "the session ended inside the operation, which stays pending"}
	operation, completesBy := capf.OperationRecord{}, sql.NullInt64{}
	_, err := tx.First(store.Into(&broken.Device, &broken.Address, &broken.TLS, &completesBy),
		`SELECT device, session_address, session_tls, completes_by FROM operations WHERE id = +?1`, ref.ID)
	if err != nil {
		return err
	}
	if operation.CompletesBy = store.Time(completesBy); !operation.IsPending(broken.At) {
		broken.Detail = "the deadline passed during the session"
	}
	return recordAttempt(tx, store.ClipAttempt(broken))
}
