package app

import (
	"fmt"
	"testing"

	"sallyport/internal/probe"
	"sallyport/internal/verdict"
)

// TestWatchActs: what a watch concludes does to routing what the operator opted into
// and no more. In particular an upstream that may be quarantined is not lowered
// before: it would be asked no more, and nothing more be found out.
func TestWatchActs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		act      string
		null     verdict.Null
		level    verdict.Level
		answered string // by whom, after the verdict
	}{
		{"notice", verdict.Honest, verdict.LevelQuarantine, "first"},
		{"lower", verdict.Same, verdict.LevelNotice, "first"},
		{"lower", verdict.Same, verdict.LevelWarning, "second"},
		{"quarantine", verdict.Same, verdict.LevelWarning, "first"},
		{"quarantine", verdict.Honest, verdict.LevelWarning, "first"},
		{"quarantine", verdict.Honest, verdict.LevelQuarantine, "second"},
	} {
		t.Run(fmt.Sprintf("%s, %s at %s", c.act, c.null, c.level), func(t *testing.T) {
			t.Parallel()
			file, _, _ := twoWays(t, fmt.Sprintf("watch:\n  - {upstream: first, model: %s, references: [second], projects: [default], act: %s}", model, c.act))
			i := start(t, options(t.TempDir(), file))
			i.concluded(probe.Standing{Stream: probe.Stream{Upstream: "first", Model: model}, Null: c.null, Level: c.level}, "")
			i.answers(t, c.answered)
			if r := i.verified(t); r.Verdicts != 1 {
				t.Errorf("%d verdicts are in the log", r.Verdicts)
			}
		})
	}
}
