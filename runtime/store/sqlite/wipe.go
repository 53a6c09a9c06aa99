package sqlite

import (
	"context"
	"database/sql"
)

// wipesSince is the schema since which pages that are given back are overwritten (see dsn). Before, they kept what they
// held, authentication strings that are void among it, until somebody used them again.
const wipesSince = 18

// wipeFree overwrites the pages of the file that nobody uses, all in one transaction: it gives them to a table of zeros,
// which it drops. VACUUM would do it too, and would write the whole store for that, by way of memory or of a file
// somewhere else. Where it is cut nothing has changed.
func wipeFree(ctx context.Context, pool *sql.DB) error {
	tx, err := pool.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if err := fillFree(ctx, tx); err != nil {
		return err
	}
	return tx.Commit()
}

// fillFree has each page that is free take a row that fills it.
func fillFree(ctx context.Context, tx *sql.Tx) error {
	if _, err := tx.ExecContext(ctx, `CREATE TABLE wiped (content BLOB NOT NULL)`); err != nil {
		return err
	}
	for {
		var free, size int64
		err := tx.QueryRowContext(ctx, `SELECT freelist_count, page_size FROM pragma_freelist_count, pragma_page_size`).Scan(&free, &size)
		if err != nil {
			return err
		}
		if free == 0 {
			_, err = tx.ExecContext(ctx, `DROP TABLE wiped`)
			return err
		}
		// SQLite needs 35 bytes of a page that has one row, and some for the columns.
		_, err = tx.ExecContext(ctx, `INSERT INTO wiped (content) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
			SELECT zeroblob(?2) FROM n`, free, size-64)
		if err != nil {
			return err
		}
	}
}
