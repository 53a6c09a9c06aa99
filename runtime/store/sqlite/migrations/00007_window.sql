-- +goose Up

-- The last call of each phone that the maintenance window held back, for the operation that was pending.
CREATE TABLE held_calls (
    device    TEXT    NOT NULL PRIMARY KEY,
    operation INTEGER NOT NULL REFERENCES operations (id),
    address   TEXT    NOT NULL,
    at        INTEGER NOT NULL,
    opens_at  INTEGER
) STRICT, WITHOUT ROWID;

-- The last reset of each phone that was asked for.
CREATE TABLE resets (
    device  TEXT    NOT NULL PRIMARY KEY,
    at      INTEGER NOT NULL,
    by      TEXT    NOT NULL,
    problem TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX resets_at ON resets (at);

-- When two thirds of the life of an LSC are over.
CREATE INDEX certificates_renewal ON certificates (not_after - (not_after - not_before) / 3)
    WHERE kind = 'lsc' AND state = 'confirmed';
