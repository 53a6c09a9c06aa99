-- +goose Up

-- Digests come in no order: an index over them costs a run as much as the records. Who wants to know many reads all.
DROP INDEX import_records_digest;

-- `basis` is the digest of all that a run had decided when it began to stage: a run that comes to the same goes on
-- with it. From `reserved_from` up to `reserved_to`, without that, are the IDs for its pending operations.
ALTER TABLE migration_runs ADD COLUMN basis TEXT NOT NULL DEFAULT '';
ALTER TABLE migration_runs ADD COLUMN reserved_from INTEGER NOT NULL DEFAULT 0;
ALTER TABLE migration_runs ADD COLUMN reserved_to INTEGER NOT NULL DEFAULT 0;

-- The run that brought an operation of an older CAPF for a phone that was not here yet. It is written while the run
-- is staged and is no part of the history before that is applied. One that will be pending is withdrawn until then.
ALTER TABLE operations ADD COLUMN run INTEGER;

CREATE TABLE staged_operations (
    id INTEGER PRIMARY KEY
) STRICT;
