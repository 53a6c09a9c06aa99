-- +goose Up

-- The children of what a rollback removes, so that SQLite finds for each row whether there is one.
CREATE INDEX phones_last_operation ON phones (last_operation);
CREATE INDEX phones_lsc ON phones (lsc) WHERE lsc IS NOT NULL;
CREATE INDEX certificates_operation ON certificates (operation) WHERE operation IS NOT NULL;
CREATE INDEX held_calls_operation ON held_calls (operation);

-- What an earlier capf had staged and never applied goes; the next run stages anew. Its new phones were in a table beside
-- the phones, and its operations among the others.
DROP TABLE IF EXISTS phones_next;
DROP TABLE staged_operations;
DROP TABLE staged_endings;
DROP TABLE staged_phones;
DELETE FROM phones_before WHERE run IN (SELECT id FROM migration_runs WHERE applied_at IS NULL);
DELETE FROM operations WHERE run IN (SELECT id FROM migration_runs WHERE applied_at IS NULL);
ALTER TABLE operations DROP COLUMN run;
ALTER TABLE migration_runs DROP COLUMN basis;
ALTER TABLE migration_runs DROP COLUMN reserved_from;
ALTER TABLE migration_runs DROP COLUMN reserved_to;

-- All phones of a run wait here, each with its operation, until the run is applied.
CREATE TABLE staged_phones (
    device         TEXT    NOT NULL PRIMARY KEY,
    run            INTEGER NOT NULL REFERENCES migration_runs (id),
    record         INTEGER NOT NULL, -- import record that it comes from
    expected       INTEGER,          -- changes of the phone that was planned with; NULL: there was none
    description    TEXT    NOT NULL,
    auth_mode      TEXT    NOT NULL,
    auth_string    TEXT,
    key_size       TEXT    NOT NULL,
    security_mode  TEXT    NOT NULL,
    lsc_known      TEXT    NOT NULL,
    mic            TEXT    NOT NULL,
    result         INTEGER,
    kept_operation INTEGER,          -- an operation of ours that goes on
    operation      TEXT,             -- a new one, with the columns that follow; NULL: none
    op_auth_mode   TEXT,
    op_key_size    TEXT,
    completes_by   INTEGER,
    created_at     INTEGER,
    created_by     TEXT,
    ended_at       INTEGER,
    ended_by       TEXT,
    ending         TEXT,
    op_result      INTEGER,
    detail         TEXT
) STRICT, WITHOUT ROWID;
