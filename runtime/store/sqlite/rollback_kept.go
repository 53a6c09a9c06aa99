package sqlite

import (
	"database/sql"
	"fmt"

	"capf/runtime/capf"
	"capf/runtime/store"
)

// In the order in which they are shown: a certificate and an anchor under their serial numbers.
const selectKept = `SELECT 'phone', device, '', kept, at, coalesce(operation, ''), coalesce(ending, ''), coalesce(other_run, 0)
	FROM undo_phones WHERE kept IS NOT NULL
	UNION ALL SELECT * FROM (SELECT 'certificate', c.serial, c.device, u.kept, coalesce(c.revoked_at, c.confirmed_at), '', c.revoke_reason, 0
		FROM undo_certificates u JOIN certificates c ON c.id = u.id WHERE u.kept IS NOT NULL ORDER BY c.device, c.id)
	UNION ALL SELECT * FROM (SELECT 'anchor', a.serial, a.subject, u.kept, NULL, '', '', u.phones
		FROM undo_anchors u JOIN anchors a ON a.id = u.id WHERE u.kept IS NOT NULL ORDER BY a.id)
	UNION ALL SELECT 'parameter', u.name, '', u.kept, p.changed_at, '', coalesce(p.changed_by, ''), 0
		FROM undo_parameters u LEFT JOIN parameters p ON p.name = u.name WHERE u.kept IS NOT NULL`

// keptRow is what is known of something that stays.
type keptRow struct {
	kind       capf.RollbackKind
	name, of   string
	why        string
	at         sql.NullInt64
	operation  string
	ending     string // of an operation that the phone has ended; for a parameter who set it, for a certificate why it was revoked
	otherOrAll int64  // run, or number of phones
}

// list gives what stays, in words.
func (r *rollback) list() error {
	r.Kept = []capf.RollbackKept{}
	return r.tx.Each(func(cursor store.Scanner) error {
		var row keptRow
		err := cursor.Scan(&row.kind, &row.name, &row.of, &row.why, &row.at, &row.operation, &row.ending, &row.otherOrAll)
		r.Kept = append(r.Kept, capf.RollbackKept{Kind: row.kind, Name: row.name, Reason: row.reason()})
		return err
	}, selectKept)
}

func (k *keptRow) reason() string {
	at := ""
	if k.at.Valid {
		at = ", at " + capf.FormatTime(store.Time(k.at))
	}
	switch k.why {
	case keptRemoved:
		return "was removed here since; it stays removed, with the history of its operations"
	case keptAdded:
		return "was removed and added again here since"
	case keptTaken:
		return fmt.Sprintf("run %d took it over since and kept it", k.otherOrAll)
	case keptIssued:
		return "an LSC was issued to it since"
	case keptChanged:
		return k.changed() + at
	case keptCalled:
		return "has called since" + at
	case keptConfirmed:
		return "the phone " + k.of + " has shown it since" + at
	case keptRevoked:
		return fmt.Sprintf("of %s, was revoked since (%s)%s", k.of, k.ending, at)
	case keptHangs:
		return fmt.Sprintf("%s: LSCs hang on it, of phones: %d", k.of, k.otherOrAll)
	case keptSet:
		return "was set here since by " + k.ending + at
	}
	return k.why
}

// changed says whether the phone has ended its operation, or it was something else.
func (k *keptRow) changed() string {
	if k.ending != "" {
		return fmt.Sprintf("has ended its operation since (%s %s)", k.operation, k.ending)
	}
	return "was changed here since"
}
