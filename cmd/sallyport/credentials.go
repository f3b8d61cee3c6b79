package main

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/console"
	"sallyport/internal/identity"
)

func keysCommand(f *flags) *cobra.Command {
	c := &cobra.Command{Use: "keys", Short: "Virtual keys: what clients use instead of a vendor's key"}
	c.AddCommand(keysNew(f), keysList(f), keysShow(f), keysRotate(f), keysRevoke(f))
	return c
}

func keysNew(f *flags) *cobra.Command {
	var want console.NewKey
	var models string
	c := &cobra.Command{
		Use: "new --project P", Short: "Make a key; it is shown once", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for m := range strings.SplitSeq(models, ",") {
				if m = strings.TrimSpace(m); m != "" {
					want.Models = append(want.Models, identity.Model(m))
				}
			}
			f.founds = true
			k, err := ask[console.Key](cmd.Context(), f, "POST", "/keys", want)
			if err != nil {
				return err
			}
			return f.output(cmd).value(k, func() { tellKey(cmd, k) })
		},
	}
	p := c.Flags()
	p.StringVar((*string)(&want.Project), "project", "", "project that its spending belongs to (required)")
	p.StringVar(&want.Name, "name", "", "what to call it")
	p.StringVar(&models, "models", "", "public model names it may use, separated by commas (default all)")
	p.StringVar(&want.Expires, "expires", "", "how long it is valid, such as 12h or 30d (default 90d)")
	p.IntVar(&want.Slots, "concurrency", 0, "requests that may run at the same time (default: the configured number)")
	_ = c.MarkFlagRequired("project")
	return c
}

func tellKey(cmd *cobra.Command, k console.Key) {
	w := cmd.OutOrStdout()
	if k.Key != "" {
		fmt.Fprintf(w, "key      %s\n         shown once; keep it in a password manager\n", k.Key)
	}
	fmt.Fprintf(w, "id       %s\nproject  %s\nname     %s\nmodels   %s\nstate    %s\nexpires  %s\n",
		k.ID, visible(string(k.Project)), visible(k.Name), modelNames(k.Models), k.State, stamp(k.Expires))
	if k.Overlap != nil {
		fmt.Fprintf(w, "overlap  the former key works until %s\n", stamp(*k.Overlap))
	}
}

func modelNames(ms []identity.Model) string {
	if len(ms) == 0 {
		return "all"
	}
	names := make([]string, len(ms))
	for i, m := range ms {
		names[i] = visible(string(m))
	}
	return strings.Join(names, ", ")
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

func keysList(f *flags) *cobra.Command {
	var project string
	c := &cobra.Command{
		Use: "ls", Short: "List keys", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ks, err := ask[[]console.Key](cmd.Context(), f, "GET", "/keys?project="+url.QueryEscape(project), nil)
			if err != nil {
				return err
			}
			o := f.output(cmd)
			return lines(o, ks, func() {
				var rows [][]string
				for _, k := range ks {
					rows = append(rows, []string{string(k.ID), string(k.Project), k.Name, string(k.State), stamp(k.Expires), modelNames(k.Models)})
				}
				o.table([]string{"ID", "PROJECT", "NAME", "STATE", "EXPIRES", "MODELS"}, rows)
			})
		},
	}
	c.Flags().StringVar(&project, "project", "", "only this project's")
	return c
}

func keysShow(f *flags) *cobra.Command {
	return keyVerb(f, "show ID", "Show one key", "GET", "", func(*cobra.Command) any { return nil })
}

func keysRotate(f *flags) *cobra.Command {
	var want console.RotateKey
	c := keyVerb(f, "rotate ID", "Give a key a new secret; the former one works on for the overlap", "POST", "/rotate", func(*cobra.Command) any { return want })
	c.Flags().StringVar(&want.Overlap, "overlap", "", "how long the former secret still works (default 24h)")
	c.Flags().BoolVar(&want.AtOnce, "at-once", false, "end the former secret now, as after a leak")
	return c
}

func keysRevoke(f *flags) *cobra.Command {
	return keyVerb(f, "revoke ID", "End a key for good", "POST", "/revoke", func(*cobra.Command) any { return nil })
}

// keyVerb is a verb about one key.
func keyVerb(f *flags, use, short, method, path string, body func(*cobra.Command) any) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			k, err := ask[console.Key](cmd.Context(), f, method, "/keys/"+url.PathEscape(args[0])+path, body(cmd))
			if err != nil {
				return err
			}
			return f.output(cmd).value(k, func() { tellKey(cmd, k) })
		},
	}
}

func adminCommand(f *flags) *cobra.Command {
	c := &cobra.Command{Use: "admin", Short: "Administrators of the gateway"}
	c.AddCommand(adminNew(f), adminList(f), adminRevoke(f))
	return c
}

func adminNew(f *flags) *cobra.Command {
	var want console.NewAdmin
	c := &cobra.Command{
		Use: "new --name N --role R", Short: "Make an administrator; the credential is shown once", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.founds = true
			a, err := ask[console.Admin](cmd.Context(), f, "POST", "/admins", want)
			if err != nil {
				return err
			}
			return f.output(cmd).value(a, func() { tellAdmin(cmd, a) })
		},
	}
	c.Flags().StringVar(&want.Name, "name", "", "who it is (required)")
	c.Flags().StringVar((*string)(&want.Role), "role", "admin", "admin, operator or auditor (read only)")
	c.Flags().StringVar(&want.Expires, "expires", "", "how long it is valid, such as 30d (default 365d)")
	_ = c.MarkFlagRequired("name")
	return c
}

func tellAdmin(cmd *cobra.Command, a console.Admin) {
	w := cmd.OutOrStdout()
	if a.Credential != "" {
		fmt.Fprintf(w, "credential  %s\n            shown once; keep it in a password manager\n", a.Credential)
	}
	fmt.Fprintf(w, "id          %s\nname        %s\nrole        %s\nstate       %s\nexpires     %s\n", a.ID, visible(a.Name), a.Role, a.State, stamp(a.Expires))
}

func adminList(f *flags) *cobra.Command {
	return &cobra.Command{
		Use: "ls", Short: "List administrators", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			as, err := ask[[]console.Admin](cmd.Context(), f, "GET", "/admins", nil)
			if err != nil {
				return err
			}
			o := f.output(cmd)
			return lines(o, as, func() {
				var rows [][]string
				for _, a := range as {
					rows = append(rows, []string{string(a.ID), a.Name, string(a.Role), string(a.State), stamp(a.Expires)})
				}
				o.table([]string{"ID", "NAME", "ROLE", "STATE", "EXPIRES"}, rows)
			})
		},
	}
}

func adminRevoke(f *flags) *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use: "revoke ID", Short: "End an administrator's credential for good", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := ask[console.Admin](cmd.Context(), f, "POST", "/admins/"+url.PathEscape(args[0])+"/revoke", map[string]bool{"force": force})
			if err != nil {
				return err
			}
			return f.output(cmd).value(a, func() { tellAdmin(cmd, a) })
		},
	}
	c.Flags().BoolVar(&force, "force", false, "even the last one")
	return c
}
