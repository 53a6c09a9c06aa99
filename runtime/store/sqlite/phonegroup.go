package sqlite

import (
	"context"
	"database/sql"

	"capf/runtime/capf"
	"capf/runtime/store"
)

// Phones are grouped by columns alone, and so that the rules of capf, which are asked about one of a group, would
// say the same of all: whether a deadline or the end of an LSC has passed is part of it. It reads all phones once.
const selectGroups = `SELECT count(*), p.lsc_known, p.mic, o.operation, o.auth_mode, o.ending, iif(o.serving = ?2, o.serving, '') AS server,
	o.completes_by < ?1 AS late, max(o.completes_by), c.not_after < ?1 AS over, max(c.not_after)
	FROM phones p LEFT JOIN operations o ON o.id = p.last_operation LEFT JOIN certificates c ON c.id = p.lsc
	GROUP BY p.lsc_known, p.mic, o.operation, o.auth_mode, o.ending, server, late, over`

// PhoneGroups counts the phones that read alike at the moment.
func (s *Store) PhoneGroups(ctx context.Context, at capf.Moment) ([]capf.PhoneGroup, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return store.Collect(s.reads, scanGroup, selectGroups, at.Now.Unix(), at.Living)
}

func scanGroup(cursor store.Scanner) (group capf.PhoneGroup, err error) {
	var operation, mode, ending, server sql.NullString
	var late, over sql.NullBool
	var completesBy, notAfter sql.NullInt64
	p := &group.Phone
	err = cursor.Scan(&group.Count, &p.LSCKnown, &p.MIC, &operation, &mode, &ending, &server, &late, &completesBy, &over, &notAfter)
	if operation.Valid {
		p.Last = &capf.OperationRecord{Operation: capf.Operation(operation.String), AuthMode: capf.AuthMode(mode.String),
			Ending: capf.Ending(ending.String), Serving: server.String, CompletesBy: store.Time(completesBy)}
	}
	if notAfter.Valid {
		p.LSC = &capf.Certificate{Kind: capf.LSC, NotAfter: store.Time(notAfter)}
	}
	return group, err
}

// UnfinishedRuns counts the migration runs that are being staged or were broken off: nothing of them is visible.
func (s *Store) UnfinishedRuns(ctx context.Context) (count int, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	_, err = s.reads.First(store.Into(&count), `SELECT count(*) FROM migration_runs WHERE applied_at IS NULL AND rolled_back_at IS NULL`)
	return count, err
}
