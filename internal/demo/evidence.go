package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sallyport/internal/auditlog"
	"sallyport/internal/console"
	"sallyport/internal/evidence"
	"sallyport/internal/probe"
	"sallyport/internal/verdict"
)

// evidence shows the receipt: what anybody can check afterwards.
func (s *story) evidence(ctx context.Context) error {
	v := s.condemned()
	relayed, diverted := 0, s.diverted()
	for _, d := range s.relay.Deeds() {
		if strings.HasSuffix(d.Path, "/chat/completions") {
			relayed++
		}
	}
	s.tell(Truth, map[string]int{"relayed": relayed, "diverted": diverted}, "The truth, which only the demo knows: of %d requests the relay answered the last %d with %s. It was out after %d pairs of them.",
		relayed, diverted, cheap, v.N-honestRequests)
	for _, show := range []func(context.Context, *console.Verdict) error{s.showBundle, s.showProof, s.showLog, s.showLedger} {
		if err := show(ctx, v); err != nil {
			return err
		}
	}
	if s.cfg.Keep != "" {
		s.tell(Files, map[string]string{"folder": s.dir}, "Everything is kept in %s. To look for yourself:\n  sallyport audit ls --data %[1]s/data\n  sallyport log proof %[2]s --data %[1]s/data\n  sallyport log verify --data %[1]s/data\n  sallyport logs --data %[1]s/data", s.dir, v.ID)
	}
	s.tell(End, nil, "Done in %.0f s: the relay cheated, the verdict fell, the route moved, and every step is provable.", time.Since(s.started).Seconds())
	return nil
}

// showBundle recomputes the verdict from what was observed, and shows that a changed
// byte is found.
func (s *story) showBundle(_ context.Context, v *console.Verdict) error {
	path := filepath.Join(s.dir, "data", "watch", v.Bundle+".bundle")
	file, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the verdict's bundle: %w", err)
	}
	st, sealed, err := probe.VerifyWatch(bytes.NewReader(file))
	if err != nil {
		return fmt.Errorf("verify the verdict's bundle: %w", err)
	}
	if st.Level != verdict.LevelQuarantine || sealed.SHA256 != v.Bundle {
		return fmt.Errorf("%w: the bundle comes to %s", errNotAsTold, st.Level)
	}
	file[len(file)/2] ^= 1
	if _, _, err := probe.VerifyWatch(bytes.NewReader(file)); !errors.Is(err, evidence.ErrBroken) {
		return fmt.Errorf("%w: a changed byte in the bundle is not found: %w", errNotAsTold, err)
	}
	s.tell(Bundle, map[string]any{"sha256": v.Bundle, "bytes": len(file), "signer": sealed.Signer},
		"evidence   bundle %s..., %d KiB, no text in it\n           learnt again from its %d observations: the same verdict; with one byte changed: rejected", v.Bundle[:16], len(file)>>10, st.Pairs)
	return nil
}

func (s *story) showProof(ctx context.Context, v *console.Verdict) error {
	var p console.Proof
	if err := s.call(ctx, http.MethodGet, "/logs/"+v.ID+"/proof", nil, &p); err != nil {
		return err
	}
	proven, err := auditlog.VerifyProof([]byte(p.Proof), []byte(p.Leaf), p.VerifierKey)
	if err != nil {
		return fmt.Errorf("verify the proof of the verdict: %w", err)
	}
	s.tell(Proof, p, "receipt    the verdict is leaf %d of %d of the audit log; inclusion proof verified against a signed checkpoint", proven.Index, proven.Size)
	return nil
}

func (s *story) showLog(ctx context.Context, _ *console.Verdict) error {
	var r auditlog.Report
	if err := s.call(ctx, http.MethodPost, "/log/verify", map[string]string{}, &r); err != nil {
		return err
	}
	if len(r.Findings) > 0 {
		return fmt.Errorf("%w: the audit log has findings: %+v", errNotAsTold, r.Findings[0])
	}
	s.tell(Log, r, "log        %d leaves, %d ledger rows, %d verdicts and %d checkpoints recomputed: no finding", r.Leaves, r.Entries, r.Verdicts, r.Checkpoints)
	return nil
}

// showLedger shows who paid what: clients never pay for the comparison.
func (s *story) showLedger(ctx context.Context, _ *console.Verdict) error {
	var rows []console.UsageRow
	if err := s.call(ctx, http.MethodGet, "/usage?by=project", nil, &rows); err != nil {
		return err
	}
	var b strings.Builder
	paid := map[string]int64{}
	for _, r := range rows {
		fmt.Fprintf(&b, "\n           %-8s %5d requests  %7d tokens in  %7d out  USD %s", r.Group, r.Requests, r.Tokens["input"], r.Tokens["output"], r.AmountUSD)
		paid[r.Group] = r.AmountNano
	}
	if paid["demo"] == 0 || paid["audit"] == 0 {
		return fmt.Errorf("%w: the ledger holds %v", errNotAsTold, paid)
	}
	s.tell(Ledger, rows, "ledger     who paid what, as claimed by the upstreams; project audit is the comparison with both references%s", b.String())
	return nil
}
