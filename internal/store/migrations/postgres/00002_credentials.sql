-- +goose Up

-- Credentials are stored as keyed hashes only. Each row carries a keyed hash over
-- its other columns (binding), and credential_state one over all bindings (seal):
-- a row that is changed here by hand is refused, and a row that is deleted or put
-- back from a copy is noticed. Revoke with the program instead.
CREATE TABLE virtual_key (
    id              TEXT PRIMARY KEY,
    project         TEXT NOT NULL,
    name            TEXT NOT NULL,
    models          TEXT NOT NULL,
    slots           BIGINT NOT NULL,
    created         BIGINT NOT NULL,
    issued          BIGINT NOT NULL,
    expires         BIGINT NOT NULL,
    revoked         BIGINT NOT NULL,
    lookup          TEXT NOT NULL,
    lookup_version  BIGINT NOT NULL,
    prior           TEXT NOT NULL,
    prior_version   BIGINT NOT NULL,
    prior_until     BIGINT NOT NULL,
    epoch           BIGINT NOT NULL,
    binding         TEXT NOT NULL,
    binding_version BIGINT NOT NULL
);
CREATE UNIQUE INDEX virtual_key_lookup ON virtual_key (lookup);
CREATE INDEX virtual_key_epoch ON virtual_key (epoch);

CREATE TABLE admin (
    id              TEXT PRIMARY KEY,
    name            TEXT NOT NULL,
    role            TEXT NOT NULL,
    created         BIGINT NOT NULL,
    issued          BIGINT NOT NULL,
    expires         BIGINT NOT NULL,
    revoked         BIGINT NOT NULL,
    lookup          TEXT NOT NULL,
    lookup_version  BIGINT NOT NULL,
    prior           TEXT NOT NULL,
    prior_version   BIGINT NOT NULL,
    prior_until     BIGINT NOT NULL,
    epoch           BIGINT NOT NULL,
    binding         TEXT NOT NULL,
    binding_version BIGINT NOT NULL
);
CREATE UNIQUE INDEX admin_lookup ON admin (lookup);
CREATE INDEX admin_epoch ON admin (epoch);

CREATE TABLE credential_state (
    one            BIGINT PRIMARY KEY CHECK (one = 1),
    epoch          BIGINT NOT NULL,
    secret_version BIGINT NOT NULL,
    secret_check   TEXT NOT NULL,
    nonce          TEXT NOT NULL,
    seal           TEXT NOT NULL
);
