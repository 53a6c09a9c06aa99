-- +goose Up

-- Times are whole seconds since 1970 in UTC in every table; NULL where there is none.

CREATE TABLE parameters (
    name       TEXT    NOT NULL PRIMARY KEY,
    value      TEXT    NOT NULL,
    changed_at INTEGER NOT NULL,
    changed_by TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    actor   TEXT    NOT NULL,
    action  TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    detail  TEXT    NOT NULL
) STRICT;

-- One row that the health check writes as it is.
CREATE TABLE health (
    id INTEGER PRIMARY KEY CHECK (id = 1)
) STRICT;

INSERT INTO health (id) VALUES (1);
