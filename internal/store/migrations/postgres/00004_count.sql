-- +goose Up

-- Our own count of the answers of exchanges that were sampled, beside the claim.
-- claimed and counted are NULL where it is not countable, and why says why; excess
-- is claimed / counted - 1 in millionths, kept within -500000 and 500000, and NULL
-- of answers too short for it to mean something.
CREATE TABLE token_count (
    leaf       BIGINT PRIMARY KEY,
    rid        TEXT NOT NULL,
    ts         BIGINT NOT NULL,
    project    TEXT NOT NULL,
    key_id     TEXT NOT NULL,
    model      TEXT NOT NULL,
    upstream   TEXT NOT NULL,
    target     TEXT NOT NULL,
    vocabulary TEXT NOT NULL,
    claimed    BIGINT,
    counted    BIGINT,
    excess     BIGINT,
    why        TEXT NOT NULL
);
CREATE UNIQUE INDEX token_count_rid ON token_count (rid);
CREATE INDEX token_count_ts ON token_count (ts);
