package auditlog_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"sallyport/internal/auditlog"
	"sallyport/internal/record"
	"sallyport/internal/store"
	"sallyport/internal/store/storetest"
)

func TestProveEveryLeaf(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		f.add(23)
		if _, err := f.log.Prove(t.Context(), "req_000003"); !errors.Is(err, auditlog.ErrUnsigned) {
			t.Errorf("unsigned: %v", err)
		}
		f.sign()
		f.add(1)
		if _, err := f.log.Prove(t.Context(), "req_000023"); !errors.Is(err, auditlog.ErrUnsigned) {
			t.Errorf("beyond the checkpoint: %v", err)
		}
		if _, err := f.log.Prove(t.Context(), "req_none"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("unknown: %v", err)
		}
		rids := []string{"crd_0", "adm_17"}
		for n := range 23 {
			rids = append(rids, outcome(n).RID)
		}
		for _, rid := range rids {
			p, err := f.log.Prove(t.Context(), rid)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(p.Leaf), `"rid":"`+rid+`"`) {
				t.Errorf("%s got the leaf %s", rid, p.Leaf)
			}
			got, err := auditlog.VerifyProof(p.Text, p.Leaf, f.log.VerifierKey())
			if want := (auditlog.Proven{Origin: f.log.Origin(), Index: p.Index, Size: 25}); err != nil || got != want {
				t.Errorf("%s: got %+v, %v", rid, got, err)
			}
		}
	})
}

// TestProofIsCovered flips every byte of a proof and of its leaf.
func TestProofIsCovered(t *testing.T) {
	f, other := newFixture(t, storetest.SQLite), newFixture(t, storetest.SQLite)
	f.fill(11, 11)
	other.fill(11, 11)
	p, err := f.log.Prove(t.Context(), "req_000006")
	if err != nil {
		t.Fatal(err)
	}
	check := func(text, leaf []byte, vkey string) error {
		_, err := auditlog.VerifyProof(text, leaf, vkey)
		return err
	}
	vkey := f.log.VerifierKey()
	if err := check(p.Text, p.Leaf, vkey); err != nil {
		t.Fatal(err)
	}
	for i := range p.Text {
		changed := bytes.Clone(p.Text)
		changed[i] ^= 1
		// The last bits of a signature's base64 say nothing, and the note format
		// lets them pass; what they carry is the same signature.
		if err := check(changed, p.Leaf, vkey); err == nil && !sameNote(changed, p.Text) {
			t.Errorf("byte %d of the proof is not covered: %q", i, changed)
		}
	}
	for i := range p.Leaf {
		changed := bytes.Clone(p.Leaf)
		changed[i] ^= 1
		if check(p.Text, changed, vkey) == nil {
			t.Errorf("byte %d of the leaf is not covered", i)
		}
	}
	if check(p.Text, p.Leaf, other.log.VerifierKey()) == nil {
		t.Error("another log's key accepts it")
	}
	for _, bad := range []string{"", "\n\n", "c2sp.org/tlog-proof@v1\n\n", "c2sp.org/tlog-proof@v1\nindex 07\n\n"} {
		if check([]byte(bad), p.Leaf, vkey) == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
	extra := bytes.Replace(p.Text, []byte("\nindex"), []byte("\nextra YQ==\nindex"), 1)
	if err := check(extra, p.Leaf, vkey); err != nil {
		t.Errorf("with extra data: %v", err)
	}
	cosigned := append(bytes.Clone(p.Text), "— witness.example "+base64.StdEncoding.EncodeToString(make([]byte, 70))+"\n"...)
	if err := check(cosigned, p.Leaf, vkey); err != nil {
		t.Errorf("with a cosignature: %v", err)
	}
}

// sameNote reports whether two texts differ only in how their last line spells
// one signature.
func sameNote(a, b []byte) bool {
	cut := func(x []byte) (string, []byte) {
		line := strings.TrimSuffix(string(x[bytes.LastIndexByte(x[:len(x)-1], ' ')+1:]), "\n")
		raw, _ := base64.StdEncoding.DecodeString(line)
		return string(x[:len(x)-len(line)-1]), raw
	}
	headA, sigA := cut(a)
	headB, sigB := cut(b)
	return headA == headB && bytes.Equal(sigA, sigB)
}

// TestNoFalseProof proves nothing from a log whose rows were changed.
func TestNoFalseProof(t *testing.T) {
	f := newFixture(t, storetest.SQLite)
	f.fill(8, 8)
	exec(t, storetest.SQL(t, f.where), "UPDATE leaf SET data = record WHERE rid = 'req_000003'")
	if p, err := f.log.Prove(t.Context(), "req_000003"); !errors.Is(err, auditlog.ErrInconsistent) {
		t.Errorf("got %s, %v", p.Text, err)
	}
}

func FuzzVerifyProof(f *testing.F) {
	r := record.Record{Kind: record.KindStrangers, Strangers: &record.Strangers{ID: "x", Salt: salt(1)}}
	leaf, err := auditlog.NewLeaf(&r, r.Append(nil), nil)
	if err != nil {
		f.Fatal(err)
	}
	const vkey = "sallyport/test+f6a3a3c1+AY1xJ8c9kCZ0l5H9b5kPqLrYH9YyV5C4p1t0C5q2D6nD"
	f.Add([]byte("c2sp.org/tlog-proof@v1\nindex 0\n\nsallyport/test\n1\nAAAA\n\n— sallyport/test AAAA\n"))
	f.Add([]byte("c2sp.org/tlog-proof@v1\nextra YQ==\nindex 1\nAAAA\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := auditlog.VerifyProof(b, leaf.Data, vkey); err == nil {
			t.Fatalf("%q proves %+v", b, p)
		}
	})
}
