-- +goose Up

-- What a run added has the IDs after _after, up to _up_to. NULL: it was applied before any of this was kept, and
-- cannot be rolled back. A run that is staged while another is rolled back gets rolled_back_at too: what it was
-- planned with is no more.
ALTER TABLE migration_runs ADD COLUMN certificates_after INTEGER;
ALTER TABLE migration_runs ADD COLUMN certificates_up_to INTEGER;
ALTER TABLE migration_runs ADD COLUMN anchors_after INTEGER;
ALTER TABLE migration_runs ADD COLUMN anchors_up_to INTEGER;
ALTER TABLE migration_runs ADD COLUMN rolled_back_at INTEGER;
ALTER TABLE migration_runs ADD COLUMN rolled_back_by TEXT NOT NULL DEFAULT '';

DROP INDEX migration_runs_applied;
CREATE UNIQUE INDEX migration_runs_applied ON migration_runs (key) WHERE applied_at IS NOT NULL AND rolled_back_at IS NULL;

-- The phones that a run updated, as they were, in the columns that it writes. Nothing is kept of the phones that it
-- added: before it there was nothing. A string is void here too as soon as the phone will not be restored any more.
CREATE TABLE phones_before (
    run               INTEGER NOT NULL REFERENCES migration_runs (id),
    device            TEXT    NOT NULL,
    record            INTEGER NOT NULL, -- import record that the run took the phone from
    description       TEXT    NOT NULL,
    auth_mode         TEXT    NOT NULL,
    auth_string       TEXT,
    string_until      INTEGER,          -- the deadline of the operation that the string belongs to
    key_size          TEXT    NOT NULL,
    security_mode     TEXT    NOT NULL,
    last_operation    INTEGER,
    pending_operation INTEGER,
    last_session      INTEGER,
    result            INTEGER,
    result_mark       INTEGER NOT NULL,
    changed_at        INTEGER,
    imported          INTEGER,
    PRIMARY KEY (run, device)
) STRICT, WITHOUT ROWID;

CREATE INDEX phones_before_string ON phones_before (device) WHERE auth_string IS NOT NULL;
CREATE INDEX phones_before_until ON phones_before (string_until) WHERE auth_string IS NOT NULL;

-- The wrong strings for operations that a run ended: a rollback does not begin to count anew.
CREATE TABLE wrong_strings_before (
    run       INTEGER NOT NULL REFERENCES migration_runs (id),
    device    TEXT    NOT NULL,
    operation INTEGER NOT NULL,
    address   TEXT    NOT NULL,
    count     INTEGER NOT NULL,
    last_at   INTEGER NOT NULL,
    PRIMARY KEY (run, device, operation, address)
) STRICT, WITHOUT ROWID;

-- The parameters that a run set, none of which had been set before.
CREATE TABLE run_parameters (
    run        INTEGER NOT NULL REFERENCES migration_runs (id),
    name       TEXT    NOT NULL,
    value      TEXT    NOT NULL,
    changed_at INTEGER NOT NULL,
    changed_by TEXT    NOT NULL,
    PRIMARY KEY (run, name)
) STRICT, WITHOUT ROWID;

-- What stayed when a run was rolled back.
CREATE TABLE rollback_kept (
    run    INTEGER NOT NULL REFERENCES migration_runs (id),
    kind   TEXT    NOT NULL CHECK (kind IN ('phone', 'certificate', 'anchor', 'parameter')),
    name   TEXT    NOT NULL,
    reason TEXT    NOT NULL,
    PRIMARY KEY (run, kind, name)
) STRICT, WITHOUT ROWID;
