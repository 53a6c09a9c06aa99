-- +goose Up

ALTER TABLE phones ADD COLUMN lsc_hash TEXT NOT NULL DEFAULT 'sha256' CHECK (lsc_hash IN ('sha256', 'sha1'));
