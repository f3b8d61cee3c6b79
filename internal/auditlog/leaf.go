package auditlog

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"strconv"
	"strings"

	"sallyport/internal/record"
	"sallyport/internal/store"
)

// The labels of a leaf's commitments (member "c").
const (
	CommitRequest   = "req"   // the request body as decoded
	CommitForwarded = "fwd"   // what was sent to the upstream
	CommitAnswer    = "upres" // the upstream's body as received
	CommitReturned  = "res"   // what the client got
	CommitRecord    = "rec"   // the whole canonical journal record
	CommitRow       = "row"   // the canonical text of the ledger row's immutable columns
)

// assurance is the attestation level of an upstream that proves nothing about itself.
const assurance = "A0"

// usualLeaf is the room that is made for a leaf; nearly all fit.
const usualLeaf = 768

// saltBytes is the length of a record's salt.
const saltBytes = 32

// NewLeaf makes the log row of a record, but for its index, which Append gives.
// raw is the record's canonical encoding, which the row keeps; row is the
// canonical text of its ledger row, nil for kinds that have none. Records of
// kinds that are no leaves are an error.
//
// The leaf itself is one JSON object in canonical form (RFC 8785, integers only).
// It names no person, key or project. What it must not tell it commits to:
// base64(HMAC-SHA-256(salt, label || 0x00 || SHA-256(content))) with the record's
// own random salt, so that erasing the salt makes the commitment unlinkable. Only
// names that an operator configured enter it: the model that an upstream declares
// does when it equals a configured one.
func NewLeaf(r *record.Record, raw, row []byte) (store.Leaf, error) {
	data, err := appendLeaf(make([]byte, 0, usualLeaf), r, raw, row)
	if err != nil {
		return store.Leaf{}, err
	}
	l := store.Leaf{Kind: r.Kind, Data: data, Record: raw}
	switch {
	case r.Exchange != nil:
		l.RID, l.TS = r.Exchange.RID, r.Exchange.TS
	case r.Count != nil:
		l.RID, l.TS = r.Count.RID, r.Count.TS
	case r.Verdict != nil:
		l.RID, l.TS = r.Verdict.ID, r.Verdict.TS
	case r.Admin != nil:
		l.RID, l.TS = r.Admin.ID, r.Admin.TS
	case r.Card != nil:
		l.RID, l.TS = r.Card.ID, r.Card.TS
	case r.Start != nil:
		l.RID, l.TS = r.Start.ID, r.Start.TS
	case r.Strangers != nil:
		l.RID, l.TS = r.Strangers.ID, r.Strangers.TS
	}
	return l, nil
}

// isLeaf reports whether records of the kind become leaves.
func isLeaf(k record.Kind) bool {
	switch k {
	case record.KindStart, record.KindRefused, record.KindOutcome, record.KindCount, record.KindVerdict, record.KindAdmin, record.KindCard,
		record.KindStrangers:
		return true
	}
	return false
}

func appendLeaf(b []byte, r *record.Record, raw, row []byte) ([]byte, error) {
	switch r.Kind {
	case record.KindOutcome, record.KindRefused:
		return appendExchange(b, r.Kind, r.Exchange, raw, row)
	case record.KindCount:
		return appendOther(b, raw, r.Count.Salt, other{kind: r.Kind, rid: r.Count.RID, ts: r.Count.TS})
	case record.KindVerdict:
		return appendOther(b, raw, r.Verdict.Salt,
			other{act: string(r.Verdict.Act), bundle: r.Verdict.Bundle, commitment: r.Verdict.Commitment, kind: r.Kind, rid: r.Verdict.ID, ts: r.Verdict.TS})
	case record.KindAdmin:
		return appendOther(b, raw, r.Admin.Salt, other{act: r.Admin.Act, kind: r.Kind, rid: r.Admin.ID, ts: r.Admin.TS})
	case record.KindCard:
		return appendOther(b, raw, r.Card.Salt,
			other{card: r.Card.Card, cardHash: r.Card.Hash, kind: r.Kind, rid: r.Card.ID, ts: r.Card.TS})
	case record.KindStart:
		return appendOther(b, raw, r.Start.Salt, other{config: r.Start.Config, kind: r.Kind, rid: r.Start.ID, ts: r.Start.TS})
	case record.KindStrangers:
		return appendOther(b, raw, r.Strangers.Salt, other{kind: r.Kind, rid: r.Strangers.ID, ts: r.Strangers.TS})
	}
	return b, fmt.Errorf("a record of kind %q is no leaf", r.Kind)
}

func appendExchange(b []byte, kind record.Kind, x *record.Exchange, raw, row []byte) ([]byte, error) {
	c, err := newCommitter(x.Salt)
	if err != nil {
		return b, fmt.Errorf("leaf of %q: %w", x.RID, err)
	}
	b = append(b, `{"att":"`+assurance+`","c":{`...)
	b = c.commitHash(b, CommitForwarded, x.Forwarded)
	b = c.commit(b, CommitRecord, sha256.Sum256(raw))
	b = c.commitHash(b, CommitRequest, x.Req)
	b = c.commitHash(b, CommitReturned, x.Returned)
	b = c.commit(b, CommitRow, sha256.Sum256(row))
	b = c.commitHash(b, CommitAnswer, x.Answer)
	b[len(b)-1] = '}' // over the last comma
	b = member(b, "cfg", x.Config)
	b = member(b, "dec", x.Effect)
	b = member(b, "ep", x.Endpoint)
	b = member(b, "k", string(kind))
	b = member(b, "model_req", x.Model)
	if x.Declared == x.Target || x.Declared == x.Model {
		b = member(b, "model_resp", x.Declared)
	}
	b = member(b, "model_up", x.Target)
	b = member(b, "rid", x.RID)
	for i, rule := range x.Rules {
		if i == 0 {
			b = append(b, `,"rules":[`...)
		}
		b = append(record.AppendString(b, rule), ',')
	}
	if len(x.Rules) > 0 {
		b[len(b)-1] = ']'
	}
	b = member(b, "state", x.State)
	if x.Claimed != nil {
		t := x.Tokens()
		b = strconv.AppendInt(append(b, `,"tok":[`...), t.Prompt(), 10)
		b = strconv.AppendInt(append(b, ','), t.Completion(), 10)
		b = append(b, ']')
	}
	b = strconv.AppendInt(append(b, `,"ts":`...), x.TS, 10)
	b = member(b, "up", x.Upstream)
	return append(b, `,"v":1}`...), nil
}

// other is what a leaf tells in clear that is not of an exchange.
type other struct {
	act, bundle, card, cardHash, config, commitment string
	kind                                            record.Kind
	rid                                             string
	ts                                              int64
}

// appendOther writes a leaf that commits to its record only.
func appendOther(b, raw []byte, salt string, o other) ([]byte, error) {
	c, err := newCommitter(salt)
	if err != nil {
		return b, fmt.Errorf("leaf of %q: %w", o.rid, err)
	}
	b = append(b, '{')
	if o.act != "" {
		b = append(record.AppendString(append(b, `"act":`...), o.act), ',')
	}
	if o.bundle != "" {
		b = append(record.AppendString(append(b, `"bundle":`...), o.bundle), ',')
	}
	b = c.commit(append(b, `"c":{`...), CommitRecord, sha256.Sum256(raw))
	b[len(b)-1] = '}' // over the comma
	b = member(b, "card", o.card)
	b = member(b, "cardh", o.cardHash)
	b = member(b, "cfg", o.config)
	b = member(b, "commitment", o.commitment)
	b = member(b, "k", string(o.kind))
	b = member(b, "rid", o.rid)
	b = strconv.AppendInt(append(b, `,"ts":`...), o.ts, 10)
	return append(b, `,"v":1}`...), nil
}

// member appends a text member unless it is empty.
func member(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	b = append(append(append(b, `,"`...), name...), `":`...)
	return record.AppendString(b, value)
}

// committer makes the commitments of one record.
type committer struct {
	h   hash.Hash
	sum [sha256.Size]byte
}

func newCommitter(salt string) (*committer, error) {
	key, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(salt, "="))
	if err != nil || len(key) != saltBytes {
		return nil, fmt.Errorf("the record has no salt of %d bytes", saltBytes)
	}
	return &committer{h: hmac.New(sha256.New, key)}, nil
}

func (c *committer) mac(label string, sum [sha256.Size]byte) []byte {
	c.h.Reset()
	c.h.Write([]byte(label))
	c.h.Write([]byte{0})
	c.h.Write(sum[:])
	return c.h.Sum(c.sum[:0])
}

// commit appends a member of "c" and a comma.
func (c *committer) commit(b []byte, label string, sum [sha256.Size]byte) []byte {
	b = append(append(append(b, '"'), label...), `":"`...)
	b = base64.StdEncoding.AppendEncode(b, c.mac(label, sum))
	return append(b, `",`...)
}

// commitHash commits to content by the hex SHA-256 that a record holds of it; an
// empty one is left out. A text that is no such hash is committed to as text.
func (c *committer) commitHash(b []byte, label, hexSum string) []byte {
	if hexSum == "" {
		return b
	}
	var sum [sha256.Size]byte
	if len(hexSum) == 2*sha256.Size {
		if _, err := hex.Decode(sum[:], []byte(hexSum)); err == nil {
			return c.commit(b, label, sum)
		}
	}
	return c.commit(b, label, sha256.Sum256([]byte(hexSum)))
}
