package probe

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/internal/stat"
	"sallyport/internal/upstreamtest"
)

// aSample is a sample of traffic as an operator would write it, dated or not.
func aSample(n int, dated bool) string {
	r := stat.Rand(stat.Seed([32]byte{5}, "sample"))
	var b strings.Builder
	at := time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC)
	for range n {
		a := pick(r, knownApplications).request(r)
		body := a.body("m", "max_tokens")
		if !dated {
			fmt.Fprintf(&b, "%s\n", body)
			continue
		}
		at = at.Add(time.Duration(1+r.IntN(40)) * time.Minute)
		fmt.Fprintf(&b, `{"time":%q,"body":%s}`+"\n", at.Format(time.RFC3339), body)
	}
	return b.String()
}

func TestReadTraffic(t *testing.T) {
	for _, dated := range []bool{false, true} {
		traffic, err := ReadTraffic(strings.NewReader(aSample(50, dated)))
		if err != nil || len(traffic.vectors) != 50 || traffic.timed != dated {
			t.Fatalf("dated %v: %v", dated, err)
		}
		for _, v := range traffic.vectors {
			for _, f := range v {
				if f.Index < 0 || f.Index >= seenDims || f.Index == seenGap && !dated {
					t.Fatalf("dated %v: component %d", dated, f.Index)
				}
			}
		}
	}
	for name, c := range map[string]struct{ text, want string }{
		"too few":   {aSample(10, false), "10 requests, and at least 40"},
		"no body":   {aSample(40, false) + "{\"secret\":1}\n", "line 41 is not the body of a chat request"},
		"no JSON":   {"hello", "line 1 is not"},
		"one mixed": {aSample(20, true) + aSample(30, false), ""},
	} {
		traffic, err := ReadTraffic(strings.NewReader(c.text))
		switch {
		case c.want == "" && (err != nil || traffic.timed):
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret")):
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestOperatorsTraffic: with a sample of the operator's, the plan commits to its
// features, the report says so, and the bundle holds none of its text and verifies
// without it.
func TestOperatorsTraffic(t *testing.T) {
	s := startOracle(t, &upstreamtest.Oracle{Seed: "one", Family: "claimed"})
	ref := dressedReference(t, PlainDress, auditedAt(t, s.BaseURL()))
	traffic, err := ReadTraffic(strings.NewReader(aSample(100, true)))
	if err != nil {
		t.Fatal(err)
	}
	r, record := run(t, Config{Subject: auditedAt(t, s.BaseURL()), Reference: ref, Profile: onlyWords(60), Camouflage: true, Traffic: traffic})
	c := r.Camouflage
	if c == nil || c.Against != "the operator's sample of traffic" || c.Probes != 60 || c.Traffic != 100 || c.AUC < .95 {
		t.Fatalf("%+v", c)
	}
	if p := record.Plan.Traffic; p == nil || p.N != 100 || len(p.SHA256) != 64 {
		t.Errorf("the plan has %+v", p)
	}
	var file bytes.Buffer
	if err := record.Seal(&file, nil); err != nil {
		t.Fatal(err)
	}
	for _, text := range trafficSlots["what"] {
		if bytes.Contains(file.Bytes(), []byte(text)) {
			t.Errorf("the bundle holds %q", text)
		}
	}
	checkFile(t, record)
	record.Plan.Traffic.N++
	if _, err := record.Verify(t.Context()); err == nil {
		t.Error("another sample was committed to, and the record verifies")
	}
}

// TestForgedCamouflage: the figure follows from the questions and cannot be another.
func TestForgedCamouflage(t *testing.T) {
	s := startOracle(t, &upstreamtest.Oracle{Seed: "one", Family: "claimed"})
	ref := dressedReference(t, PlainDress, auditedAt(t, s.BaseURL()))
	r, record := run(t, Config{Subject: auditedAt(t, s.BaseURL()), Reference: ref, Profile: onlyWords(60), Camouflage: true})
	checkFile(t, record)
	r.Camouflage.AUC = .5
	if _, err := record.Verify(t.Context()); err == nil || !strings.Contains(err.Error(), "told from traffic") {
		t.Errorf("a forged figure: %v", err)
	}
}

// TestPoissonPace: questions come at the mean distance that was asked for, now close and now
// far, and an audit that ends waits no longer.
func TestPoissonPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n, mean = 400, time.Minute
		p := newPacer(mean)
		began, last := time.Now(), time.Now()
		short, long := 0, 0
		for range n {
			p.wait(t.Context())
			switch gap := time.Since(last); {
			case gap < mean/4:
				short++
			case gap > 2*mean:
				long++
			}
			last = time.Now()
		}
		// 400 exponential gaps: their mean is within a fifth but for one case in 10,000.
		if got := time.Since(began) / n; got < mean*4/5 || got > mean*6/5 {
			t.Errorf("the mean distance is %v", got)
		}
		if short < n/8 || long < n/20 {
			t.Errorf("%d of %d close and %d far", short, n, long)
		}
		newPacer(0).wait(t.Context())
		if time.Since(last) != 0 {
			t.Error("without a pace there is a wait")
		}
	})
}
