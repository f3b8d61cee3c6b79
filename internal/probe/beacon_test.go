package probe

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/auditlog"
	"sallyport/internal/record"
	"sallyport/internal/store"
	"sallyport/internal/store/storetest"
	"sallyport/internal/upstreamtest"
	"sallyport/internal/verdict"
)

// logBeacons is an audit log that gives beacons.
func logBeacons(t *testing.T) func(context.Context, string) (verdict.Beacon, error) {
	t.Helper()
	db := storetest.Open(t, storetest.SQLite)
	log, err := auditlog.Open(t.Context(), auditlog.Config{
		DB: db, Keys: func() [][]byte { return [][]byte{bytes.Repeat([]byte{5}, 32)} }, HeadsFile: filepath.Join(t.TempDir(), "heads"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	return func(ctx context.Context, commit string) (verdict.Beacon, error) {
		v := record.Verdict{
			TS: 1, ID: "rec_" + commit[:8], Upstream: "u", Target: testModel, Act: record.ActBegin, Commitment: commit, Salt: strings.Repeat("A", 43),
		}
		r := record.Record{Kind: record.KindVerdict, Verdict: &v}
		leaf, err := auditlog.NewLeaf(&r, r.Append(nil), nil)
		if err == nil {
			err = db.Batch(ctx, func(tx *store.Tx) error { return log.Append(ctx, tx, []store.Leaf{leaf}) })
		}
		if err == nil {
			_, err = log.Sign(ctx, 2)
		}
		if err != nil {
			return verdict.Beacon{}, err
		}
		p, err := log.Prove(ctx, v.ID)
		if err != nil {
			return verdict.Beacon{}, err
		}
		return LogBeacon(verdict.LogProof{Leaf: string(p.Leaf), Proof: string(p.Text), Key: log.VerifierKey()}, commit)
	}
}

// TestLogBeacon: a record whose beacon is a log's head is refused when a byte of the
// proof, the signed head or the key is changed, when the proof is of another plan, and
// when a log is claimed without a proof.
func TestLogBeacon(t *testing.T) {
	draw := logBeacons(t)
	s := startOracle(t, &upstreamtest.Oracle{Seed: "one", Family: "claimed"})
	var records []*Record
	for range 2 {
		_, r := run(t, Config{Subject: auditedAt(t, s.BaseURL()), Profile: Quick, Beacon: draw})
		checkRecord(t, r)
		records = append(records, r)
	}
	whole := records[0].Beacon
	if !strings.HasPrefix(whole.Source, "log head of sallyport/") || !strings.HasSuffix(whole.Source, " at size 1") || len(whole.Value) != 64 {
		t.Errorf("the beacon is %+v", whole)
	}
	refused := func(what string, b verdict.Beacon) {
		t.Helper()
		r := *records[0]
		report := *r.Report
		r.Report, r.Beacon, report.Beacon = &report, b, b
		if _, err := r.Verify(t.Context()); !errors.Is(err, ErrOtherEnd) {
			t.Errorf("%s: %v", what, err)
		}
	}
	flip := func(what, text string, changed func(*verdict.LogProof, string)) {
		for i := range len(text) {
			b, log := whole, *whole.Log
			spoilt := []byte(text)
			spoilt[i] ^= 1
			changed(&log, string(spoilt))
			b.Log = &log
			refused(what, b)
		}
	}
	flip("the leaf", whole.Log.Leaf, func(p *verdict.LogProof, s string) { p.Leaf = s })
	flip("the proof", whole.Log.Proof, func(p *verdict.LogProof, s string) { p.Proof = s })
	flip("the key", whole.Log.Key, func(p *verdict.LogProof, s string) { p.Key = s })
	refused("the beacon of another plan", records[1].Beacon)
	for what, spoil := range map[string]func(*verdict.Beacon){
		"another value":   func(b *verdict.Beacon) { b.Value = strings.Repeat("0", 64) },
		"another source":  func(b *verdict.Beacon) { b.Source = "a public beacon" },
		"no weakness":     func(b *verdict.Beacon) { b.Weak = "" },
		"no proof":        func(b *verdict.Beacon) { b.Log = nil },
		"an empty proof":  func(b *verdict.Beacon) { b.Log = &verdict.LogProof{} },
		"another's proof": func(b *verdict.Beacon) { b.Log = records[1].Beacon.Log },
	} {
		b := whole
		spoil(&b)
		refused(what, b)
	}
	other := *records[0].Report
	other.Beacon.Source = "a public beacon"
	r := *records[0]
	r.Report = &other
	if _, err := r.Verify(t.Context()); !errors.Is(err, ErrOtherEnd) {
		t.Errorf("the report names another beacon than the record: %v", err)
	}
}

// TestNotRecorded: an audit whose beginning cannot be recorded asks nothing.
func TestNotRecorded(t *testing.T) {
	s := startOracle(t, &upstreamtest.Oracle{Seed: "one"})
	full := errors.New("the disk is full")
	report, record, err := Run(t.Context(), Config{
		Subject: auditedAt(t, s.BaseURL()), Profile: Quick, Price: free,
		Beacon: func(context.Context, string) (verdict.Beacon, error) { return verdict.Beacon{}, full },
	})
	if report != nil || record != nil || !errors.Is(err, full) {
		t.Errorf("got %v, %v, %v", report, record, err)
	}
	if n := len(s.Journal().Requests()); n != 0 {
		t.Errorf("%d questions were asked", n)
	}
}
