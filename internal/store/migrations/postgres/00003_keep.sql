-- +goose Up

-- What was made at an upstream for a client, such as a file, and whose it is. Many
-- projects share one credential there, so this is what keeps them apart.
CREATE TABLE object (
    project  TEXT NOT NULL,
    kind     TEXT NOT NULL,
    id       TEXT NOT NULL,
    upstream TEXT NOT NULL,
    created  BIGINT NOT NULL,
    expires  BIGINT NOT NULL,
    PRIMARY KEY (project, kind, id)
);
CREATE INDEX object_expires ON object (expires);

-- What is kept for a client until it expires, sealed under the master secret: the
-- turns that the next one refers to.
CREATE TABLE document (
    project TEXT NOT NULL,
    id      TEXT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    version BIGINT NOT NULL,
    sealed  BYTEA NOT NULL,
    PRIMARY KEY (project, id)
);
CREATE INDEX document_expires ON document (expires);
