-- +goose Up

-- The last reset is only ever asked for by its device.
DROP INDEX resets_at;

-- What the audit trail says of activations, by the serial number of the CAPF certificate.
CREATE INDEX audit_activations ON audit (subject) WHERE action IN ('ca activating', 'ca activate');
