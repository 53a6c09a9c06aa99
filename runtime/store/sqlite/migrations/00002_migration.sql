-- +goose Up

-- A run is visible once applied_at is set; so is everything that belongs to it.
CREATE TABLE migration_runs (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    key        TEXT    NOT NULL,
    dialect    TEXT    NOT NULL,
    prefer     TEXT    NOT NULL,
    started_at INTEGER NOT NULL,
    applied_at INTEGER,
    by         TEXT    NOT NULL,
    counts     TEXT    NOT NULL
) STRICT;

CREATE UNIQUE INDEX migration_runs_applied ON migration_runs (key) WHERE applied_at IS NOT NULL;

CREATE TABLE migration_sources (
    run      INTEGER NOT NULL REFERENCES migration_runs (id),
    position INTEGER NOT NULL,
    machine  TEXT    NOT NULL,
    path     TEXT    NOT NULL,
    digest   TEXT    NOT NULL,
    dialect  TEXT    NOT NULL,
    PRIMARY KEY (run, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE import_records (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    run     INTEGER NOT NULL REFERENCES migration_runs (id),
    device  TEXT    NOT NULL,
    machine TEXT    NOT NULL,
    file    TEXT    NOT NULL,
    line    INTEGER NOT NULL,
    digest  TEXT    NOT NULL,
    raw     BLOB    NOT NULL,
    time    TEXT    NOT NULL,
    verdict TEXT    NOT NULL CHECK (verdict IN ('new', 'updated', 'unchanged', 'history'))
) STRICT;

CREATE INDEX import_records_run ON import_records (run);
CREATE INDEX import_records_digest ON import_records (digest, device);

CREATE TABLE kept_lines (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    run     INTEGER NOT NULL REFERENCES migration_runs (id),
    machine TEXT    NOT NULL,
    file    TEXT    NOT NULL,
    line    INTEGER NOT NULL,
    bytes   BLOB,
    sha256  TEXT    NOT NULL,
    reason  TEXT    NOT NULL
) STRICT;

CREATE INDEX kept_lines_run ON kept_lines (run);

CREATE TABLE legacy_files (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    run     INTEGER NOT NULL REFERENCES migration_runs (id),
    machine TEXT    NOT NULL,
    file    TEXT    NOT NULL,
    line    INTEGER NOT NULL,
    sha256  TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    der     BLOB    NOT NULL,
    use     TEXT    NOT NULL CHECK (use IN ('anchor', 'lsc', 'stored')),
    why     TEXT    NOT NULL
) STRICT;

CREATE INDEX legacy_files_run ON legacy_files (run);

-- What a run will make of phones, certificates and parameters stands here until it is applied. One run is
-- staged at a time.
CREATE TABLE staged_phones (
    device         TEXT    NOT NULL PRIMARY KEY,
    run            INTEGER NOT NULL REFERENCES migration_runs (id),
    record         INTEGER NOT NULL,
    expected       INTEGER, -- changes of the phone that was planned with; NULL: no phone yet
    changes        INTEGER NOT NULL,
    description    TEXT    NOT NULL,
    auth_mode      TEXT    NOT NULL,
    auth_string    TEXT,
    key_size       TEXT    NOT NULL,
    security_mode  TEXT    NOT NULL,
    lsc_known      TEXT    NOT NULL,
    mic            TEXT    NOT NULL,
    result         INTEGER,
    kept_operation INTEGER, -- an operation of ours that goes on
    operation      TEXT,    -- a new one, with the columns that follow
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

CREATE TABLE staged_certificates (
    id         INTEGER PRIMARY KEY,
    run        INTEGER NOT NULL REFERENCES migration_runs (id),
    use        TEXT    NOT NULL CHECK (use IN ('anchor', 'lsc')),
    device     TEXT    NOT NULL,
    serial     TEXT    NOT NULL,
    subject    TEXT    NOT NULL,
    issuer     TEXT    NOT NULL,
    not_before INTEGER NOT NULL,
    not_after  INTEGER NOT NULL,
    der        BLOB    NOT NULL,
    sha256     TEXT    NOT NULL,
    key_sha256 TEXT    NOT NULL,
    origin     TEXT    NOT NULL
) STRICT;

CREATE TABLE staged_parameters (
    name  TEXT    NOT NULL PRIMARY KEY,
    run   INTEGER NOT NULL REFERENCES migration_runs (id),
    value TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
