-- +goose Up

-- Wrong authentication strings for a pending operation under its present string, by the address that they came
-- from. At most fifty for a device: then the operation has failed.
CREATE TABLE wrong_strings (
    device    TEXT    NOT NULL,
    operation INTEGER NOT NULL,
    address   TEXT    NOT NULL,
    count     INTEGER NOT NULL CHECK (count > 0),
    last_at   INTEGER NOT NULL,
    PRIMARY KEY (device, operation, address)
) STRICT, WITHOUT ROWID;
