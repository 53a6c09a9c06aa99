package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"capf/runtime/capf"
)

// keysByIdentity is the schema since which the columns `key_sha256` hold capf.KeyIdentity. Before, they held the digest
// of the key as it was written. What makes a key only its certificate tells, so that the schema has no SQL for it.
const keysByIdentity = 20

// identifyKeys fills the columns anew, in the transaction of that schema: where it is cut the store is as it was. The
// indexes are made again afterwards, since digests come in no order, and to keep an index that has them would take
// longer than all the rest.
func identifyKeys(ctx context.Context, tx *sql.Tx) error {
	if _, err := tx.ExecContext(ctx, `DROP INDEX certificates_key; DROP INDEX anchors_key`); err != nil {
		return err
	}
	for _, table := range []string{"certificates", "anchors", "staged_certificates"} {
		if err := identifyKeysOf(ctx, tx, table); err != nil {
			return fmt.Errorf("identify the public keys of %s: %w", table, err)
		}
	}
	_, err := tx.ExecContext(ctx, `CREATE INDEX certificates_key ON certificates (key_sha256, device); CREATE INDEX anchors_key ON anchors (key_sha256)`)
	return err
}

func identifyKeysOf(ctx context.Context, tx *sql.Tx, table string) error {
	update, err := tx.PrepareContext(ctx, fmt.Sprintf(`UPDATE %s SET key_sha256 = ?2 WHERE id = +?1`, table))
	if err != nil {
		return err
	}
	defer update.Close()
	for last := int64(0); ; {
		page, err := certificatesAfter(ctx, tx, table, last)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, one := range page {
			last = one.id
			read, err := capf.ReadCertificate(one.der)
			if err != nil {
				continue // nobody could show it here, and no phone sends its key
			}
			if _, err := update.ExecContext(ctx, one.id, read.KeySHA256); err != nil {
				return err
			}
		}
	}
}

// encoded is a certificate as a row has it.
type encoded struct {
	id  int64
	der []byte
}

func certificatesAfter(ctx context.Context, tx *sql.Tx, table string, last int64) (page []encoded, err error) {
	rows, err := tx.QueryContext(ctx, fmt.Sprintf(`SELECT id, der FROM %s WHERE id > +?1 ORDER BY id LIMIT +?2`, table), last, pageSize)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var one encoded
		if err := rows.Scan(&one.id, &one.der); err != nil {
			return nil, err
		}
		page = append(page, one)
	}
	return page, rows.Err()
}
