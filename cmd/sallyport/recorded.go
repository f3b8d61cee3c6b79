package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/console"
	"sallyport/internal/ledger"
	"sallyport/internal/probe"
	"sallyport/internal/record"
	"sallyport/internal/reference"
	"sallyport/internal/verdict"
)

// recordWithin bounds how long the gateway may take to record an audit.
const recordWithin = time.Minute

// recorded reports whether the audit's beginning and end are put into the audit log:
// always where an upstream of the configuration is asked, else when it was wished for.
// One that is gone on with stays what it was.
func (a *auditFlags) recorded() bool {
	if a.from != nil {
		return a.from.Beacon.Log != nil
	}
	return a.register || a.upstream != "" || a.trusted != "" && !isAddress(a.trusted)
}

// isAddress tells an address from the name of an upstream of the configuration.
func isAddress(place string) bool { return strings.Contains(place, "://") }

// beacon is where the randomness of the audit comes from: the audit log, where the
// audit is recorded, else this machine.
func (a *auditFlags) beacon(f *flags, cfg *probe.Config) func(context.Context, string) (verdict.Beacon, error) {
	if !a.recorded() {
		return ownBeacon
	}
	return func(ctx context.Context, commit string) (verdict.Beacon, error) {
		facts := cfg.Subject.Facts()
		founding := *f
		founding.founds = true // as chat does: an upstream of the environment needs nothing else
		_, proof, err := inLog(ctx, &founding, "begin", console.Beginning{
			Commitment: commit, Upstream: cmp.Or(facts.Name, facts.Host), Model: facts.Model, Profile: cfg.Profile.Name, Cap: int64(cfg.Cap),
		})
		if err != nil {
			return verdict.Beacon{}, fmt.Errorf("it cannot be recorded: %w", err)
		}
		return probe.LogBeacon(verdict.LogProof{Leaf: proof.Leaf, Proof: proof.Proof, Key: proof.VerifierKey}, commit)
	}
}

// inLog records the beginning or the end of an audit, and returns the proof of its leaf.
// Beside an error the verdict has an id when it was recorded and only the proof failed.
func inLog(ctx context.Context, f *flags, verb string, in any) (v console.Verdict, p console.Proof, err error) {
	ctx, cancel := context.WithTimeout(ctx, recordWithin)
	defer cancel()
	c, err := f.connect(ctx)
	if err != nil {
		return v, p, err
	}
	defer c.close()
	if err := c.call(ctx, "POST", "/verdicts/"+verb, in, &v); err != nil {
		return v, p, err
	}
	return v, p, c.call(ctx, "GET", "/logs/"+url.PathEscape(v.ID)+"/proof", nil, &p)
}

// end puts the end of a recorded audit into the log, also when it was interrupted. It
// returns what failed.
func (a *auditFlags) end(ctx context.Context, f *flags, r *verdict.Report) error {
	if !a.recorded() {
		return nil
	}
	v, p, err := inLog(context.WithoutCancel(ctx), f, "register", registration(r, r.Bundle.SHA256))
	if r.Bundle.Record = v.ID; v.ID == "" {
		return &exitError{exitFailure, fmt.Sprintf("the end of the audit is not in the audit log: %v; the bundle is kept, put it there with: sallyport audit register %s", err, a.bundle)}
	}
	if err == nil {
		r.Bundle.Leaf = &p.Index
	}
	return nil
}

// leafOf says how a bundle is found in the log; empty when it is not there.
func leafOf(b *verdict.Bundle) string {
	if b.Record == "" {
		return ""
	}
	return fmt.Sprintf(", and its hash in the audit log: sallyport log proof %s", b.Record)
}

// recorded reports whether the recording's beginning and end are put into the audit log:
// where an upstream of the configuration is asked, as of audits.
func (r *recordFlags) recorded() bool {
	return r.upstream != "" || slices.ContainsFunc(r.variants, func(v string) bool { return !isAddress(v) })
}

// begin puts the beginning of a recording into the log, before anything is asked.
func (r *recordFlags) begin(ctx context.Context, f *flags, e *probe.Enrolment) error {
	if !r.recorded() {
		return nil
	}
	var asked []string
	for _, v := range e.Variants {
		facts := v.Subject.Facts()
		asked = append(asked, cmp.Or(facts.Name, facts.Host)+" for "+facts.Model)
	}
	facts := e.Variants[0].Subject.Facts()
	_, _, err := inLog(ctx, f, "begin", console.Beginning{
		Commitment: e.Commit(), Upstream: cmp.Or(facts.Name, facts.Host), Model: facts.Model, Profile: record.ProfileReference, Cap: int64(e.Cap),
		Wording: "the reference " + e.Name + " of " + e.Model + " is recorded by asking " + strings.Join(asked, ", "),
	})
	return err
}

// end puts the end of a recording into the log, with the reference where one came of it,
// also when it was interrupted. It returns what failed.
func (r *recordFlags) end(ctx context.Context, f *flags, e *probe.Enrolment, o *reference.Opened, took *verdict.Spent) error {
	if !r.recorded() {
		return nil
	}
	facts := e.Variants[0].Subject.Facts()
	g := console.Registration{
		Upstream: cmp.Or(facts.Name, facts.Host), Model: facts.Model, Commitment: e.Commit(), Profile: record.ProfileReference, Cap: took.Cap, Asked: int64(took.Queries),
	}
	g.Money, g.Spent = spent(took)
	switch {
	case o != nil:
		g.Bundle, g.Label, g.Wording = o.ID, "reference recorded", "the reference "+e.Name+" was recorded"
	case ctx.Err() != nil:
		g.Label, g.Wording = "reference not recorded", "the recording of the reference "+e.Name+" was interrupted"
	default:
		g.Label, g.Wording = "reference not recorded", "the recording of the reference "+e.Name+" failed"
	}
	if v, _, err := inLog(context.WithoutCancel(ctx), f, "register", g); v.ID == "" {
		return &exitError{exitFailure, fmt.Sprintf("the end of the recording is not in the audit log: %v", err)}
	}
	return nil
}

func auditRegister(f *flags) *cobra.Command {
	var tokenizer string
	c := &cobra.Command{
		Use: "register BUNDLE", Short: "Verify an audit's bundle and put its hash into the audit log", Args: cobra.ExactArgs(1),
		Long: `Does the audit again from its record, as verify does, and makes the hash of the bundle a leaf of
the audit log: from then on it can be proven that the bundle was there at that time, unchanged.
It changes nothing about routing. Audits of upstreams of the configuration, and those with
--register, do so themselves.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			record, sealed, err := openBundle(args[0])
			if err != nil {
				return err
			}
			if err := again(cmd, record, tokenizer); err != nil {
				return err
			}
			v, err := ask[console.Verdict](cmd.Context(), f, "POST", "/verdicts/register", registration(record.Report, sealed.SHA256))
			if err != nil {
				return err
			}
			return f.output(cmd).value(v, func() { tellVerdict(cmd, v) })
		},
	}
	c.Flags().StringVar(&tokenizer, "tokenizer", "", tokenizerUsage)
	return c
}

// registration tells of an audit what belongs to its headline: of the hypotheses that
// have its label, the one with the strongest evidence.
func registration(r *verdict.Report, sum string) console.Registration {
	g := console.Registration{
		Bundle: sum, Upstream: cmp.Or(r.Target.Name, r.Target.Host), Model: r.Target.Model, Label: string(r.Headline), Wording: r.Summary,
		Commitment: r.Commit, Profile: r.Profile, Cap: r.Spent.Cap, Asked: int64(r.Spent.Queries),
	}
	g.Money, g.Spent = spent(&r.Spent)
	if r.Reference != nil {
		g.Reference = r.Reference.ID
	}
	strongest := math.Inf(-1)
	for _, v := range r.Verdicts {
		if v.Tested && v.Label == r.Headline && v.MaxLogE > strongest {
			strongest = v.MaxLogE
			g.Null, g.Level, g.N, g.EMilli = string(v.Null), string(v.Level), int64(v.N), int64(math.Round(1000*min(v.MaxLogE, 1e6)))
		}
	}
	return g
}

// spent is what an audit spent, with the status that an exchange's money has.
func spent(s *verdict.Spent) (status string, nano int64) {
	switch {
	case s.Cost >= 0 && s.Input+s.Output == 0:
		return ledger.MoneyNone, 0
	case s.Cost >= 0:
		return ledger.MoneyPriced, s.Cost
	case s.Unknown > 0:
		return ledger.MoneyUnknown, 0
	}
	return ledger.MoneyUnpriced, 0
}
