-- +goose Up

-- When the first node got a trust list: what phones may hold since then.
ALTER TABLE ctl_versions ADD COLUMN distributed_at INTEGER;

UPDATE ctl_versions SET distributed_at = (SELECT min(at) FROM deliveries
    WHERE deliveries.version = ctl_versions.version AND deliveries.outcome IN ('done', 'unchanged', 'partly'));
