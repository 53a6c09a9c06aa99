-- +goose Up

-- The new operation of a phone that a run updates is written while the run is staged, as that of a phone that it adds.
-- `last_operation` is that one, or an operation of ours that goes on; `replaces`: it will be pending.
DROP TABLE staged_phones;
CREATE TABLE staged_phones (
    device         TEXT    NOT NULL PRIMARY KEY,
    run            INTEGER NOT NULL REFERENCES migration_runs (id),
    record         INTEGER NOT NULL,
    expected       INTEGER NOT NULL, -- changes of the phone that was planned with
    description    TEXT    NOT NULL,
    auth_mode      TEXT    NOT NULL,
    auth_string    TEXT,
    key_size       TEXT    NOT NULL,
    security_mode  TEXT    NOT NULL,
    result         INTEGER,
    last_operation INTEGER,
    replaces       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The pending operations of phones that a run updates which end with it: `ending` is how.
CREATE TABLE staged_endings (
    id     INTEGER PRIMARY KEY,
    ending TEXT    NOT NULL
) STRICT;

-- What was staged with the table as it was is staged again.
UPDATE migration_runs SET basis = '' WHERE applied_at IS NULL;
