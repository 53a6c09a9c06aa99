-- +goose Up

-- Operations and certificates carry the name of their device and no foreign key to phones: the history
-- stays when a phone is removed, and a phone that is added again does not begin with it.
CREATE TABLE operations (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    revision     INTEGER NOT NULL,
    device       TEXT    NOT NULL,
    operation    TEXT    NOT NULL CHECK (operation IN ('install', 'delete', 'troubleshoot')),
    auth_mode    TEXT    NOT NULL CHECK (auth_mode IN ('authentication-string', 'null-string',
                                                       'existing-certificate-lsc', 'existing-certificate-mic')),
    key_size     TEXT    NOT NULL CHECK (key_size IN ('512', '1024', '2048', '3072', '4096', 'p256', 'p384', 'p521')),
    completes_by INTEGER,
    created_at   INTEGER NOT NULL,
    created_by   TEXT    NOT NULL,
    ended_at     INTEGER,
    ended_by     TEXT    NOT NULL,
    ending       TEXT    NOT NULL CHECK (ending IN ('', 'success', 'failed', 'expired', 'replaced', 'withdrawn')),
    result       INTEGER,
    detail       TEXT    NOT NULL,
    serving      TEXT    NOT NULL, -- instance of the service whose session carries it out
    CHECK (ending <> '' OR ended_at IS NULL),
    CHECK (ending = '' OR serving = '')
) STRICT;

CREATE INDEX operations_device ON operations (device, id);
CREATE UNIQUE INDEX operations_pending ON operations (device) WHERE ending = '';
CREATE INDEX operations_deadline ON operations (completes_by) WHERE ending = '';

CREATE TABLE certificates (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    device        TEXT    NOT NULL,
    kind          TEXT    NOT NULL CHECK (kind IN ('lsc', 'mic')),
    state         TEXT    NOT NULL CHECK (state IN ('issued', 'confirmed', 'revoked')),
    source        TEXT    NOT NULL CHECK (source IN ('issued', 'seen', 'legacy')),
    serial        TEXT    NOT NULL,
    subject       TEXT    NOT NULL,
    issuer        TEXT    NOT NULL,
    not_before    INTEGER NOT NULL,
    not_after     INTEGER NOT NULL,
    der           BLOB    NOT NULL,
    sha256        TEXT    NOT NULL,
    key_sha256    TEXT    NOT NULL,
    operation     INTEGER REFERENCES operations (id),
    recorded_at   INTEGER NOT NULL,
    confirmed_at  INTEGER,
    revoked_at    INTEGER,
    revoke_reason TEXT    NOT NULL,
    CHECK ((state = 'revoked') = (revoked_at IS NOT NULL))
) STRICT;

CREATE UNIQUE INDEX certificates_once ON certificates (device, kind, sha256);
CREATE INDEX certificates_serial ON certificates (serial);
CREATE INDEX certificates_key ON certificates (key_sha256, device);

CREATE TABLE anchors (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    kind       TEXT    NOT NULL CHECK (kind IN ('lsc', 'mic')),
    subject    TEXT    NOT NULL,
    serial     TEXT    NOT NULL,
    not_before INTEGER NOT NULL,
    not_after  INTEGER NOT NULL,
    der        BLOB    NOT NULL,
    sha256     TEXT    NOT NULL,
    key_sha256 TEXT    NOT NULL,
    origin     TEXT    NOT NULL,
    added_at   INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX anchors_once ON anchors (kind, sha256);
CREATE INDEX anchors_key ON anchors (key_sha256);

-- `imported` names an import record without a foreign key, so that clearing away the records of a run that
-- was never applied does not search the phones for each.
CREATE TABLE phones (
    device         TEXT    NOT NULL PRIMARY KEY CHECK (length(device) BETWEEN 1 AND 64),
    description    TEXT    NOT NULL,
    auth_mode      TEXT    NOT NULL CHECK (auth_mode IN ('authentication-string', 'null-string',
                                                         'existing-certificate-lsc', 'existing-certificate-mic')),
    auth_string    TEXT    CHECK (length(auth_string) BETWEEN 4 AND 10 AND auth_string NOT GLOB '*[^0-9]*'),
    key_size       TEXT    NOT NULL CHECK (key_size IN ('512', '1024', '2048', '3072', '4096', 'p256', 'p384', 'p521')),
    security_mode  TEXT    NOT NULL CHECK (security_mode IN ('non-secure', 'authenticated', 'encrypted')),
    last_operation INTEGER REFERENCES operations (id),
    lsc            INTEGER REFERENCES certificates (id),
    lsc_known      TEXT    NOT NULL CHECK (lsc_known IN ('unknown', 'none', 'installed')),
    mic            TEXT    NOT NULL CHECK (mic IN ('unknown', 'none', 'present')),
    last_session   INTEGER,
    last_address   TEXT    NOT NULL,
    last_tls       TEXT    NOT NULL,
    result         INTEGER,          -- of the last outcome
    result_mark    INTEGER NOT NULL, -- the newest attempt when it was set: only a later one is newer
    changes        INTEGER NOT NULL CHECK (changes > 0), -- grows with every change, begins at random
    changed_at     INTEGER,          -- by a person or the phone; NULL: not since it was imported
    imported       INTEGER
) STRICT, WITHOUT ROWID;

-- Sessions that did not come to an operation. `known` tells devices that are phones of ours, each with a
-- bound of its own, from the rest, which share one.
CREATE TABLE attempts (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    device  TEXT    NOT NULL,
    known   INTEGER NOT NULL CHECK (known IN (0, 1)),
    address TEXT    NOT NULL,
    at      INTEGER NOT NULL,
    result  INTEGER NOT NULL,
    detail  TEXT    NOT NULL
) STRICT;

CREATE INDEX attempts_device ON attempts (device, id);
CREATE INDEX attempts_unknown ON attempts (id) WHERE known = 0;
