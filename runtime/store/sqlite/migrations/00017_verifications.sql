-- +goose Up

-- The last verification of each run, by the command that reads its sources again: who looked when, what was compared,
-- and what was found. changes counts how often runs had changed the store before it began.
CREATE TABLE verifications (
    run           INTEGER PRIMARY KEY REFERENCES migration_runs (id),
    at            INTEGER NOT NULL,
    by            TEXT    NOT NULL,
    changes       INTEGER NOT NULL,
    records       INTEGER NOT NULL,
    phones        INTEGER NOT NULL,
    certificates  INTEGER NOT NULL,
    kept_aside    INTEGER NOT NULL,
    differences   INTEGER NOT NULL,
    since         INTEGER NOT NULL,
    other_sources INTEGER NOT NULL
) STRICT;
