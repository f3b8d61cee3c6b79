package probe

import (
	"context"
	"fmt"
	"math"
	"testing"

	"sallyport/internal/stat"
	"sallyport/internal/upstreamtest"
	"sallyport/internal/verdict"
)

func onlyRanks(n int) Profile { return Profile{"ranks", map[verdict.ID]int{"D14": n}} }

// TestRanks: another style ranks otherwise than a trusted one, the same does not, and
// failures are no evidence; no verdict follows.
func TestRanks(t *testing.T) {
	failing := writerOf("other", "failing")
	failing.fails = .5
	for name, c := range map[string]struct {
		subject *writer
		found   bool
		state   verdict.State
	}{
		"the same":      {writerOf("one", "a"), false, verdict.Ran},
		"another style": {writerOf("other", "b"), true, verdict.Ran},
		"failures":      {failing, false, verdict.Inconclusive},
	} {
		t.Run(name, func(t *testing.T) {
			trusted := writerOf("one", "trusted "+name)
			if c.state == verdict.Inconclusive {
				trusted.fails = .5
			}
			r, record := run(t, Config{Subject: c.subject, Trusted: trusted, Profile: onlyRanks(50), Now: testNow})
			d := resultOf(t, r, "D14")
			if d.State != c.state || len(d.Findings) != 0 {
				t.Fatalf("%s: %s, %+v", d.State, d.Reason, d.Findings)
			}
			if d.State == verdict.Ran {
				if e := d.Evidence[0]; (e.MaxLogE >= 2) != c.found {
					t.Errorf("E = %s after %d", verdict.FormatE(e.MaxLogE), e.N)
				} else {
					t.Logf("E = %s after %d", verdict.FormatE(e.MaxLogE), e.N)
				}
			}
			for _, v := range r.Verdicts {
				if v.Tested || v.Rejected {
					t.Errorf("evidence without a share gives a verdict: %+v", v)
				}
			}
			checkFile(t, record)
		})
	}
	r, _ := run(t, Config{Subject: writerOf("one", "c"), Profile: onlyRanks(50), Now: testNow})
	if d := resultOf(t, r, "D14"); d.State != verdict.NotApplicable || d.Reason == "" {
		t.Errorf("without a trusted endpoint: %s", d.State)
	}
}

// TestRanksFalseAlarms: over honest audits the mean of E is at most 1ish, and E seldom
// reaches 20.
func TestRanksFalseAlarms(t *testing.T) {
	const audits = 200
	sum, notices, found := 0.0, 0, 0
	for i := range audits {
		seed := fmt.Sprint(i)
		cfg := Config{Subject: writerOf("one", seed), Trusted: writerOf("one", "trusted "+seed), Profile: onlyRanks(25), Parallel: 1, Now: testNow, Beacon: testBeacon(seed)}
		r, _ := run(t, cfg)
		e := resultOf(t, r, "D14").Evidence[0]
		sum += math.Pow(10, e.LogE)
		if e.MaxLogE >= verdict.LevelNotice.Threshold() {
			notices++
		}
		if i%10 == 0 {
			n, other := 0, writerOf("other", "other "+seed)
			cfg.Subject = subjectFunc{writerOf("one", "x"+seed), func(ctx context.Context, s Subject, a *Ask) *Reply {
				if n++; n%2 == 0 {
					return other.Ask(ctx, a)
				}
				return s.Ask(ctx, a)
			}}
			cfg.Profile = onlyRanks(50)
			r, _ := run(t, cfg)
			if resultOf(t, r, "D14").Evidence[0].MaxLogE >= 2 {
				found++
			}
		}
	}
	t.Logf("E reaches 20 in %d of %d honest audits, mean E %.2f; a dilution of one half reaches 100 in %d of 20", notices, audits, sum/audits, found)
	// A share of at most 5 %: 200 draws exceed 20 with a probability below .2 %.
	if notices > 20 || sum/audits > 1.5 {
		t.Errorf("E reaches 20 in %d of %d honest audits, mean E %.2f", notices, audits, sum/audits)
	}
}

// TestLikelihoods: texts of one kind are likelier than one of another, equal texts score
// alike, and nothing is no number.
func TestLikelihoods(t *testing.T) {
	scores := likelihoods([]string{"the cat sat on the mat", "the cat sat on a mat", "a cat sat on the mat", "zqxj vvkw", "", "the cat sat on the mat"})
	if scores[0] != scores[5] || scores[3] >= scores[2] || !math.IsInf(scores[4], -1) {
		t.Errorf("%v", scores)
	}
	if _, err := stat.RankUniform(scores[4], scores[:4], .5); err != nil {
		t.Error(err)
	}
}

// TestRanksOverHTTP ranks prose of models behind APIs.
func TestRanksOverHTTP(t *testing.T) {
	one, other := startOracle(t, &upstreamtest.Oracle{Seed: "one", Family: "claimed"}), startOracle(t, &upstreamtest.Oracle{Seed: "two", Family: "other"})
	for url, found := range map[string]bool{one.BaseURL(): false, other.BaseURL(): true} {
		r, record := run(t, Config{Subject: auditedAt(t, url), Trusted: auditedAt(t, one.BaseURL()), Profile: onlyRanks(50), Now: testNow})
		if d := resultOf(t, r, "D14"); d.State != verdict.Ran || (d.Evidence[0].MaxLogE >= 2) != found {
			t.Errorf("%+v", d.Evidence)
		}
		checkFile(t, record)
	}
}
