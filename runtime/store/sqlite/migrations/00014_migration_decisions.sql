-- +goose Up

-- What was decided about single conflicts, and what was missing and accepted, as JSON lists.
ALTER TABLE migration_runs ADD COLUMN decisions TEXT NOT NULL DEFAULT '[]';
ALTER TABLE migration_runs ADD COLUMN missing TEXT NOT NULL DEFAULT '[]';
