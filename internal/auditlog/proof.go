package auditlog

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"sallyport/internal/store"
)

// ErrUnsigned is returned when no checkpoint covers a leaf yet; one will within
// about a second.
var ErrUnsigned = errors.New("no checkpoint covers the leaf yet")

// proofHeader is the first line of a proof (c2sp.org/tlog-proof).
const proofHeader = "c2sp.org/tlog-proof@v1"

// Proof is the evidence that a leaf is in the log.
type Proof struct {
	Leaf  []byte // the leaf itself
	Index int64
	Text  []byte // inclusion proof and checkpoint as a .tlog-proof file
}

// Prove returns the proof for a request or record id under the newest
// checkpoint. It returns store.ErrNotFound, or ErrUnsigned.
func (l *Log) Prove(ctx context.Context, rid string) (Proof, error) {
	var p Proof
	err := l.db.View(ctx, func(tx *store.Tx) error {
		leaf, err := tx.LeafOf(ctx, rid)
		if err != nil {
			return err
		}
		last, err := tx.LastCheckpoint(ctx)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if leaf.Index >= last.Size {
			return ErrUnsigned
		}
		tree, err := openCheckpoint(last.Note, l.signing().verifier)
		if err != nil {
			return err
		}
		path, err := tlog.ProveRecord(tree.N, leaf.Index, hashReader(ctx, tx))
		if err != nil {
			return err
		}
		if err := tlog.CheckRecord(path, tree.N, tree.Hash, leaf.Index, tlog.RecordHash(leaf.Data)); err != nil {
			return fmt.Errorf("%w: leaf %d does not prove", ErrInconsistent, leaf.Index)
		}
		p = Proof{Leaf: leaf.Data, Index: leaf.Index, Text: proofText(leaf.Index, path, last.Note)}
		return nil
	})
	if err != nil {
		return Proof{}, fmt.Errorf("prove %q: %w", rid, err)
	}
	return p, nil
}

func proofText(index int64, path tlog.RecordProof, checkpoint string) []byte {
	b := []byte(proofHeader + "\nindex ")
	b = strconv.AppendInt(b, index, 10)
	b = append(b, '\n')
	for _, h := range path {
		b = base64.StdEncoding.AppendEncode(b, h[:])
		b = append(b, '\n')
	}
	b = append(b, '\n')
	return append(b, checkpoint...)
}

// Proven is what a valid proof says.
type Proven struct {
	Origin string // the log
	Index  int64  // place of the leaf
	Size   int64  // leaves under the checkpoint
}

// VerifyProof checks, without a database, that the leaf is in the log whose
// verifier key is given. An "extra" line is accepted and ignored, as it proves
// nothing.
func VerifyProof(proof, leaf []byte, vkey string) (Proven, error) {
	proven, _, err := verifyProof(proof, leaf, vkey)
	return proven, err
}

// verifyProof is VerifyProof, which also returns the way from the leaf to the root.
func verifyProof(proof, leaf []byte, vkey string) (Proven, tlog.RecordProof, error) {
	v, err := note.NewVerifier(vkey)
	if err != nil {
		return Proven{}, nil, fmt.Errorf("verifier key: %w", err)
	}
	head, checkpoint, ok := strings.Cut(string(proof), "\n\n")
	if !ok {
		return Proven{}, nil, errors.New("proof: no checkpoint")
	}
	lines := strings.Split(head, "\n")
	if lines[0] != proofHeader {
		return Proven{}, nil, fmt.Errorf("proof: it does not start with %q", proofHeader)
	}
	lines = lines[1:]
	if len(lines) > 0 && strings.HasPrefix(lines[0], "extra ") {
		lines = lines[1:]
	}
	if len(lines) == 0 || !strings.HasPrefix(lines[0], "index ") {
		return Proven{}, nil, errors.New("proof: no index")
	}
	digits := strings.TrimPrefix(lines[0], "index ")
	index, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || strconv.FormatInt(index, 10) != digits {
		return Proven{}, nil, errors.New("proof: malformed index")
	}
	path := make(tlog.RecordProof, 0, len(lines)-1)
	for _, line := range lines[1:] {
		raw, err := base64.StdEncoding.Strict().DecodeString(line)
		if err != nil || len(raw) != tlog.HashSize {
			return Proven{}, nil, errors.New("proof: malformed hash")
		}
		path = append(path, tlog.Hash(raw))
	}
	tree, err := openWitnessed(checkpoint, v)
	if err != nil {
		return Proven{}, nil, fmt.Errorf("proof: %w", err)
	}
	if err := tlog.CheckRecord(path, tree.N, tree.Hash, index, tlog.RecordHash(leaf)); err != nil {
		return Proven{}, nil, errors.New("proof: the leaf is not in the log at that index")
	}
	return Proven{Origin: v.Name(), Index: index, Size: tree.N}, path, nil
}

// openWitnessed is openCheckpoint for a checkpoint that others may have
// cosigned: signatures by unknown keys are ignored, as the note format demands.
func openWitnessed(signed string, v note.Verifier) (tlog.Tree, error) {
	n, err := note.Open([]byte(signed), note.VerifierList(v))
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("checkpoint: %w", err)
	}
	return parseCheckpoint(n.Text, v.Name())
}
