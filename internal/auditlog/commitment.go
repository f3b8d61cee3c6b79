package auditlog

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"sallyport/internal/record"
)

// Committed is what the proof of an audit's beginning says.
type Committed struct {
	Proven
	// Root is that of the log when the commitment was its last leaf. It follows from
	// the proof, and whoever asks for the proof under another head gets the same.
	Root tlog.Hash
}

// VerifyCommitment checks, without a database, that the leaf tells of the beginning of
// an audit whose plan has the hash, and that it is in the log whose verifier key is
// given. Of proof and key one spelling is accepted, the one that Prove gives.
func VerifyCommitment(proof, leaf []byte, vkey, commitment string) (Committed, error) {
	proven, path, err := verifyProof(proof, leaf, vkey)
	if err != nil {
		return Committed{}, err
	}
	if err := exact(proof, path, proven.Index, vkey); err != nil {
		return Committed{}, err
	}
	var says struct {
		Act        record.Act  `json:"act"`
		Commitment string      `json:"commitment"`
		Kind       record.Kind `json:"k"`
	}
	if err := json.Unmarshal(leaf, &says); err != nil {
		return Committed{}, errors.New("the leaf is not one of an audit log")
	}
	if says.Kind != record.KindVerdict || says.Act != record.ActBegin || says.Commitment != commitment {
		return Committed{}, fmt.Errorf("leaf %d of the log does not commit to the plan", proven.Index)
	}
	return Committed{proven, rootAt(path, proven.Index, proven.Size, tlog.RecordHash(leaf))}, nil
}

// exact demands the one spelling: base64 has spare bits and a note may hold more than
// is looked at.
func exact(proof []byte, path tlog.RecordProof, index int64, vkey string) error {
	v, err := note.NewVerifier(vkey)
	if err != nil || !strings.HasPrefix(vkey, fmt.Sprintf("%s+%08x+", v.Name(), v.KeyHash())) {
		return errors.New("verifier key: malformed")
	}
	_, checkpoint, _ := strings.Cut(string(proof), "\n\n")
	if _, err := openCheckpoint(checkpoint, v); err != nil {
		return fmt.Errorf("proof: %w", err)
	}
	if string(proofText(index, path, checkpoint)) != string(proof) {
		return errors.New("proof: not in the form it was given in")
	}
	return nil
}

// rootAt is the root that the log had when the leaf was its last. Of the way from the
// leaf up to the root of the whole tree (RFC 9162 section 2.1.3.2) it takes the steps
// that have something on the left: these complete subtrees were there already.
func rootAt(path tlog.RecordProof, index, size int64, leaf tlog.Hash) tlog.Hash {
	root := leaf
	at, last := index, size-1
	for _, sibling := range path {
		if at&1 == 1 || at == last {
			root = tlog.NodeHash(sibling, root)
			for at&1 == 0 && at != 0 {
				at, last = at>>1, last>>1
			}
		}
		at, last = at>>1, last>>1
	}
	return root
}
