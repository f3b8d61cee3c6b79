package main

import (
	"fmt"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"sallyport/internal/console"
	"sallyport/internal/price"
	"sallyport/internal/record"
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
						stamp(v.Time), v.ID, v.Upstream, v.Model, did(&v), concluded(&v), v.Level, strconv.FormatFloat(v.LogE, 'f', 2, 64), count(v.N), asked(&v), cost(&v), v.Actor, v.Reason,
					})
				}
				o.table([]string{"TIME", "VERDICT", "UPSTREAM", "MODEL", "ACT", "LABEL", "LEVEL", ">LOG10 E", ">N", ">ASKED", ">USD", "BY", "REASON"}, rows)
			})
		},
	}
	p := c.Flags()
	p.StringVar(&upstream, "upstream", "", "only this upstream's")
	p.StringVar(&model, "model", "", "only this model's, by the upstream's name of it")
	p.IntVarP(&limit, "limit", "n", 50, "how many, at most 1000")
	return c
}

// did is the act of a verdict. A reference is recorded, not audited.
func did(v *console.Verdict) string {
	switch {
	case v.Profile != record.ProfileReference:
		return string(v.Act)
	case v.Act == record.ActBegin:
		return "begin record"
	}
	return "record"
}

// concluded is the label of a verdict; a beginning has none, and may have no end.
func concluded(v *console.Verdict) string {
	if v.Unfinished {
		return "unfinished"
	}
	return v.Label
}

// asked are the questions of an audit at its end.
func asked(v *console.Verdict) string {
	if v.Act != record.ActAudit {
		return ""
	}
	return count(v.Asked)
}

// cost is what an audit spent, or may spend at most.
func cost(v *console.Verdict) string {
	switch {
	case v.Spent != nil:
		return price.Nano(*v.Spent).String()
	case v.Unfinished && v.Cap > 0:
		return "at most " + price.Nano(v.Cap).String()
	}
	return v.Money
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
