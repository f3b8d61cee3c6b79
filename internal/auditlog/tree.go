package auditlog

import (
	"context"
	"fmt"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"

	"sallyport/internal/store"
)

// edge is the right edge of a Merkle tree: all that is needed to append to it
// and to know its root. peaks[l] is the hash of the complete subtree of 2^l
// leaves that ends at the last leaf of that alignment; it is meaningful where
// bit l of size is set.
type edge struct {
	size  int64
	peaks [64]tlog.Hash
}

// add appends a leaf hash and returns the hashes to store, in the order of their
// indexes, appended to out.
func (e *edge) add(h tlog.Hash, out []store.Hash) []store.Hash {
	out = append(out, store.Hash(h))
	level := 0
	for ; e.size>>level&1 == 1; level++ {
		h = tlog.NodeHash(e.peaks[level], h)
		out = append(out, store.Hash(h))
	}
	e.peaks[level] = h
	e.size++
	return out
}

// root is the tree hash (RFC 6962 section 2.1).
func (e *edge) root() tlog.Hash {
	if e.size == 0 {
		h, _ := tlog.TreeHash(0, nil) // the constant of the empty tree
		return h
	}
	level := bits.TrailingZeros64(uint64(e.size))
	h := e.peaks[level]
	for level++; e.size>>level != 0; level++ {
		if e.size>>level&1 == 1 {
			h = tlog.NodeHash(e.peaks[level], h)
		}
	}
	return h
}

// readEdge reads the right edge of the tree of a size from its stored hashes.
func readEdge(ctx context.Context, tx *store.Tx, size int64) (edge, error) {
	e := edge{size: size}
	var levels []int
	var indexes []int64
	for l := range 63 {
		if size>>l&1 == 1 {
			levels = append(levels, l)
			indexes = append(indexes, tlog.StoredHashIndex(l, size>>l-1))
		}
	}
	hashes, err := tx.Hashes(ctx, indexes)
	if err != nil {
		return edge{}, fmt.Errorf("right edge of the log: %w", err)
	}
	for i, l := range levels {
		e.peaks[l] = tlog.Hash(hashes[i])
	}
	return e, nil
}

// hashReader reads stored hashes for tlog's proofs.
func hashReader(ctx context.Context, tx *store.Tx) tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		stored, err := tx.Hashes(ctx, indexes)
		if err != nil {
			return nil, err
		}
		hashes := make([]tlog.Hash, len(stored))
		for i, h := range stored {
			hashes[i] = tlog.Hash(h)
		}
		return hashes, nil
	})
}
