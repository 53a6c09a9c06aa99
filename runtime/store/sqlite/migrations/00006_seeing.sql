-- +goose Up

-- The last session that began an operation. It is written with the row that is written anyway.
ALTER TABLE operations ADD COLUMN session_at INTEGER;
ALTER TABLE operations ADD COLUMN session_address TEXT NOT NULL DEFAULT '';
ALTER TABLE operations ADD COLUMN session_tls TEXT NOT NULL DEFAULT '';

ALTER TABLE attempts ADD COLUMN tls TEXT NOT NULL DEFAULT '';

-- Which sessions leave a trace. The subject is a device, `all`, or `service` for the level of its log.
CREATE TABLE traces (
    subject    TEXT    NOT NULL PRIMARY KEY,
    level      TEXT    NOT NULL CHECK (level IN ('debug', 'info', 'warn', 'error')),
    changed_at INTEGER NOT NULL,
    changed_by TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
