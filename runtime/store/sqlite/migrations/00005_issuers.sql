-- +goose Up

-- Which certificate authority signed a certificate, as it was found once by its signature: to verify those of
-- 100,000 phones takes seconds. An authority is known by the SHA-256 of its certificate.
CREATE TABLE certificate_issuers (
    issuer      TEXT    NOT NULL,
    certificate INTEGER NOT NULL REFERENCES certificates (id) ON DELETE CASCADE,
    PRIMARY KEY (issuer, certificate)
) STRICT, WITHOUT ROWID;

CREATE INDEX certificate_issuers_certificate ON certificate_issuers (certificate);

-- How far an authority has been held against the certificates: the highest ID of those that were.
CREATE TABLE issuer_progress (
    issuer      TEXT    NOT NULL PRIMARY KEY,
    certificate INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The last CRL of each CAPF certificate. `revoked` is how many certificates were revoked in the store when its
-- contents were read, so that of two made at once the later number never has the older contents.
CREATE TABLE crls (
    issuer  TEXT    NOT NULL PRIMARY KEY,
    number  INTEGER NOT NULL CHECK (number > 0),
    read_at INTEGER NOT NULL, -- when its contents were read
    revoked INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX certificates_revoked ON certificates (revoked_at) WHERE state = 'revoked';
