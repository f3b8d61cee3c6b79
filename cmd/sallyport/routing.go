package main

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"sallyport/internal/auth"
	"sallyport/internal/config"
	"sallyport/internal/console"
)

func modelsCommand(f *flags) *cobra.Command {
	c := &cobra.Command{Use: "models", Short: "Public models"}
	c.AddCommand(&cobra.Command{
		Use: "ls", Short: "List models with their targets and prices", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ms, err := ask[[]console.Model](cmd.Context(), f, "GET", "/models", nil)
			if err != nil {
				return err
			}
			o := f.output(cmd)
			return lines(o, ms, func() {
				var rows [][]string
				for _, m := range ms {
					rows = append(rows, []string{m.Name, m.Price, strings.Join(m.Targets, ", ")})
				}
				o.table([]string{"MODEL", ">USD PER MILLION IN / OUT", "TARGETS"}, rows)
			})
		},
	})
	return c
}

func upstreamsCommand(f *flags) *cobra.Command {
	c := &cobra.Command{Use: "upstreams", Short: "Upstreams"}
	c.AddCommand(upstreamsList(f), upstreamsTest(f), upstreamsConfirm(f))
	return c
}

func upstreamsList(f *flags) *cobra.Command {
	return &cobra.Command{
		Use: "ls", Short: "List upstreams with their class", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			us, err := ask[[]console.Upstream](cmd.Context(), f, "GET", "/upstreams", nil)
			if err != nil {
				return err
			}
			o := f.output(cmd)
			return lines(o, us, func() {
				var rows [][]string
				for _, u := range us {
					origin := "configured"
					if u.Found {
						origin = "found here"
					}
					rows = append(rows, []string{u.Name, u.Kind, u.Host, u.Class.String(), count(int64(u.Models)), origin, u.Quarantined})
				}
				o.table([]string{"UPSTREAM", "KIND", "HOST", "CLASS", ">MODELS", "ORIGIN", "QUARANTINED"}, rows)
			})
		},
	}
}

func upstreamsTest(f *flags) *cobra.Command {
	return &cobra.Command{
		Use: "test NAME", Short: "Ask an upstream for its models", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := ask[console.UpstreamTest](cmd.Context(), f, "POST", "/upstreams/"+url.PathEscape(args[0])+"/test", nil)
			if err != nil {
				return err
			}
			o := f.output(cmd)
			err = o.value(t, func() {
				if t.OK {
					fmt.Fprintf(o.out, "%s answers in %d ms and offers %d models\n", visible(t.Name), t.Millis, t.Models)
				}
			})
			if err == nil && !t.OK {
				return &exitError{exitUnreachable, t.Error}
			}
			return err
		},
	}
}

func upstreamsConfirm(f *flags) *cobra.Command {
	var class string
	c := &cobra.Command{
		Use: "confirm NAME --class local", Short: "Say that a model server found on this machine is yours", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			_, err := ask[map[string]string](cmd.Context(), f, "POST", "/upstreams/"+url.PathEscape(args[0])+"/confirm", map[string]string{"class": class})
			if err != nil {
				return err
			}
			return f.output(cmd).value(map[string]string{"upstream": args[0], "class": class}, func() {
				fmt.Fprintf(cmd.OutOrStdout(), "%s is now of class %s\n", visible(args[0]), class)
			})
		},
	}
	c.Flags().StringVar(&class, "class", "", "local, or any to take it back (required)")
	_ = c.MarkFlagRequired("class")
	return c
}

func policyCommand(f *flags) *cobra.Command {
	var model, label string
	explain := &cobra.Command{
		Use: "explain --model M", Short: "Which upstreams may carry a request, in which order, and why", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q := url.Values{"model": {model}, "label": {label}}
			e, err := ask[console.Explanation](cmd.Context(), f, "GET", "/policy/explain?"+q.Encode(), nil)
			if err != nil {
				return err
			}
			o := f.output(cmd)
			return o.value(e, func() {
				fmt.Fprintf(o.out, "model %s, label %s\n", visible(e.Model), e.Label)
				var rows [][]string
				for i, t := range e.Targets {
					rows = append(rows, []string{count(int64(i + 1)), t.Upstream, t.Model, t.Class.String(), t.Effect, strings.Join(t.Rules, ", ")})
				}
				o.table([]string{">#", "UPSTREAM", "MODEL", "CLASS", "DECISION", "RULES"}, rows)
				for _, t := range e.Targets {
					if t.Fix != "" {
						fmt.Fprintf(o.out, "if %s is yours: %s\n", visible(t.Upstream), visible(t.Fix))
					}
				}
			})
		},
	}
	explain.Flags().StringVar(&model, "model", "", "public model name (required)")
	explain.Flags().StringVar(&label, "label", "", "label of the data (default: the default label)")
	_ = explain.MarkFlagRequired("model")
	c := &cobra.Command{Use: "policy", Short: "What may go where"}
	c.AddCommand(explain)
	return c
}

func doctorCommand(f *flags) *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "Look for what usually goes wrong", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cs, err := ask[[]console.Check](cmd.Context(), f, "GET", "/doctor", nil)
			if err != nil {
				return err
			}
			o := f.output(cmd)
			bad := 0
			var rows [][]string
			for _, c := range cs {
				state := "ok"
				if !c.OK {
					state = "FINDING"
					bad++
				}
				rows = append(rows, []string{state, c.Name, c.Detail, c.Fix})
			}
			if err := lines(o, cs, func() { o.table([]string{"", "CHECK", "DETAIL", "NEXT COMMAND"}, rows) }); err != nil {
				return err
			}
			if bad > 0 {
				return &exitError{exitFinding, ""}
			}
			return nil
		},
	}
}

// checked is what config check found, as JSON.
type checked struct {
	File     string    `json:"file"`
	Problems []problem `json:"problems"`
}

type problem struct {
	File   string `json:"file"`
	Line   int    `json:"line"` // 0 when no place applies
	Column int    `json:"column"`
	Field  string `json:"field"`
	What   string `json:"what"`
	Fix    string `json:"fix"`
}

func configCheck(f *flags) *cobra.Command {
	return &cobra.Command{
		Use: "check FILE", Short: "Report every problem of a configuration file", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			_, err := config.Load(args[0])
			found, ok := errors.AsType[config.Errors](err)
			if err != nil && !ok {
				return err
			}
			list := checked{args[0], []problem{}}
			for _, p := range found {
				list.Problems = append(list.Problems, problem(p))
			}
			o := f.output(cmd)
			err = o.value(list, func() {
				for _, p := range found {
					fmt.Fprintln(o.out, visible(p.String()))
				}
				if len(found) == 0 {
					fmt.Fprintln(o.out, "no problem")
				}
			})
			if err == nil && len(found) > 0 {
				return &exitError{exitFailure, fmt.Sprintf("%d problems in %s; a sample with every field: sallyport config sample", len(found), args[0])}
			}
			return err
		},
	}
}

func configCommand(f *flags) *cobra.Command {
	c := &cobra.Command{Use: "config", Short: "The configuration file"}
	c.AddCommand(configCheck(f),
		&cobra.Command{
			Use: "schema", Short: "Print the JSON Schema of the configuration file", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				_, err := cmd.OutOrStdout().Write(config.Schema())
				return err
			},
		},
		&cobra.Command{
			Use: "sample", Short: "Print a sample that mentions every field", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				_, err := cmd.OutOrStdout().Write(config.Sample())
				return err
			},
		},
	)
	return c
}

func secretCommand(f *flags) *cobra.Command {
	c := &cobra.Command{Use: "secret", Short: "The master secret"}
	c.AddCommand(&cobra.Command{
		Use: "rotate", Short: "Put a new version of the master secret in force", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := ask[console.Rotation](cmd.Context(), f, "POST", "/secret/rotate", nil)
			if err != nil {
				return err
			}
			return f.output(cmd).value(r, func() {
				fmt.Fprintf(cmd.OutOrStdout(), "version %d is in force for %d credentials; %d move to it when they are next used\n", r.Version, r.Rows, r.OldLookups)
			})
		},
	}, secretNew(), secretDrop(f), &cobra.Command{
		Use: "reseal", Short: "Accept the stored credentials as they are, after looking at keys ls and admin ls", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := ask[auth.Resealed](cmd.Context(), f, "POST", "/credentials/reseal", nil)
			if err != nil {
				return err
			}
			return f.output(cmd).value(r, func() {
				fmt.Fprintf(cmd.OutOrStdout(), "%d credentials are sealed as they are; %d of them were edited and stay refused, %d were revoked\n", r.Rows, r.Damaged, r.Revoked)
			})
		},
	})
	return c
}

func secretNew() *cobra.Command {
	version := int64(1)
	c := &cobra.Command{
		Use: "new", Short: "Print a fresh master secret, to be kept where secret: in the configuration points", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), auth.NewSecretText(version).Reveal())
			return err
		},
	}
	c.Flags().Int64Var(&version, "version", 1, "its version: one more than the newest in use, before a rotation")
	return c
}

func secretDrop(f *flags) *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use: "drop VERSION", Short: "Forget an old version of the master secret", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			list, err := ask[[]string](cmd.Context(), f, "POST", "/secret/drop/"+url.PathEscape(args[0]), map[string]bool{"force": force})
			if err != nil {
				return err
			}
			return f.output(cmd).value(list, func() {
				fmt.Fprintf(cmd.OutOrStdout(), "dropped; %d credentials ended: %s\n", len(list), visible(strings.Join(list, ", ")))
			})
		},
	}
	c.Flags().BoolVar(&force, "force", false, "even if credentials depend on it: they end")
	return c
}
