package probe

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"strings"
	"testing"
	"time"

	"sallyport/internal/llm"
	"sallyport/internal/price"
	"sallyport/internal/upstreamtest"
	"sallyport/internal/verdict"
)

// endpoint is an endpoint to audit.
func endpoint(t testing.TB, url string) *Endpoint {
	t.Helper()
	e, err := NewEndpoint(EndpointConfig{URL: url, Model: "gpt-4o-mini", Timeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// auditOnly audits an endpoint with one detector; see auditSubject.
func auditOnly(t testing.TB, id verdict.ID, budget int, url string, seed int) verdict.Result {
	t.Helper()
	return auditSubject(t, id, budget, endpoint(t, url), seed)
}

// placed is a subject with an address that does not change from run to run, as the
// seed of an audit follows from it.
type placed struct{ Subject }

// Facts implements Subject.
func (p placed) Facts() Facts {
	f := p.Subject.Facts()
	f.URL, f.Host = "https://api.example.org/v1", "api.example.org"
	return f
}

// auditSubject audits with one detector and returns its result, after the sealed
// record has led to the same end.
func auditSubject(t testing.TB, id verdict.ID, budget int, e Subject, seed int) verdict.Result {
	t.Helper()
	_, record, err := Run(t.Context(), Config{
		Program: "test", Subject: placed{e}, Profile: Profile{"test", map[verdict.ID]int{id: budget}}, Parallel: 8,
		Price: func(llm.Tokens) (price.Nano, bool) { return 0, false },
		Now:   func() time.Time { return time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC) },
		Beacon: func(context.Context, string) (verdict.Beacon, error) {
			return verdict.Beacon{Value: fmt.Sprint("seed ", seed), Source: "test"}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	var sealed bytes.Buffer
	_, key, _ := ed25519.GenerateKey(nil)
	if err := record.Seal(&sealed, key); err != nil {
		t.Fatal(err)
	}
	opened, _, err := OpenBundle(&sealed)
	if err != nil {
		t.Fatal(err)
	}
	report, err := opened.Verify(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Detectors {
		if r.ID == id {
			return r
		}
	}
	t.Fatalf("no %s", id)
	return verdict.Result{}
}

// startServer serves what a provider would.
func startServer(t testing.TB, cfg upstreamtest.Config) string {
	t.Helper()
	s, err := upstreamtest.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s.URL() + "/v1"
}

// startRelay puts a relay in front of a backend.
func startRelay(t testing.TB, preset, backend string, change func(*upstreamtest.RelayConfig)) string {
	t.Helper()
	cfg, err := upstreamtest.Preset(preset)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Backend = backend
	if change != nil {
		change(&cfg)
	}
	r, err := upstreamtest.StartRelay(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r.BaseURL()
}

// foundNothing fails where a detector found something, or took evidence against
// integrity.
func foundNothing(t testing.TB, r verdict.Result) {
	t.Helper()
	for _, f := range r.Findings {
		t.Errorf("found %s: %s", f.Label, f.Text)
	}
	for _, e := range r.Evidence {
		if e.MaxLogE > 0 {
			t.Errorf("E = 10^%.2f against %s", e.MaxLogE, e.Null)
		}
	}
}

// foundIntegrity fails unless the detector found that integrity failed, in words that
// hold all of these.
func foundIntegrity(t testing.TB, r verdict.Result, words ...string) {
	t.Helper()
	if r.State != verdict.Ran || len(r.Evidence) != 1 || r.Evidence[0].Null != verdict.Integrity || r.Evidence[0].MaxLogE < 1 {
		t.Fatalf("%s (%s), evidence %v, facts %v", r.State, r.Reason, r.Evidence, r.Facts)
	}
	var text strings.Builder
	for _, f := range r.Findings {
		if f.Label != verdict.IntegrityFailed || f.Veto {
			t.Errorf("label %s, veto %v", f.Label, f.Veto)
		}
		text.WriteString(f.Text + "\n")
	}
	for _, w := range words {
		if !strings.Contains(text.String(), w) {
			t.Errorf("no %q in %q", w, text.String())
		}
	}
}
