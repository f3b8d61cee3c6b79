-- +goose Up

-- Of audits by hand: what their plan commits to, and what they asked and spent.
-- cap and nano are nano-USD; money is the status of nano, as in ledger.
ALTER TABLE verdict ADD COLUMN commitment TEXT NOT NULL DEFAULT '';
ALTER TABLE verdict ADD COLUMN profile TEXT NOT NULL DEFAULT '';
ALTER TABLE verdict ADD COLUMN cap INTEGER NOT NULL DEFAULT 0;
ALTER TABLE verdict ADD COLUMN asked INTEGER NOT NULL DEFAULT 0;
ALTER TABLE verdict ADD COLUMN money TEXT NOT NULL DEFAULT '';
ALTER TABLE verdict ADD COLUMN nano INTEGER NOT NULL DEFAULT 0;
