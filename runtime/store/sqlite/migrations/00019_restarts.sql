-- +goose Up

-- Servers whose services have to be restarted since a list was put in place there, or was about to be: `version` is the
-- first such list. Who has said when that it is done stands in the last two; NULL and empty: nobody yet.
CREATE TABLE restarts (
    node    TEXT    NOT NULL PRIMARY KEY REFERENCES nodes (name) ON DELETE CASCADE,
    version INTEGER NOT NULL,
    since   INTEGER NOT NULL,
    done_at INTEGER,
    done_by TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
