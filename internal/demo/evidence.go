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
	s.tell(Truth, map[string]int{"relayed": relayed, "diverted": diverted}, "THE TRUTH, which only the demo knows: of %d requests the relay answered the last %d with %s. The comparison of about %d of them was enough.",
		relayed, diverted, cheap, max(v.N-int64(s.script.honest), 1))
	for _, show := range []func(context.Context, *console.Verdict) error{s.showBundle, s.showProof, s.showLog, s.showLedger} {
		if err := show(ctx, v); err != nil {
			return err
		}
	}
	if s.cfg.Keep != "" {
		s.tell(Files, map[string]string{"folder": s.dir}, strings.Join([]string{
			"Everything is kept in %[1]s. To look for yourself:", "  sallyport audit ls --data %[1]s/data", "  sallyport audit verify %[1]s/data/watch/%[3]s.bundle",
			"  sallyport log proof %[2]s --data %[1]s/data", "  sallyport log verify --data %[1]s/data", "  sallyport logs --data %[1]s/data",
		}, "\n"), s.dir, v.ID, v.Bundle)
	}
	s.tell(End, nil, "AS TOLD, in %.0f s: the relay cheated, the verdict fell, the route moved, and every step can be proven.", time.Since(s.started).Seconds())
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
		return fmt.Errorf("%w: the bundle comes to %s", ErrNotAsTold, st.Level)
	}
	file[len(file)/2] ^= 1
	if _, _, err := probe.VerifyWatch(bytes.NewReader(file)); !errors.Is(err, evidence.ErrBroken) {
		return fmt.Errorf("%w: a changed byte in the bundle is not found: %w", ErrNotAsTold, err)
	}
	s.tell(Bundle, map[string]any{"sha256": v.Bundle, "bytes": len(file), "signer": sealed.Signer},
		"bundle   %s..., %d KiB of features, no text\n         learnt again from its %d observations: the same verdict\n         with one byte changed: rejected", v.Bundle[:16], len(file)>>10, st.N)
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
	s.tell(Proof, p, "receipt  the verdict is leaf %d of %d of the audit log; its proof\n         holds against a signed checkpoint", proven.Index, proven.Size)
	return nil
}

func (s *story) showLog(ctx context.Context, _ *console.Verdict) error {
	var r auditlog.Report
	if err := s.call(ctx, http.MethodPost, "/log/verify", map[string]string{}, &r); err != nil {
		return err
	}
	if len(r.Findings) > 0 {
		return fmt.Errorf("%w: the audit log has findings: %+v", ErrNotAsTold, r.Findings[0])
	}
	s.tell(Log, r, "log      recomputed %d leaves, %d ledger rows, %d verdicts and %d\n         checkpoints: no finding", r.Leaves, r.Entries, r.Verdicts, r.Checkpoints)
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
		fmt.Fprintf(&b, "\n         %-6s %4d requests  %6d in  %6d out  USD %s", r.Group, r.Requests, r.Tokens["input"], r.Tokens["output"], r.AmountUSD)
		paid[r.Group] = r.AmountNano
	}
	if paid["demo"] == 0 || paid["audit"] == 0 {
		return fmt.Errorf("%w: the ledger holds %v", ErrNotAsTold, paid)
	}
	s.tell(Ledger, rows, "ledger   tokens and money as the upstreams claim; clients do not pay\n         for the comparison%s", b.String())
	return nil
}
