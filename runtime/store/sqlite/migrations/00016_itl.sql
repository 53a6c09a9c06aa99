-- +goose Up

-- The ITLFile.tlv that was made together with a trust list, and its digest; NULL and empty: none was.
ALTER TABLE ctl_versions ADD COLUMN itl BLOB;
ALTER TABLE ctl_versions ADD COLUMN itl_sha256 TEXT NOT NULL DEFAULT '';

-- The certificate of a server's trust verification service, for the ITL.
ALTER TABLE nodes ADD COLUMN tvs_certificate BLOB;
