-- +goose Up

-- What audits concluded of a model of an upstream, and what was decided about it.
-- e_milli is 1000 times the decimal logarithm of the largest e-value.
CREATE TABLE verdict (
    leaf         INTEGER PRIMARY KEY,
    rid          TEXT NOT NULL,
    ts           INTEGER NOT NULL,
    upstream     TEXT NOT NULL,
    target       TEXT NOT NULL,
    hypothesis   TEXT NOT NULL,
    label        TEXT NOT NULL,
    level        TEXT NOT NULL,
    act          TEXT NOT NULL,
    e_milli      INTEGER NOT NULL,
    observations INTEGER NOT NULL,
    reference    TEXT NOT NULL,
    bundle       TEXT NOT NULL,
    wording      TEXT NOT NULL,
    actor        TEXT NOT NULL,
    reason       TEXT NOT NULL
) STRICT;
CREATE INDEX verdict_target ON verdict (upstream, target);
