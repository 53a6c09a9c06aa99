-- +goose Up

-- The last call in the name of each phone for which nothing was pending. Anybody can say a name: a row is of
-- whoever said it, and there is one for a phone that is in the store, at the most.
CREATE TABLE idle_calls (
    device  TEXT    NOT NULL PRIMARY KEY,
    address TEXT    NOT NULL,
    tls     TEXT    NOT NULL,
    at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
