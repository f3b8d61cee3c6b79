package store

import (
	"context"
	"fmt"
)

// Place is a place between two records of a journal.
type Place struct {
	Seq     uint64 // records before it
	Segment uint64
	Offset  int64
}

// Projection is how far one journal is projected.
type Projection struct {
	Journal string // the journal's id
	At      Place  // everything before it is projected
	Chain   Hash   // the journal's running hash there
	Low     Place  // nothing before it belongs to an exchange that was open at At
	TS      int64
}

// Projection reads how far a journal is projected, or ErrNotFound.
func (t *Tx) Projection(ctx context.Context, journal string) (Projection, error) {
	p := Projection{Journal: journal}
	var seq, segment, lowSeq, lowSegment int64
	var chain []byte
	err := t.tx.QueryRowContext(ctx, `SELECT seq, segment, byte_offset, chain, low_seq, low_segment, low_offset, ts
		FROM projection WHERE journal = $1`, journal).
		Scan(&seq, &segment, &p.At.Offset, &chain, &lowSeq, &lowSegment, &p.Low.Offset, &p.TS)
	if err != nil {
		return Projection{}, fmt.Errorf("projection of journal %s: %w", journal, missing(err))
	}
	if len(chain) != len(p.Chain) {
		return Projection{}, fmt.Errorf("projection of journal %s: %w: chain has %d bytes", journal, ErrMalformed, len(chain))
	}
	p.Chain = Hash(chain)
	p.At.Seq, p.At.Segment = uint64(seq), uint64(segment)
	p.Low.Seq, p.Low.Segment = uint64(lowSeq), uint64(lowSegment)
	return p, nil
}

// SetProjection stores how far a journal is projected. It fails when the stored
// place is not the one that the caller moves on from: two processes project one
// journal, or one of them lost its place.
func (t *Tx) SetProjection(ctx context.Context, from Place, p Projection) error {
	r, err := t.tx.ExecContext(ctx, `INSERT INTO projection
		(journal, seq, segment, byte_offset, chain, low_seq, low_segment, low_offset, ts)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (journal) DO UPDATE SET seq = excluded.seq, segment = excluded.segment,
		byte_offset = excluded.byte_offset, chain = excluded.chain, low_seq = excluded.low_seq,
		low_segment = excluded.low_segment, low_offset = excluded.low_offset, ts = excluded.ts
		WHERE projection.seq = $10`,
		p.Journal, int64(p.At.Seq), int64(p.At.Segment), p.At.Offset, p.Chain[:],
		int64(p.Low.Seq), int64(p.Low.Segment), p.Low.Offset, p.TS, int64(from.Seq))
	if err != nil {
		return fmt.Errorf("projection of journal %s: %w", p.Journal, err)
	}
	if n, err := r.RowsAffected(); err != nil || n != 1 {
		return fmt.Errorf("projection of journal %s: the stored place is not record %d", p.Journal, from.Seq)
	}
	return nil
}
