package main

import (
	"cmp"
	"fmt"
	"math"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"sallyport/internal/console"
	"sallyport/internal/verdict"
)

func auditList(f *flags) *cobra.Command {
	var upstream, model string
	var limit int
	c := &cobra.Command{
		Use: "ls", Short: "List verdicts and what was decided about them, newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q := url.Values{"upstream": {upstream}, "model": {model}, "limit": {strconv.Itoa(limit)}}
			vs, err := ask[[]console.Verdict](cmd.Context(), f, "GET", "/verdicts?"+q.Encode(), nil)
			if err != nil {
				return err
			}
			o := f.output(cmd)
			return lines(o, vs, func() {
				var rows [][]string
				for _, v := range vs {
					rows = append(rows, []string{
						stamp(v.Time), v.ID, v.Upstream, v.Model, string(v.Act), v.Label, v.Level, strconv.FormatFloat(v.LogE, 'f', 2, 64), count(v.N), v.Actor, v.Reason,
					})
				}
				o.table([]string{"TIME", "VERDICT", "UPSTREAM", "MODEL", "ACT", "LABEL", "LEVEL", ">LOG10 E", ">N", "BY", "REASON"}, rows)
			})
		},
	}
	p := c.Flags()
	p.StringVar(&upstream, "upstream", "", "only this upstream's")
	p.StringVar(&model, "model", "", "only this model's, by the upstream's name of it")
	p.IntVarP(&limit, "limit", "n", 50, "how many, at most 1000")
	return c
}

func auditOverride(f *flags) *cobra.Command {
	return auditOverrule(f, "override", "Let a model of an upstream be used again although its verdict stands",
		`Ends what a verdict did to a model of an upstream, at once, although the verdict's evidence
stands. Who did so and why is a leaf of the audit log for good.`)
}

func auditRelease(f *flags) *cobra.Command {
	return auditOverrule(f, "release", "Let a model of an upstream be used again because its verdict's reason is gone",
		`Ends what a verdict did to a model of an upstream, at once, because its reason is gone, as after a
fresh audit. Who did so and why is a leaf of the audit log for good.`)
}

func auditOverrule(f *flags, verb, short, long string) *cobra.Command {
	var want console.Overruling
	c := &cobra.Command{
		Use: verb + " UPSTREAM --model M --reason TEXT", Short: short, Long: long, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			want.Upstream = args[0]
			v, err := ask[console.Verdict](cmd.Context(), f, "POST", "/verdicts/"+verb, want)
			if err != nil {
				return err
			}
			return f.output(cmd).value(v, func() { tellVerdict(cmd, v) })
		},
	}
	c.Flags().StringVar(&want.Model, "model", "", "the upstream's name of the model (required)")
	c.Flags().StringVar(&want.Reason, "reason", "", "why; kept in the log for good (required)")
	_ = c.MarkFlagRequired("model")
	_ = c.MarkFlagRequired("reason")
	return c
}

func tellVerdict(cmd *cobra.Command, v console.Verdict) {
	w := cmd.OutOrStdout()
	fmt.Fprintf(w, "verdict   %s\nact       %s\nupstream  %s\nmodel     %s\nlabel     %s\n", v.ID, v.Act, visible(v.Upstream), visible(v.Model), visible(v.Label))
	if v.Bundle != "" {
		fmt.Fprintf(w, "bundle    %s\n", visible(v.Bundle))
	}
	fmt.Fprintf(w, "%s; its proof: sallyport log proof %s\n", visible(v.Wording), v.ID)
}

func auditRegister(f *flags) *cobra.Command {
	var tokenizer string
	c := &cobra.Command{
		Use: "register BUNDLE", Short: "Verify an audit's bundle and put its hash into the audit log", Args: cobra.ExactArgs(1),
		Long: `Does the audit again from its record, as verify does, and makes the hash of the bundle a leaf of
the audit log: from then on it can be proven that the bundle was there at that time, unchanged.
It changes nothing about routing.`,
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
	}
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
