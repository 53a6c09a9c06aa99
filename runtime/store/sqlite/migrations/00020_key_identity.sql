-- +goose Up

-- `key_sha256` is capf.KeyIdentity from here on: what makes the key, not how it is written. Only a certificate tells that,
-- so that key_identity is of Go (schema.go). The indexes are made again: digests come in no order, and to keep an
-- index that has them would take longer than all the rest.
DROP INDEX certificates_key;
DROP INDEX anchors_key;

UPDATE certificates SET key_sha256 = key_identity(der, key_sha256);
UPDATE anchors SET key_sha256 = key_identity(der, key_sha256);
UPDATE staged_certificates SET key_sha256 = key_identity(der, key_sha256);

CREATE INDEX certificates_key ON certificates (key_sha256, device);
CREATE INDEX anchors_key ON anchors (key_sha256);
