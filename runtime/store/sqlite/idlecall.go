package sqlite

import (
	"context"
	"database/sql"

	"capf/runtime/capf"
	"capf/runtime/store"
)

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
