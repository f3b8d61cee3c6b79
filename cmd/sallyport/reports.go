package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/app"
	"sallyport/internal/auditlog"
	"sallyport/internal/console"
	"sallyport/internal/ledger"
	"sallyport/internal/price"
)

func usageCommand(f *flags) *cobra.Command {
	var by, since string
	c := &cobra.Command{
		Use: "usage", Short: "Tokens and money by model, key, project or upstream", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q := url.Values{"by": {by}, "since": {since}}
			rows, err := ask[[]console.UsageRow](cmd.Context(), f, "GET", "/usage?"+q.Encode(), nil)
			if err != nil {
				return err
			}
			o := f.output(cmd)
			return lines(o, rows, func() { usageTable(o, by, rows) })
		},
	}
	c.Flags().StringVar(&by, "by", "model", "model, key, project or upstream")
	c.Flags().StringVar(&since, "since", "7d", "how far back, such as 30m, 24h or 7d")
	return c
}

func usageTable(o output, by string, rows []console.UsageRow) {
	var cells [][]string
	open, compared := int64(0), false
	for _, r := range rows {
		name := r.Group
		if name == "" {
			name = "(none)"
		}
		var in, out int64
		for class, n := range r.Tokens {
			if class == "output" || class == "reasoning" || class == "audio_out" {
				out += n
			} else {
				in += n
			}
		}
		cells = append(cells, []string{
			name, count(r.Requests), count(r.Refused), count(r.Errors), count(in), count(out), count(r.UnknownUsage), r.AmountUSD, count(r.Unpriced),
			sampled(r.Counted), countedOf(r.Counted), excess(r.Counted),
		})
		open += r.UnknownUsage + r.Unpriced
		compared = compared || r.Counted != nil && r.Counted.Excess != nil
	}
	o.table([]string{strings.ToUpper(by), ">REQUESTS", ">REFUSED", ">FAILED", ">TOKENS IN", ">TOKENS OUT", ">UNKNOWN", ">USD", ">UNPRICED", ">SAMPLED", ">CLAIMED/COUNTED", "EXCESS (95 %)"}, cells)
	if compared {
		fmt.Fprintln(o.out, "EXCESS is how much more upstreams claim for the visible text of sampled answers than Sallyport counts,\nwith its interval of 95 %. A server that bills the token that ends an answer claims one more for each.")
	}
	if open > 0 {
		fmt.Fprintln(o.out, "Sums hold only what is known: UNKNOWN counts requests without a usage, UNPRICED requests without an amount.")
	}
}

// sampled is how many answers were sampled, and how many of them are not countable.
func sampled(c *console.Counted) string {
	switch {
	case c == nil:
		return "0"
	case c.Countable < c.Sampled:
		return fmt.Sprintf("%d, %d not countable", c.Sampled, c.Sampled-c.Countable)
	}
	return count(c.Sampled)
}

// countedOf shows the claim beside our own count of the same texts.
func countedOf(c *console.Counted) string {
	if c == nil || c.Countable == 0 {
		return "-"
	}
	return count(c.Claimed) + "/" + count(c.Counted)
}

// excess shows by how much the claims exceed the counts.
func excess(c *console.Counted) string {
	switch {
	case c == nil:
		return "not sampled"
	case c.Countable == 0:
		return "not countable"
	case c.Excess == nil:
		return "answers too short"
	}
	e := c.Excess
	return fmt.Sprintf("%+.1f %% (%+.1f to %+.1f)", 100*e.Mean, 100*e.Low, 100*e.High)
}

func count(n int64) string { return strconv.FormatInt(n, 10) }

// logFlags select exchanges.
type logFlags struct {
	project, key, model, upstream, state, since string
	limit                                       int
	follow, all, full                           bool
}

func logsCommand(f *flags) *cobra.Command {
	var l logFlags
	c := &cobra.Command{
		Use: "logs [REQUEST-ID]", Short: "Exchanges, newest first", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return logOne(cmd, f, args[0])
			}
			return logList(cmd, f, &l)
		},
	}
	p := c.Flags()
	p.StringVar(&l.project, "project", "", "only this project")
	p.StringVar(&l.key, "key", "", "only this key id")
	p.StringVar(&l.model, "model", "", "only this model")
	p.StringVar(&l.upstream, "upstream", "", "only this upstream")
	p.StringVar(&l.state, "state", "", "only this terminal state, such as complete, refused or lost")
	p.StringVar(&l.since, "since", "", "how far back, such as 30m, 24h or 7d")
	p.IntVarP(&l.limit, "limit", "n", 50, "how many, at most")
	p.BoolVar(&l.all, "all", false, "every one, oldest first")
	p.BoolVar(&l.full, "full", false, "with the hashes of the bodies (in JSON)")
	p.BoolVarP(&l.follow, "follow", "f", false, "go on with new ones as they come")
	return c
}

func (l *logFlags) query() url.Values {
	q := url.Values{}
	for name, v := range map[string]string{"project": l.project, "key": l.key, "model": l.model, "upstream": l.upstream, "state": l.state, "since": l.since} {
		if v != "" {
			q.Set(name, v)
		}
	}
	if l.full {
		q.Set("full", "1")
	}
	return q
}

func logOne(cmd *cobra.Command, f *flags, rid string) error {
	e, err := ask[console.Entry](cmd.Context(), f, "GET", "/logs/"+url.PathEscape(rid), nil)
	if err != nil {
		return err
	}
	o := f.output(cmd)
	return o.value(e, func() {
		o.table([]string{"FIELD", "VALUE"}, [][]string{
			{"request", e.RID},
			{"leaf", count(e.Leaf)},
			{"time", stamp(e.Time)},
			{"duration", fmt.Sprintf("%d ms", e.Millis)},
			{"key", e.Key + " of project " + e.Project},
			{"client", e.Client},
			{"model", e.Endpoint + " " + e.Model},
			{"upstream", e.Upstream + " " + e.Target + ", declares " + e.Declared},
			{"policy", "label " + e.Label + ": " + e.Decision},
			{"end", fmt.Sprintf("%s, status %d %s", e.State, e.Status, e.Fault)},
			{"usage", e.Usage + " " + tokens(e)},
			{"claim", e.Claim},
			{"counted", e.Counted},
			{"money", e.Money + " " + amount(e)},
			{"card", e.Card},
			{"attempts", string(e.Attempts)},
			{"findings", string(e.Findings)},
		})
	})
}

func tokens(e console.Entry) string {
	var parts []string
	for _, class := range []string{"input", "cache_read", "cache_write_5m", "cache_write_1h", "audio_in", "image_in", "output", "reasoning", "audio_out"} {
		if n := e.Tokens[class]; n != 0 {
			parts = append(parts, fmt.Sprintf("%s %d", class, n))
		}
	}
	return strings.Join(parts, ", ")
}

// amount is the money of an exchange; what is not known says so.
func amount(e console.Entry) string {
	if e.Amount == nil {
		return "-"
	}
	return price.Nano(*e.Amount).String()
}

// maxList is how many exchanges one page of the log holds.
const maxList = 1000

func logList(cmd *cobra.Command, f *flags, l *logFlags) error {
	if l.limit < 1 || l.limit > maxList {
		return &exitError{exitUsage, fmt.Sprintf("--limit is a number from 1 to %d; for more: sallyport logs --all", maxList)}
	}
	c, err := f.connect(cmd.Context())
	if err != nil {
		return err
	}
	defer c.close()
	o := f.output(cmd)
	if l.all || l.follow {
		return logFollow(cmd.Context(), c, o, l)
	}
	q := l.query()
	q.Set("limit", strconv.Itoa(l.limit))
	var es []console.Entry
	if err := c.call(cmd.Context(), "GET", "/logs?"+q.Encode(), nil, &es); err != nil {
		return err
	}
	return lines(o, es, func() { o.table(logHead(), logRows(es)) })
}

// logFollow prints exchanges in the order they were recorded, and with -f goes on.
func logFollow(ctx context.Context, c *client, o output, l *logFlags) error {
	q := l.query()
	q.Set("limit", strconv.Itoa(maxList))
	last := int64(-1)
	if l.follow && !l.all {
		var newest []console.Entry
		if err := c.call(ctx, "GET", "/logs?limit=1", nil, &newest); err != nil {
			return err
		}
		if len(newest) > 0 {
			last = newest[0].Leaf
		}
	}
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	table := newColumns(logHead())
	for {
		q.Set("after_leaf", strconv.FormatInt(last, 10))
		var es []console.Entry
		err := c.call(ctx, "GET", "/logs?"+q.Encode(), nil, &es)
		if ctx.Err() != nil {
			return nil // told to stop
		}
		if err != nil {
			return err
		}
		if err := lines(o, es, func() {
			if len(es) > 0 || !l.follow {
				table.print(o.out, logRows(es))
			}
		}); err != nil {
			return err
		}
		if len(es) > 0 {
			last = es[len(es)-1].Leaf
			continue
		}
		if !l.follow {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-poll.C:
		}
	}
}

func logHead() []string {
	return []string{"TIME", "REQUEST", "MODEL", "UPSTREAM", "STATE", ">STATUS", ">MS", ">IN", ">OUT", ">USD", "PROJECT"}
}

func logRows(es []console.Entry) [][]string {
	var rows [][]string
	for _, e := range es {
		in, out := "-", "-"
		if e.Tokens != nil {
			t := e.Tokens
			in = count(t["input"] + t["cache_read"] + t["cache_write_5m"] + t["cache_write_1h"] + t["audio_in"] + t["image_in"])
			out = count(t["output"] + t["reasoning"] + t["audio_out"])
		}
		rows = append(rows, []string{
			stamp(e.Time), e.RID, e.Model, e.Upstream, e.State, count(e.Status), count(e.Millis), in, out, money(e), e.Project,
		})
	}
	return rows
}

// money shows an amount with its state when that is not plainly priced.
func money(e console.Entry) string {
	if e.Money == ledger.MoneyPriced || e.Money == ledger.MoneyDeclared {
		return amount(e)
	}
	if e.Money == ledger.MoneyHeld {
		return amount(e) + " held"
	}
	return e.Money
}

func logCommand(f *flags) *cobra.Command {
	c := &cobra.Command{Use: "log", Short: "The audit log"}
	c.AddCommand(logVerify(f), logProof(f), logReopen(f))
	return c
}

func logVerify(f *flags) *cobra.Command {
	var against string
	c := &cobra.Command{
		Use: "verify", Short: "Recompute the whole audit log and the ledger", Args: cobra.NoArgs,
		Long: "Recompute every leaf, hash, checkpoint, ledger row, price card and sum, and name each\ndifference. With --against the log must also extend a checkpoint that you kept elsewhere.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var checkpoint []byte
			if against != "" {
				b, err := os.ReadFile(against)
				if err != nil {
					return fmt.Errorf("read the remembered checkpoint: %w", err)
				}
				if !strings.Contains(string(b), "\n\n\u2014 ") { // c2sp.org/signed-note
					return &exitError{exitUsage, against + " holds no signed checkpoint; one stands at the end of every proof: sallyport log proof REQUEST-ID"}
				}
				checkpoint = b
			}
			r, err := verified(cmd.Context(), f, checkpoint)
			if err != nil {
				return err
			}
			o := f.output(cmd)
			if err := o.value(r, func() { tellReport(o, r) }); err != nil {
				return err
			}
			if len(r.Findings) > 0 {
				return &exitError{exitFinding, ""}
			}
			return nil
		},
	}
	c.Flags().StringVar(&against, "against", "", "file with a checkpoint that was kept elsewhere")
	return c
}

// verified asks the running gateway for a verification. With none running the
// folder is only read: evidence is not to be changed by looking at it.
func verified(ctx context.Context, f *flags, against []byte) (auditlog.Report, error) {
	dir, err := f.dataDir()
	if err != nil {
		return auditlog.Report{}, err
	}
	c, err := running(ctx, dir)
	if err != nil {
		return auditlog.Report{}, err
	}
	if c == nil {
		report, err := app.Verify(ctx, f.inProcess(dir), against)
		return report, owned(err)
	}
	defer c.close()
	var report auditlog.Report
	in := map[string]string{}
	if len(against) > 0 {
		in["against"] = string(against)
	}
	err = c.call(ctx, "POST", "/log/verify", in, &report)
	return report, err
}

func tellReport(o output, r auditlog.Report) {
	fmt.Fprintf(o.out, "log        %s\nvkey       %s\nchecked    %d leaves, %d hashes, %d ledger rows, %d counts, %d verdicts, %d checkpoints, %d remembered heads, %d price cards, %d sums\n",
		visible(r.Origin), visible(r.VerifierKey), r.Leaves, r.Hashes, r.Entries, r.Counts, r.Verdicts, r.Checkpoints, r.Remembered, r.Cards, r.Rollups)
	fmt.Fprintf(o.out, "trust      %s\n", r.Trust)
	if len(r.Findings) == 0 {
		fmt.Fprintln(o.out, "result     no finding")
		return
	}
	fmt.Fprintf(o.out, "result     %d findings (%d more of the same kinds)\n\n", len(r.Findings), r.Suppressed)
	var rows [][]string
	for _, x := range r.Findings {
		rows = append(rows, []string{x.Code, x.Table, x.Where, x.Detail})
	}
	o.table([]string{"FINDING", "TABLE", "WHERE", "DETAIL"}, rows)
}

func logReopen(f *flags) *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "reopen --reason TEXT", Short: "Go on with a log after a backup of the database was restored", Args: cobra.NoArgs,
		Long: "End the log's origin and begin a new one where the database no longer holds what was signed,\nas after a restore from a backup. Let every replica project its journal first, and look at what\nlog verify finds: whatever changed the database is accepted with it. The break and its reason\nstay in the log, and every later log verify reports them.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := ask[console.Reopened](cmd.Context(), f, "POST", "/log/reopen", map[string]string{"reason": reason})
			if err != nil {
				return err
			}
			return f.output(cmd).value(r, func() {
				fmt.Fprintf(cmd.OutOrStdout(), "log   %s\nvkey  %s\nsize  %d\n\nKeep this checkpoint elsewhere, for log verify --against:\n\n%s",
					visible(r.Origin), visible(r.VerifierKey), r.Size, visibleText(r.Checkpoint))
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why the database is not what was signed; kept in the log for good (required)")
	_ = c.MarkFlagRequired("reason")
	return c
}

func logProof(f *flags) *cobra.Command {
	return &cobra.Command{
		Use: "proof REQUEST-ID", Short: "Proof that an exchange is in the log, for verification elsewhere", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := ask[console.Proof](cmd.Context(), f, "GET", "/logs/"+url.PathEscape(args[0])+"/proof", nil)
			if err != nil {
				return err
			}
			return f.output(cmd).value(p, func() {
				fmt.Fprintf(cmd.OutOrStdout(), "vkey %s\nleaf %s\n\n%s", visible(p.VerifierKey), visible(p.Leaf), visibleText(p.Proof))
			})
		},
	}
}
