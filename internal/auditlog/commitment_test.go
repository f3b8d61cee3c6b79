package auditlog_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"sallyport/internal/auditlog"
	"sallyport/internal/record"
	"sallyport/internal/store"
	"sallyport/internal/store/storetest"
)

// begun is the beginning of audit n, whose plan has the hash planOf(n).
func begun(n int) record.Record {
	return record.Record{Kind: record.KindVerdict, Verdict: &record.Verdict{
		TS: start + int64(n), ID: fmt.Sprintf("beg_%06d", n), Upstream: "up", Target: "t", Act: record.ActBegin, Commitment: planOf(n), Profile: "quick",
		Cap: 1e9, Actor: "local", Salt: salt(n + 1<<22),
	}}
}

func planOf(n int) string { return strings.Repeat(fmt.Sprintf("%02x", n), 32) }

// root is the root of the log as it stands.
func (f *fixture) root() (h tlog.Hash) {
	f.t.Helper()
	err := f.db.View(f.t.Context(), func(tx *store.Tx) error {
		head, err := tx.Head(f.t.Context())
		h = tlog.Hash(head.Root)
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return h
}

// TestCommitment: under whichever later head a commitment is proven, what is told as
// the log's root is the one with the commitment as the last leaf.
func TestCommitment(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		var roots []tlog.Hash
		for n := range 33 {
			f.append(begun(n))
			roots = append(roots, f.root())
			if n%5 == 0 {
				f.add(n % 3)
			}
			f.sign()
			for i, want := range roots {
				p, err := f.log.Prove(t.Context(), fmt.Sprintf("beg_%06d", i))
				if err != nil {
					t.Fatal(err)
				}
				got, err := auditlog.VerifyCommitment(p.Text, p.Leaf, f.log.VerifierKey(), planOf(i))
				if err != nil || got.Root != want || got.Index != p.Index || got.Origin != f.log.Origin() {
					t.Fatalf("beginning %d after %d: %+v, %v, want the root %v", i, n, got, err, want)
				}
			}
		}
	})
}

// TestCommitmentIsCovered changes every bit of proof, leaf and key, and proves what is
// no commitment to the plan.
func TestCommitmentIsCovered(t *testing.T) {
	f := newFixture(t, storetest.SQLite)
	f.fill(5, 5)
	ended := begun(8)
	ended.Verdict.ID, ended.Verdict.Act = "end_1", record.ActAudit
	f.append(begun(7), ended)
	f.fill(3, 3)
	p, err := f.log.Prove(t.Context(), "beg_000007")
	if err != nil {
		t.Fatal(err)
	}
	vkey := f.log.VerifierKey()
	verify := func(proof, leaf []byte, vkey string) error {
		_, err := auditlog.VerifyCommitment(proof, leaf, vkey, planOf(7))
		return err
	}
	if err := verify(p.Text, p.Leaf, vkey); err != nil {
		t.Fatal(err)
	}
	bits := func(what string, b []byte, verify func([]byte) error) {
		for i := range 8 * len(b) {
			changed := bytes.Clone(b)
			changed[i/8] ^= 1 << (i % 8)
			if verify(changed) == nil {
				t.Errorf("bit %d of byte %d of the %s is not covered: %q", i%8, i/8, what, changed)
			}
		}
	}
	bits("proof", p.Text, func(b []byte) error { return verify(b, p.Leaf, vkey) })
	bits("leaf", p.Leaf, func(b []byte) error { return verify(p.Text, b, vkey) })
	bits("key", []byte(vkey), func(b []byte) error { return verify(p.Text, p.Leaf, string(b)) })
	cosigned := append(bytes.Clone(p.Text), "— witness.example "+base64.StdEncoding.EncodeToString(make([]byte, 70))+"\n"...)
	if verify(cosigned, p.Leaf, vkey) == nil {
		t.Error("another spelling of the proof is accepted")
	}
	for rid, plan := range map[string]string{"beg_000007": planOf(8), "end_1": planOf(8), "req_000003": ""} {
		p, err := f.log.Prove(t.Context(), rid)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := auditlog.VerifyCommitment(p.Text, p.Leaf, vkey, plan); err == nil || !strings.Contains(err.Error(), "does not commit to the plan") {
			t.Errorf("%s commits to %q: %v", rid, plan, err)
		}
	}
}
