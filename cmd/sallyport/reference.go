package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/evidence"
	"sallyport/internal/label"
	"sallyport/internal/probe"
	"sallyport/internal/reference"
	"sallyport/internal/verdict"
)

// evidenceSigner is the name of a key that signs.
func evidenceSigner(key ed25519.PrivateKey) string { return evidence.Signer(key) }

// signerOf is the name of the key of a data folder; empty without one.
func signerOf(key ed25519.PrivateKey) string {
	if key == nil {
		return ""
	}
	return evidenceSigner(key)
}

func referenceCommand(f *flags) *cobra.Command {
	c := &cobra.Command{Use: "reference", Short: "Recorded answers of trusted deployments, which audits compare with"}
	c.AddCommand(referenceRecord(f), referenceList(f), referenceVerify(f), referenceExport(f), referenceImport(f))
	return c
}

// recordFlags are those of one recording.
type recordFlags struct {
	endpointFlags
	name     string
	claims   string
	class    string
	reason   string
	variants []string
	lifetime time.Duration
	train    int
	bank     int
	items    int
	tools    bool
	texts    int
	numbers  int
	past     bool
	public   bool
	dress    string
	tongues  []string
	tokens   string
}

func referenceRecord(f *flags) *cobra.Command {
	var r recordFlags
	c := &cobra.Command{
		Use:   "record [URL] --model M",
		Short: "Record a reference from an endpoint that you trust",
		Long: `Asks a trusted endpoint the questions of audits many times and keeps the answers, sealed and signed.
A reference is as good as its source: the vendor's own address, or weights that you run. Give
further honest deployments of the same model with --variant, such as another engine or region:
without one, nothing is known of how far honest deployments differ, and no audit can say that an
endpoint differs by more.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := r.take(args); err != nil {
				return err
			}
			return f.record(cmd, &r)
		},
	}
	r.add(c)
	p := c.Flags()
	p.StringVar(&r.name, "name", "", "what to call it (default: the model and the date)")
	p.StringVar(&r.claims, "claims", "", "name under which audited endpoints serve the model (default: the model)")
	p.StringVar(&r.class, "class", "any", "how far the source is trusted: local, in-region, vetted or any")
	p.StringVar(&r.reason, "reason", "", "why the source is trusted; needed where the class is any")
	p.StringArrayVar(&r.variants, "variant", nil, "another honest deployment: URL or the name of an upstream, or either with ,MODEL; may be repeated")
	p.DurationVar(&r.lifetime, "valid", 30*24*time.Hour, "how long the reference holds")
	p.IntVar(&r.train, "train", 60, "answers to each question that alphabets are made from")
	p.IntVar(&r.bank, "bank", 240, "answers to each question that audits draw from")
	p.IntVar(&r.items, "items", 1000, "generated questions that its accuracy is measured by, besides those that choose them; 0 leaves them out")
	p.BoolVar(&r.tools, "tools", false, "record also which of several like tools the model calls")
	p.IntVar(&r.texts, "texts", 0, "continuations of each of some texts to record; 10 do, 0 leaves them out")
	p.IntVar(&r.numbers, "numbers", 0, "questions for a number to which the model sticks to an answer, right or wrong; 100 do, 0 leaves them out")
	p.BoolVar(&r.past, "past", false, "record also what shows later that this very endpoint has changed")
	p.StringVar(&r.dress, "dress", probe.PlainDress, "how questions look, here and in the audits: plain, or as ordinary work, for relays that know probes")
	p.StringSliceVar(&r.tongues, "languages", nil, "languages of the word questions, of en, ru, zh and ar (default: all; dressed, en)")
	p.StringVar(&r.tokens, "tokenizer", "", "file of the model's vocabulary (tokenizer.json, tokenizer.model or GGUF); the reference keeps its SHA-256, and says whether the endpoint counts by it")
	p.BoolVar(&r.public, "public", false, "the reference will be published, so it weighs nothing in verdicts")
	return c
}

// record records one reference and stores it.
func (f *flags) record(cmd *cobra.Command, r *recordFlags) error {
	key, shelf, err := f.evidence()
	if err != nil {
		return err
	}
	if key == nil {
		dir, _ := f.dataDir()
		return &exitError{exitUsage, "the folder " + dir + " holds no data of Sallyport, whose key would sign the reference; name another one with --data, or start one with: sallyport serve"}
	}
	if r.claims == "" {
		r.claims = r.model
	}
	if r.name == "" {
		r.name = fileName(r.claims) + "-" + time.Now().UTC().Format("20060102")
	}
	if err := reference.CheckName(r.name); err != nil {
		return &exitError{exitUsage, err.Error()}
	}
	if r.train < 20 || r.train > 10_000 || r.bank < 16 || r.bank > 100_000 || r.items < 0 || r.items > 100_000 || r.texts < 0 || r.texts == 1 || r.texts > 1000 || r.numbers != 0 && (r.numbers < 40 || r.numbers > 1000) || r.lifetime < time.Hour || r.lifetime > 366*24*time.Hour {
		return &exitError{exitUsage, "--train is 20 to 10000, --bank 16 to 100000, --items at most 100000, --texts 0 or 2 to 1000, --numbers 0 or 40 to 1000, and --valid an hour to a year"}
	}
	if r.dress == probe.WorkDress && len(r.tongues) == 0 {
		r.tongues = []string{"en"} // what no traffic is in stands out
	}
	if err := probe.CheckDress(r.dress, r.tongues); err != nil {
		return &exitError{exitUsage, "--dress, --languages: " + err.Error()}
	}
	e, close, err := r.enrolment(cmd, f)
	if err != nil {
		return err
	}
	defer close()
	if err := r.begin(cmd.Context(), f, e); err != nil {
		return &exitError{exitFailure, "nothing was asked: it cannot be recorded: " + err.Error()}
	}
	var took verdict.Spent
	e.Took = func(s verdict.Spent) { took = s }
	opened, err := r.enrol(cmd.Context(), e, key, shelf)
	unrecorded := r.end(cmd.Context(), f, e, opened, &took)
	if err != nil {
		return errors.Join(err, unrecorded)
	}
	if err := f.output(cmd).value(describe(opened), func() { tellReference(cmd, describe(opened)) }); err != nil {
		return err
	}
	return unrecorded
}

// enrol asks the sources and keeps what they answered.
func (r *recordFlags) enrol(ctx context.Context, e *probe.Enrolment, key ed25519.PrivateKey, shelf *reference.Shelf) (*reference.Opened, error) {
	ref, err := probe.Enrol(ctx, *e)
	if err != nil {
		return nil, err
	}
	ref.Public = r.public
	var sealed bytes.Buffer
	opened, err := reference.Seal(&sealed, key, ref)
	if err != nil {
		return nil, err
	}
	if err := shelf.Save(opened); err != nil {
		return nil, err
	}
	return opened, nil
}

// enrolment prepares the sources.
func (r *recordFlags) enrolment(cmd *cobra.Command, f *flags) (*probe.Enrolment, func(), error) {
	class, err := label.ParseClass(r.class)
	if err != nil {
		return nil, nil, &exitError{exitUsage, "--class is local, in-region, vetted or any"}
	}
	var ends []*probe.Endpoint
	closeAll := func() {
		for _, end := range ends {
			end.Close()
		}
	}
	e := &probe.Enrolment{Program: version(), Name: r.name, Model: r.claims, Lifetime: r.lifetime, Train: r.train, Bank: r.bank, Items: r.items, Tools: r.tools, Texts: r.texts, Numbers: r.numbers, Past: r.past, Dress: r.dress, Languages: r.tongues, Parallel: r.parallel, Progress: recordProgress(cmd)}
	if e.Tokenizer, err = readTokenizer(r.tokens); err != nil {
		return nil, nil, err
	}
	if _, err := rand.Read(e.Seed[:]); err != nil {
		return nil, nil, fmt.Errorf("draw a seed: %w", err)
	}
	first := r.url + "," + r.model
	if r.upstream != "" {
		first = r.upstream + "," + r.model
	}
	for i, source := range append([]string{first}, r.variants...) {
		end, err := r.named(cmd, f, source)
		if err != nil {
			closeAll()
			return nil, nil, err
		}
		ends = append(ends, end)
		facts := end.Facts()
		trusted := max(class, end.Class())
		if trusted == label.Any && !facts.Official && r.reason == "" {
			closeAll()
			return nil, nil, &exitError{exitUsage, "why is " + visible(facts.Host) + " trusted? Say it with --reason; every verdict will show it. Or give its --class"}
		}
		name := facts.Host
		if i > 0 {
			name = fmt.Sprintf("%s (%d)", facts.Host, i+1)
		}
		e.Variants = append(e.Variants, probe.Source{Subject: end, Variant: reference.Variant{
			Name: name, Host: facts.Host, Kind: facts.Kind, Class: trusted.String(), Official: facts.Official, Reason: r.reason,
		}})
	}
	of, limit, err := r.price(e.Variants[0].Kind)
	if err != nil {
		closeAll()
		return nil, nil, err
	}
	e.Price, e.Cap = of, limit
	return e, closeAll, nil
}

// recordProgress tells on a terminal how far a recording is.
func recordProgress(cmd *cobra.Command) func(done, of int, what string) {
	file, is := cmd.ErrOrStderr().(*os.File)
	if !is || !terminal(file) {
		return nil
	}
	started := time.Now()
	return func(done, of int, what string) {
		left := time.Duration(float64(time.Since(started)) / float64(done) * float64(of-done))
		fmt.Fprintf(file, "\r\x1b[K%d of %d answers, about %s left (%s)", done, of, left.Round(time.Second), what)
		if done == of {
			fmt.Fprint(file, "\r\x1b[K")
		}
	}
}

// fileName is a model's name as part of a file's.
func fileName(model string) string {
	name := strings.Map(func(r rune) rune {
		if r < 128 && (r == '.' || r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z') {
			return r
		}
		return '-'
	}, model)
	return strings.TrimLeft(name[:min(len(name), 80)], ".-_")
}

// described is a reference as it is listed.
type described struct {
	Name     string    `json:"name"`
	ID       string    `json:"id"`
	Model    string    `json:"model"`
	Host     string    `json:"host"`
	Class    string    `json:"class"`
	Variants int       `json:"variants"`
	Cells    int       `json:"cells"`
	Of       int       `json:"cells_asked"`
	Lasting  int       `json:"lasting"`          // word questions that the bank of an audit lasts for
	Solved   int       `json:"solved,omitempty"` // of so many generated items
	Items    int       `json:"items,omitempty"`
	Notes    []string  `json:"notes,omitempty"`
	Recorded time.Time `json:"recorded"`
	Expires  time.Time `json:"expires"`
	Protocol string    `json:"protocol"`
	Dress    string    `json:"dress"`
	Signer   string    `json:"signer,omitempty"`
	Imported bool      `json:"imported,omitempty"`
	Public   bool      `json:"public,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	State    string    `json:"state"`
}

func describe(o *reference.Opened) described {
	d := described{
		Name: o.Name, ID: o.ID, Model: o.Model, Host: o.Variants[0].Host, Class: o.Variants[0].Class, Variants: len(o.Variants), Of: len(o.Words),
		Recorded: o.Recorded, Expires: o.Expires, Protocol: o.Protocol.Hash(), Dress: o.Protocol.Dress, Lasting: probe.Lasting(o), Signer: o.Signer, Imported: o.Imported, Public: o.Public, Reason: o.Variants[0].Reason, Notes: o.Notes,
		State: "holds",
	}
	for _, c := range o.Words {
		if len(c.Bank[0]) > 0 {
			d.Cells++
		}
	}
	if o.Accuracy != nil {
		d.Solved, d.Items = o.Accuracy.Total(0)
	}
	if stale := o.Stale(time.Now()); stale != "" {
		d.State = "expired"
	}
	return d
}

func tellReference(cmd *cobra.Command, d described) {
	items := "none"
	if d.Items > 0 {
		items = fmt.Sprintf("%d of %d solved", d.Solved, d.Items)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "name      %s\nid        %s\nmodel     %s\nsource    %s (%s)\nvariants  %d\ncells     %d of %d useful, for %d questions of an audit\nitems     %s\nrecorded  %s\nexpires   %s\nprotocol  %s\ndress     %s\nsigner    %s\nstate     %s\n",
		visible(d.Name), d.ID, visible(d.Model), visible(d.Host), d.Class, d.Variants, d.Cells, d.Of, d.Lasting, items, stamp(d.Recorded), stamp(d.Expires), d.Protocol, visible(d.Dress), orNobody(d.Signer), d.State)
	for _, note := range d.Notes {
		fmt.Fprintf(cmd.OutOrStdout(), "note      %s\n", visible(note))
	}
}

func referenceList(f *flags) *cobra.Command {
	return &cobra.Command{
		Use: "ls", Short: "List references", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, shelf, err := f.evidence()
			if err != nil {
				return err
			}
			files, err := shelf.List()
			if err != nil {
				return err
			}
			all := []described{}
			for _, file := range files {
				if file.Opened == nil {
					all = append(all, described{Name: file.Path, State: "broken: " + file.Err.Error()})
					continue
				}
				all = append(all, describe(file.Opened))
			}
			o := f.output(cmd)
			return lines(o, all, func() {
				var rows [][]string
				for _, d := range all {
					rows = append(rows, []string{d.Name, d.ID[:min(len(d.ID), 12)], d.Model, d.Host, d.Class, fmt.Sprint(d.Variants), d.Recorded.UTC().Format(time.DateOnly), d.Expires.UTC().Format(time.DateOnly), d.State})
				}
				o.table([]string{"NAME", "ID", "MODEL", "SOURCE", "CLASS", ">VARIANTS", "RECORDED", "EXPIRES", "STATE"}, rows)
			})
		},
	}
}

// find opens the reference that a verb names.
func (f *flags) find(name string) (*reference.Opened, *reference.Shelf, error) {
	_, shelf, err := f.evidence()
	if err != nil {
		return nil, nil, err
	}
	o, err := shelf.Find(name)
	if err != nil {
		return nil, nil, broken(err)
	}
	return o, shelf, nil
}

func referenceVerify(f *flags) *cobra.Command {
	return &cobra.Command{
		Use: "verify NAME", Short: "Check every byte of a reference, and whether it still holds", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, _, err := f.find(args[0])
			if err != nil {
				return err
			}
			d := describe(o)
			if err := f.output(cmd).value(d, func() { tellReference(cmd, d) }); err != nil {
				return err
			}
			if stale := o.Stale(time.Now()); stale != "" {
				return &exitError{exitFinding, stale}
			}
			return nil
		},
	}
}

func referenceExport(f *flags) *cobra.Command {
	var out string
	c := &cobra.Command{
		Use: "export NAME --out FILE", Short: "Copy a sealed reference to a file, for somebody else", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, _, err := f.find(args[0])
			if err != nil {
				return err
			}
			if err := os.WriteFile(out, o.File, 0o600); err != nil {
				return fmt.Errorf("export the reference: %w", err)
			}
			d := describe(o)
			return f.output(cmd).value(d, func() { tellReference(cmd, d) })
		},
	}
	c.Flags().StringVar(&out, "out", "", "file to write (required)")
	_ = c.MarkFlagRequired("out")
	return c
}

func referenceImport(f *flags) *cobra.Command {
	var signer string
	c := &cobra.Command{
		Use: "import FILE --signer KEY", Short: "Take over a reference that somebody you trust recorded", Args: cobra.ExactArgs(1),
		Long: `Takes over a sealed reference whose signer you know: the key is what "sallyport reference ls --json" shows where it was recorded.
A reference from elsewhere raises at most a warning; it never takes an endpoint out of routing.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			_, shelf, err := f.evidence()
			if err != nil {
				return err
			}
			o, err := reference.Load(args[0])
			if err != nil {
				return broken(err)
			}
			if err := shelf.Import(o, signer); err != nil {
				return &exitError{exitFinding, err.Error()}
			}
			d := describe(o)
			return f.output(cmd).value(d, func() { tellReference(cmd, d) })
		},
	}
	c.Flags().StringVar(&signer, "signer", "", "key of whoever recorded it (required)")
	_ = c.MarkFlagRequired("signer")
	return c
}
