-- +goose Up

-- What holds for the whole database: one row per fact.
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The audit log. data is the leaf itself, record the canonical journal record
-- that it commits to.
CREATE TABLE leaf (
    idx    INTEGER PRIMARY KEY,
    kind   TEXT NOT NULL,
    rid    TEXT NOT NULL,
    ts     INTEGER NOT NULL,
    data   BLOB NOT NULL,
    record BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX leaf_other ON leaf (kind, rid) WHERE kind <> 'outcome' AND kind <> 'refused';

CREATE TABLE log_hash (
    idx INTEGER PRIMARY KEY,
    h   BLOB NOT NULL
) STRICT;

CREATE TABLE log_head (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    origin TEXT NOT NULL,
    size   INTEGER NOT NULL,
    root   BLOB NOT NULL
) STRICT;

CREATE TABLE checkpoint (
    size INTEGER PRIMARY KEY,
    ts   INTEGER NOT NULL,
    note TEXT NOT NULL
) STRICT;

-- How far each journal is projected.
CREATE TABLE projection (
    journal     TEXT PRIMARY KEY,
    seq         INTEGER NOT NULL,
    segment     INTEGER NOT NULL,
    byte_offset INTEGER NOT NULL,
    chain       BLOB NOT NULL,
    low_seq     INTEGER NOT NULL,
    low_segment INTEGER NOT NULL,
    low_offset  INTEGER NOT NULL,
    ts          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One row per exchange. A NULL is "not known", which is never 0.
CREATE TABLE ledger (
    leaf           INTEGER PRIMARY KEY,
    rid            TEXT NOT NULL,
    ts             INTEGER NOT NULL,
    ended          INTEGER NOT NULL,
    ttfb           INTEGER,
    principal      TEXT NOT NULL,
    key_id         TEXT NOT NULL,
    project        TEXT NOT NULL,
    client         TEXT NOT NULL,
    dialect        TEXT NOT NULL,
    endpoint       TEXT NOT NULL,
    model          TEXT NOT NULL,
    stream         INTEGER NOT NULL,
    label          TEXT NOT NULL,
    decision       TEXT NOT NULL,
    upstream       TEXT NOT NULL,
    target         TEXT NOT NULL,
    declared       TEXT NOT NULL,
    state          TEXT NOT NULL,
    fault          TEXT NOT NULL,
    status         INTEGER NOT NULL,
    usage_status   TEXT NOT NULL,
    input          INTEGER,
    cache_read     INTEGER,
    cache_write_5m INTEGER,
    cache_write_1h INTEGER,
    output         INTEGER,
    reasoning      INTEGER,
    audio_in       INTEGER,
    audio_out      INTEGER,
    image_in       INTEGER,
    claim          TEXT NOT NULL,
    counted        TEXT NOT NULL,
    money          TEXT NOT NULL,
    nano           INTEGER,
    hold           INTEGER NOT NULL,
    card           TEXT NOT NULL,
    card_hash      TEXT NOT NULL,
    in_bytes       INTEGER NOT NULL,
    out_bytes      INTEGER NOT NULL,
    attempts       TEXT NOT NULL,
    findings       TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX ledger_rid ON ledger (rid);
CREATE INDEX ledger_ts ON ledger (ts);

-- Every price card that was ever used, and the leaf that announced it first.
CREATE TABLE price_card (
    id   TEXT NOT NULL,
    hash TEXT NOT NULL,
    leaf INTEGER NOT NULL,
    ts   INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (id, hash)
) STRICT, WITHOUT ROWID;

-- Sums over ledger rows by minute, hour and day of their arrival.
CREATE TABLE rollup (
    grain          TEXT NOT NULL,
    bucket         INTEGER NOT NULL,
    project        TEXT NOT NULL,
    key_id         TEXT NOT NULL,
    model          TEXT NOT NULL,
    upstream       TEXT NOT NULL,
    requests       INTEGER NOT NULL,
    refused        INTEGER NOT NULL,
    errors         INTEGER NOT NULL,
    unknown_usage  INTEGER NOT NULL,
    unpriced       INTEGER NOT NULL,
    input          INTEGER NOT NULL,
    cache_read     INTEGER NOT NULL,
    cache_write_5m INTEGER NOT NULL,
    cache_write_1h INTEGER NOT NULL,
    output         INTEGER NOT NULL,
    reasoning      INTEGER NOT NULL,
    audio_in       INTEGER NOT NULL,
    audio_out      INTEGER NOT NULL,
    image_in       INTEGER NOT NULL,
    nano           INTEGER NOT NULL,
    PRIMARY KEY (grain, bucket, project, key_id, model, upstream)
) STRICT, WITHOUT ROWID;
