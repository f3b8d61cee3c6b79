package app

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"sallyport/internal/auth"
	"sallyport/internal/label"
	"sallyport/internal/secret"
)

// noModelFix names the ways to a model.
const noModelFix = "start a local model server (ollama serve; llama-server; vllm serve), or export OPENAI_API_KEY, ANTHROPIC_API_KEY or GEMINI_API_KEY, or run: sallyport serve --config FILE"

// welcome tells a person what runs and what to do next. Secrets are shown to a
// terminal only; otherwise they go to files that only the owner can read.
func (a *App) welcome(ctx context.Context) error {
	w := a.opts.Notice
	data := scheme(a.config.TLS != nil) + a.DataAddr.String()
	admin := scheme(a.config.Admin.TLS != nil) + a.AdminAddr.String()
	fmt.Fprintf(w, "Sallyport %s\n  data plane  %s/v1   (OpenAI, Anthropic and Gemini clients; base URL for the last two: %s)\n  admin       %s\n", a.opts.Version, data, data, admin)
	if err := a.starterKey(ctx); err != nil {
		return err
	}
	if !a.auth.HasAdmin() {
		if err := a.show("first administrator (once, 15 minutes)", "setup-link", admin+"/setup#", a.auth.MintSetup()); err != nil {
			return err
		}
	}
	a.tellModels()
	return nil
}

func scheme(tls bool) string {
	if tls {
		return "https://"
	}
	return "http://"
}

// starterKey makes the first virtual key of an installation that has none.
func (a *App) starterKey(ctx context.Context) error {
	if len(a.auth.Keys(auth.KeyFilter{Limit: 1})) > 0 {
		return nil
	}
	_, clear, err := a.auth.NewKey(ctx, auth.KeySpec{Project: "default", Name: "starter"}, func(act auth.Act) error { return a.act("start", act) })
	if err != nil {
		return fmt.Errorf("make the first key: %w", err)
	}
	return a.show("virtual key (shown once)", "starter-key", "", clear)
}

// show prints a secret to a terminal, or writes it to a file of mode 0600.
func (a *App) show(what, file, prefix string, s secret.String) error {
	if a.opts.Terminal {
		fmt.Fprintf(a.opts.Notice, "  %s\n              %s%s\n", what, prefix, s.Reveal())
		return nil
	}
	path := a.folder.Path(file)
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("replace %s: %w", file, err)
	}
	if err := os.WriteFile(path, []byte(prefix+s.Reveal()+"\n"), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	fmt.Fprintf(a.opts.Notice, "  %s is in %s\n", what, path)
	return nil
}

// tellModels names what can be called, and what must be done before it can.
func (a *App) tellModels() {
	w, p := a.opts.Notice, a.parts.Load()
	for _, name := range slices.Sorted(maps.Keys(p.upstreams)) {
		if u := p.upstreams[name]; p.found[name] && u.Class == label.Any {
			fmt.Fprintf(w, "  found %s on %s; to use it: %s\n", name, u.Host(), confirmCommand(name))
		}
	}
	if len(p.upstreams) == 0 {
		fmt.Fprintf(w, "  no model yet. One of these gives it one:\n    ollama run llama3.2                    (beside ollama serve; or llama-server, vllm serve; then restart)\n    export OPENAI_API_KEY=...              (or ANTHROPIC_API_KEY, GEMINI_API_KEY; then restart)\n    sallyport serve --config FILE          (sallyport config sample shows one)\n")
		return
	}
	var names []string
	for _, m := range p.snapshot.Names() {
		if len(names) < 5 {
			names = append(names, string(m))
		}
	}
	if len(names) > 0 {
		fmt.Fprintf(w, "  models      %s\n", strings.Join(names, ", "))
	}
	fmt.Fprintf(w, "  try         sallyport chat \"hello\" --data %s\n", a.config.Data)
}
