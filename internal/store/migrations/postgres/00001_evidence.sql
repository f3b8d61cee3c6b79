-- +goose Up

-- What holds for the whole database: one row per fact.
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- The audit log. data is the leaf itself, record the canonical journal record
-- that it commits to.
CREATE TABLE leaf (
    idx    BIGINT PRIMARY KEY,
    kind   TEXT NOT NULL,
    rid    TEXT NOT NULL,
    ts     BIGINT NOT NULL,
    data   BYTEA NOT NULL,
    record BYTEA NOT NULL
);
CREATE UNIQUE INDEX leaf_other ON leaf (kind, rid) WHERE kind <> 'outcome' AND kind <> 'refused';

CREATE TABLE log_hash (
    idx BIGINT PRIMARY KEY,
    h   BYTEA NOT NULL
);

CREATE TABLE log_head (
    one    BIGINT PRIMARY KEY CHECK (one = 1),
    origin TEXT NOT NULL,
    size   BIGINT NOT NULL,
    root   BYTEA NOT NULL
);

CREATE TABLE checkpoint (
    size BIGINT PRIMARY KEY,
    ts   BIGINT NOT NULL,
    note TEXT NOT NULL
);

-- How far each journal is projected.
CREATE TABLE projection (
    journal     TEXT PRIMARY KEY,
    seq         BIGINT NOT NULL,
    segment     BIGINT NOT NULL,
    byte_offset BIGINT NOT NULL,
    chain       BYTEA NOT NULL,
    low_seq     BIGINT NOT NULL,
    low_segment BIGINT NOT NULL,
    low_offset  BIGINT NOT NULL,
    ts          BIGINT NOT NULL
);

-- One row per exchange. A NULL is "not known", which is never 0.
CREATE TABLE ledger (
    leaf           BIGINT PRIMARY KEY,
    rid            TEXT NOT NULL,
    ts             BIGINT NOT NULL,
    ended          BIGINT NOT NULL,
    ttfb           BIGINT,
    principal      TEXT NOT NULL,
    key_id         TEXT NOT NULL,
    project        TEXT NOT NULL,
    client         TEXT NOT NULL,
    dialect        TEXT NOT NULL,
    endpoint       TEXT NOT NULL,
    model          TEXT NOT NULL,
    stream         BIGINT NOT NULL,
    label          TEXT NOT NULL,
    decision       TEXT NOT NULL,
    upstream       TEXT NOT NULL,
    target         TEXT NOT NULL,
    declared       TEXT NOT NULL,
    state          TEXT NOT NULL,
    fault          TEXT NOT NULL,
    status         BIGINT NOT NULL,
    usage_status   TEXT NOT NULL,
    input          BIGINT,
    cache_read     BIGINT,
    cache_write_5m BIGINT,
    cache_write_1h BIGINT,
    output         BIGINT,
    reasoning      BIGINT,
    audio_in       BIGINT,
    audio_out      BIGINT,
    image_in       BIGINT,
    claim          TEXT NOT NULL,
    counted        TEXT NOT NULL,
    money          TEXT NOT NULL,
    nano           BIGINT,
    hold           BIGINT NOT NULL,
    card           TEXT NOT NULL,
    card_hash      TEXT NOT NULL,
    in_bytes       BIGINT NOT NULL,
    out_bytes      BIGINT NOT NULL,
    attempts       TEXT NOT NULL,
    findings       TEXT NOT NULL
);
CREATE UNIQUE INDEX ledger_rid ON ledger (rid);
CREATE INDEX ledger_ts ON ledger (ts);

-- Every price card that was ever used, and the leaf that announced it first.
CREATE TABLE price_card (
    id   TEXT NOT NULL,
    hash TEXT NOT NULL,
    leaf BIGINT NOT NULL,
    ts   BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (id, hash)
);

-- Sums over ledger rows by minute, hour and day of their arrival.
CREATE TABLE rollup (
    grain          TEXT NOT NULL,
    bucket         BIGINT NOT NULL,
    project        TEXT NOT NULL,
    key_id         TEXT NOT NULL,
    model          TEXT NOT NULL,
    upstream       TEXT NOT NULL,
    requests       BIGINT NOT NULL,
    refused        BIGINT NOT NULL,
    errors         BIGINT NOT NULL,
    unknown_usage  BIGINT NOT NULL,
    unpriced       BIGINT NOT NULL,
    input          BIGINT NOT NULL,
    cache_read     BIGINT NOT NULL,
    cache_write_5m BIGINT NOT NULL,
    cache_write_1h BIGINT NOT NULL,
    output         BIGINT NOT NULL,
    reasoning      BIGINT NOT NULL,
    audio_in       BIGINT NOT NULL,
    audio_out      BIGINT NOT NULL,
    image_in       BIGINT NOT NULL,
    nano           BIGINT NOT NULL,
    PRIMARY KEY (grain, bucket, project, key_id, model, upstream)
);
