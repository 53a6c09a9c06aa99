-- +goose Up

CREATE TABLE nodes (
    name             TEXT    NOT NULL PRIMARY KEY,
    role             TEXT    NOT NULL CHECK (role IN ('ccm+tftp', 'ccm', 'tftp')),
    address          TEXT    NOT NULL,
    dns_name         TEXT    NOT NULL,
    publisher        INTEGER NOT NULL CHECK (publisher IN (0, 1)),
    certificate      BLOB,
    target           TEXT    NOT NULL,
    certificates_dir TEXT    NOT NULL,
    tftp_dir         TEXT    NOT NULL,
    added_at         INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX nodes_publisher ON nodes (publisher) WHERE publisher = 1;

CREATE TABLE tokens (
    name        TEXT    NOT NULL PRIMARY KEY,
    location    TEXT    NOT NULL,
    certificate BLOB    NOT NULL,
    added_at    INTEGER NOT NULL
) STRICT;

CREATE TABLE ctl_versions (
    version   INTEGER PRIMARY KEY AUTOINCREMENT,
    origin    TEXT    NOT NULL CHECK (origin IN ('built', 'imported')),
    mode      TEXT    NOT NULL CHECK (mode IN ('', 'non-secure', 'mixed')),
    digest    TEXT    NOT NULL,
    signer    TEXT    NOT NULL,
    signed_at INTEGER,
    added_at  INTEGER NOT NULL,
    sha256    TEXT    NOT NULL,
    file      BLOB    NOT NULL
) STRICT;

CREATE TABLE deliveries (
    node    TEXT    NOT NULL PRIMARY KEY REFERENCES nodes (name) ON DELETE CASCADE,
    version INTEGER NOT NULL, -- of the CTL; 0: none was there to deliver
    outcome TEXT    NOT NULL,
    detail  TEXT    NOT NULL,
    at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
