package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"capf/runtime/capf"
	"capf/runtime/store"
)

// Trust lists, what came of their delivery, and which servers are to be restarted.

// AddToken adds a security token. CodeConflict where the name is taken. A zero AddedAt is set to now.
func (s *Store) AddToken(ctx context.Context, token capf.Token, actor string) error {
	return s.writer.Do(ctx, func(tx *store.Statements) error { return s.addToken(tx, token, actor) })
}

func (s *Store) addToken(tx *store.Statements, token capf.Token, actor string) error {
	if token.AddedAt.IsZero() {
		token.AddedAt = s.now()
	}
	_, err := tx.Exec(`INSERT INTO tokens (name, location, certificate, added_at) VALUES (?1, ?2, ?3, ?4)`,
		token.Name, token.Location, token.Certificate, token.AddedAt.Unix())
	if isUnique(err) {
		return &capf.Error{Code: capf.CodeConflict, Message: "token " + token.Name + " is in the store already",
			Hint: "remove it first with `capf ctl token remove`"}
	}
	if err != nil {
		return err
	}
	return s.audit(tx, actor, "token add", token.Name, "location="+token.Location)
}

// Tokens gives the security tokens in the order in which they were added.
func (s *Store) Tokens(ctx context.Context) ([]capf.Token, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return store.Collect(s.reads, scanToken, `SELECT name, location, certificate, added_at FROM tokens ORDER BY rowid`)
}

func scanToken(cursor store.Scanner) (token capf.Token, err error) {
	var addedAt sql.NullInt64
	err = cursor.Scan(&token.Name, &token.Location, &token.Certificate, &addedAt)
	token.AddedAt = store.Time(addedAt)
	return token, err
}

// RemoveToken removes a security token. CodeNotFound where there is none.
func (s *Store) RemoveToken(ctx context.Context, name, actor string) error {
	return s.writer.Do(ctx, func(tx *store.Statements) error { return s.removeToken(tx, name, actor) })
}

func (s *Store) removeToken(tx *store.Statements, name, actor string) error {
	removed, err := tx.Exec(`DELETE FROM tokens WHERE name = +?1`, name)
	if err != nil {
		return err
	}
	if removed == 0 {
		return &capf.Error{Code: capf.CodeNotFound, Message: fmt.Sprintf("token %q is not in the store", name), Hint: "see `capf ctl token list`"}
	}
	return s.audit(tx, actor, "token remove", name, "")
}

const selectCTL = `SELECT version, origin, mode, digest, signer, signed_at, added_at, distributed_at, sha256, itl_sha256, file, itl FROM ctl_versions`

// AddCTL keeps a trust list and gives its version: one more than the newest. A zero AddedAt is set to now.
func (s *Store) AddCTL(ctx context.Context, ctl capf.CTLVersion, actor string) (version int64, err error) {
	return s.KeepCTL(ctx, ctl, capf.TokenChange{}, actor)
}

func (s *Store) addCTL(tx *store.Statements, ctl capf.CTLVersion, actor string) (version int64, err error) {
	if ctl.AddedAt.IsZero() {
		ctl.AddedAt = s.now()
	}
	var itl []byte // NULL for none
	ctl.ITLSHA256 = ""
	if len(ctl.ITL) > 0 {
		itl, ctl.ITLSHA256 = ctl.ITL, capf.HexSHA256(ctl.ITL)
	}
	version, err = tx.Insert(`INSERT INTO ctl_versions (origin, mode, digest, signer, signed_at, added_at, sha256, file, itl, itl_sha256)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)`, ctl.Origin, string(ctl.Mode), ctl.Digest, ctl.Signer,
		store.Seconds(ctl.SignedAt), ctl.AddedAt.Unix(), ctl.SHA256, ctl.File, itl, ctl.ITLSHA256)
	if err != nil {
		return 0, err
	}
	detail := fmt.Sprintf("mode=%s digest=%s signer=%q sha256=%s", ctl.Mode, ctl.Digest, ctl.Signer, ctl.SHA256)
	if ctl.ITLSHA256 != "" {
		detail += " itl-sha256=" + ctl.ITLSHA256
	}
	return version, s.audit(tx, actor, "ctl "+ctl.Origin, fmt.Sprintf("version %d", version), detail)
}

// CTLVersions gives the trust lists, the newest first, without their bytes.
func (s *Store) CTLVersions(ctx context.Context) ([]capf.CTLVersion, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return store.Collect(s.reads, scanCTL, `SELECT version, origin, mode, digest, signer, signed_at, added_at, distributed_at, sha256, itl_sha256, NULL, NULL
		FROM ctl_versions ORDER BY version DESC`)
}

// CTL gives a trust list with its bytes. CodeNotFound where there is none.
func (s *Store) CTL(ctx context.Context, version int64) (capf.CTLVersion, error) {
	return s.oneCTL(ctx, fmt.Sprintf("version %d of the trust list is not in the store", version), selectCTL+` WHERE version = +?1`, version)
}

const noList = "there is no trust list in the store"

// LatestCTL gives the newest trust list with its bytes. CodeNotFound where there is none.
func (s *Store) LatestCTL(ctx context.Context) (capf.CTLVersion, error) {
	return s.oneCTL(ctx, noList, selectCTL+` ORDER BY version DESC LIMIT 1`)
}

func (s *Store) oneCTL(ctx context.Context, missing, query string, arguments ...any) (ctl capf.CTLVersion, err error) {
	if err := ctx.Err(); err != nil {
		return capf.CTLVersion{}, err
	}
	return oneCTLOf(s.reads, missing, query, arguments...)
}

func oneCTLOf(statements *store.Statements, missing, query string, arguments ...any) (ctl capf.CTLVersion, err error) {
	found, err := statements.First(func(cursor store.Scanner) (err error) {
		ctl, err = scanCTL(cursor)
		return err
	}, query, arguments...)
	if err == nil && !found {
		hint := "see `capf ctl list`"
		if missing == noList {
			hint = "make one with `capf ctl build`, or record the phones' with `capf ctl import`"
		}
		err = &capf.Error{Code: capf.CodeNotFound, Message: missing, Hint: hint}
	}
	return ctl, err
}

func scanCTL(cursor store.Scanner) (ctl capf.CTLVersion, err error) {
	var signedAt, addedAt, distributedAt sql.NullInt64
	err = cursor.Scan(&ctl.Version, &ctl.Origin, &ctl.Mode, &ctl.Digest, &ctl.Signer, &signedAt, &addedAt, &distributedAt, &ctl.SHA256, &ctl.ITLSHA256,
		&ctl.File, &ctl.ITL)
	ctl.SignedAt, ctl.AddedAt, ctl.DistributedAt = store.Time(signedAt), store.Time(addedAt), store.Time(distributedAt)
	return ctl, err
}

// FieldCTL gives the trust list that phones are taken to hold, with its bytes: the newest that any node got or that was
// imported, else the newest there is. CodeNotFound where there is none.
func (s *Store) FieldCTL(ctx context.Context) (capf.CTLVersion, error) {
	return s.oneCTL(ctx, noList, selectField, capf.CTLImported)
}

const selectField = selectCTL + ` ORDER BY distributed_at IS NOT NULL OR origin = +?1 DESC, version DESC LIMIT 1`

// ImportCTL is AddCTL for a list from the field. Where that is the one that phones are known to hold already, to record it
// again would say nothing new: nothing is added, and its version is given. An earlier one, or one that no node is known to
// have got, would. Of two that import the same list at the same time one adds it.
func (s *Store) ImportCTL(ctx context.Context, ctl capf.CTLVersion, actor string) (version int64, added bool, err error) {
	err = s.writer.Do(ctx, func(tx *store.Statements) error {
		field, err := oneCTLOf(tx, noList, selectField, capf.CTLImported)
		if err != nil && !capf.HasCode(err, capf.CodeNotFound) {
			return err
		}
		known := field.Origin == capf.CTLImported || !field.DistributedAt.IsZero()
		if added = err != nil || !known || field.SHA256 != ctl.SHA256; !added {
			version = field.Version
			return nil
		}
		version, err = s.addCTL(tx, ctl, actor)
		return err
	})
	if err != nil {
		return 0, false, err
	}
	return version, added, nil
}

// FieldITL is FieldCTL for the ITL: the version whose ITL phones are taken to hold. CodeNotFound where no version has one.
func (s *Store) FieldITL(ctx context.Context) (capf.CTLVersion, error) {
	return s.oneCTL(ctx, "no version of the trust list has an ITL", selectCTL+` WHERE itl IS NOT NULL ORDER BY distributed_at IS NOT NULL DESC, version DESC LIMIT 1`)
}

// KeepCTL is AddCTL, and in the same transaction adds and removes the security tokens that come and go with the list.
func (s *Store) KeepCTL(ctx context.Context, ctl capf.CTLVersion, change capf.TokenChange, actor string) (version int64, err error) {
	err = s.writer.Do(ctx, func(tx *store.Statements) error {
		for _, name := range change.Remove {
			if err := s.removeToken(tx, name, actor); err != nil {
				return err
			}
		}
		for _, token := range change.Add {
			if err := s.addToken(tx, token, actor); err != nil {
				return err
			}
		}
		version, err = s.addCTL(tx, ctl, actor)
		return err
	})
	if err != nil {
		return 0, err
	}
	return version, nil
}

// markDistributed notes when a node got a list first.
func markDistributed(tx *store.Statements, delivery capf.Delivery) error {
	if !delivery.Reached() {
		return nil
	}
	_, err := tx.Exec(`UPDATE ctl_versions SET distributed_at = ?2 WHERE version = +?1 AND distributed_at IS NULL`, delivery.Version, delivery.At.Unix())
	return err
}

// OweRestart notes that the services of a node have to be restarted for a list. Where that is so already, the earlier
// list stays noted. CodeNotFound where there is no such node.
func (s *Store) OweRestart(ctx context.Context, node string, version int64) error {
	return s.writer.Do(ctx, func(tx *store.Statements) error {
		if _, err := nodeNamed(tx, node); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO restarts (node, version, since, done_at, done_by) VALUES (?1, ?2, ?3, NULL, '')
			ON CONFLICT (node) DO UPDATE SET version = excluded.version, since = excluded.since, done_at = NULL, done_by = ''
			WHERE restarts.done_at IS NOT NULL`, node, version, s.now().Unix())
		return err
	})
}

// Restarts gives what is known of the restarts of each node that got a list since they are noted, by name.
func (s *Store) Restarts(ctx context.Context) ([]capf.Restart, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return store.Collect(s.reads, scanRestart, `SELECT node, version, since, done_at, done_by FROM restarts ORDER BY node`)
}

func scanRestart(cursor store.Scanner) (restart capf.Restart, err error) {
	var since, doneAt sql.NullInt64
	err = cursor.Scan(&restart.Node, &restart.Version, &since, &doneAt, &restart.DoneBy)
	restart.Since, restart.DoneAt = store.Time(since), store.Time(doneAt)
	return restart, err
}

// RestartsDone notes that somebody has restarted the services of these nodes. Of a node of which none is due nothing is
// noted. CodeNotFound, and nothing noted, where one of them is not there.
func (s *Store) RestartsDone(ctx context.Context, nodes []string, actor string) error {
	return s.writer.Do(ctx, func(tx *store.Statements) error {
		for _, node := range nodes {
			if _, err := nodeNamed(tx, node); err != nil {
				return err
			}
			if err := s.restartDone(tx, node, actor); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Store) restartDone(tx *store.Statements, node, actor string) error {
	var version int64
	due, err := tx.First(store.Into(&version), `SELECT version FROM restarts WHERE node = +?1 AND done_at IS NULL`, node)
	if err != nil || !due {
		return err
	}
	if _, err := tx.Exec(`UPDATE restarts SET done_at = ?2, done_by = ?3 WHERE node = +?1`, node, s.now().Unix(), actor); err != nil {
		return err
	}
	return s.audit(tx, actor, "ctl restarted", node, fmt.Sprintf("since version %d", version))
}
