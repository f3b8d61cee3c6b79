package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"sallyport/internal/app"
	"sallyport/internal/config"
	"sallyport/internal/exam"
	"sallyport/internal/label"
	"sallyport/internal/price"
	"sallyport/internal/probe"
	"sallyport/internal/reference"
	"sallyport/internal/report"
	vocabulary "sallyport/internal/tokens"
	"sallyport/internal/verdict"
)

// auditFlags are those of one audit.
type auditFlags struct {
	endpointFlags
	profile   string
	reference string
	secondKey string
	tolerance float64
	quality   string
	trusted   string
	trustKey  string
	why       string
	html      string
	bundle    string
	traffic   string
	tokenizer string
	pace      time.Duration
	resume    string
	register  bool
	from      *probe.Record // that is gone on with
	signer    string        // of its bundle
}

func auditCommand(f *flags) *cobra.Command {
	var a auditFlags
	c := &cobra.Command{
		Use:   "audit [URL] --model M",
		Short: "Ask an endpoint questions that show what it serves",
		Long: `Asks an endpoint questions and says what the answers are evidence for, with its error rate.
It needs no gateway: an address and a key will do. With a reference of the model (see:
sallyport reference) it also compares how answers are distributed; without one, identity is
not tested. Exit code 3 is a finding, 5 an endpoint that cannot be reached.

Audit only endpoints that you are entitled to test.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.take(args); err != nil {
				return err
			}
			if err := a.reopen(cmd); err != nil {
				return err
			}
			return f.audit(cmd, &a)
		},
	}
	a.add(c)
	p := c.Flags()
	_ = p.SetAnnotation("model", cobra.BashCompOneRequiredFlag, []string{"false"}) // a bundle says it as well
	p.StringVar(&a.profile, "profile", "quick", "quick: under a minute; vet: before an endpoint is used")
	p.StringVar(&a.reference, "reference", "", "name, id or file of the reference (default: the newest of the model); none for no reference")
	p.StringVar(&a.trusted, "trusted", "", "a live reference that is asked as well: URL or upstream, or either with ,MODEL")
	p.StringVar(&a.trustKey, "trusted-key", "", "its credential, of an address: env:NAME or file:PATH")
	p.StringVar(&a.why, "reason", "", "why the live reference is trusted, where it is not the vendor's own address or a trusted upstream")
	p.StringVar(&a.secondKey, "second-key", "", "credential of another account: tells whether the two share a prompt cache (profile vet)")
	p.Float64Var(&a.tolerance, "tolerance", 0, "distance from the reference that is not held against the endpoint, in total variation")
	p.StringVar(&a.quality, "quality", "", "file of published questions as JSON lines (question, answer, licence, source, and choices and family if any): shown, without weight")
	p.StringVar(&a.html, "html", "", "write the report as a page to this file")
	p.StringVar(&a.bundle, "bundle", "", "write the sealed record to this file (default audit-TIME.bundle)")
	p.StringVar(&a.traffic, "traffic", "", "file of chat requests of yours, one a line, against which it is measured how well the questions can be told from traffic; nothing of it is kept")
	p.StringVar(&a.tokenizer, "tokenizer", "", tokenizerUsage)
	p.StringVar(&a.resume, "resume", "", "bundle of an audit of at most a day ago that was interrupted or reached its cap, to go on with")
	p.DurationVar(&a.pace, "pace", 0, "mean time between questions, at random as independent clients come; default as fast as may be")
	p.BoolVar(&a.register, "register", false, "record the audit in the audit log of the data folder before the first question and at the end, as is always done where an upstream of the configuration is asked")
	c.AddCommand(auditVerify(f), auditCompare(f), auditShow(f), auditRegister(f), auditList(f), auditWatch(f), auditOverride(f), auditRelease(f))
	return c
}

// audit runs one audit and shows what came of it.
func (f *flags) audit(cmd *cobra.Command, a *auditFlags) error {
	profile, err := a.check(cmd)
	if err != nil {
		return err
	}
	key, shelf, err := f.evidence()
	if err != nil {
		return err
	}
	if a.from != nil && a.signer != signerOf(key) {
		return &exitError{exitUsage, "only an audit that was sealed with the key of this data folder is gone on with: its answers are taken over"}
	}
	cfg := probe.Config{
		Program: version(), Profile: profile, Tolerance: a.tolerance, Parallel: a.parallel,
		Detectable: true, Camouflage: true, Pace: a.pace,
	}
	if _, err := rand.Read(cfg.ItemKey[:]); err != nil {
		return fmt.Errorf("draw a key: %w", err)
	}
	end, closeAll, err := a.subjects(cmd, f, &cfg)
	defer closeAll()
	if err != nil {
		return err
	}
	if err := a.material(&cfg, end.Facts().Kind, shelf); err != nil {
		return err
	}
	cfg.Beacon = a.beacon(f, &cfg)
	bar := newProgressBar(cmd)
	cfg.Progress = bar.show
	// An interrupted audit still shows and keeps what it saw.
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
	defer stop()
	r, record, auditErr := a.run(ctx, cfg)
	bar.clear()
	stop() // a second signal ends the process from here on
	if r == nil {
		return notBegun(auditErr)
	}
	r.Target.CertKey = end.CertKey()
	if key == nil { // the beginning may have founded the data folder
		if key, _, err = f.evidence(); err != nil {
			return err
		}
	}
	if err := a.keep(record, key); err != nil {
		return err
	}
	unrecorded := a.end(cmd.Context(), f, r)
	if err := a.conclude(cmd, f, r, auditErr); err != nil {
		if unrecorded != nil {
			fmt.Fprintln(cmd.ErrOrStderr(), "sallyport:", visibleText(unrecorded.Error()))
		}
		return err
	}
	return unrecorded
}

// notBegun is the failure of an audit that asked nothing.
func notBegun(err error) error {
	if _, is := errors.AsType[*probe.ResumeError](err); is {
		return &exitError{exitUsage, err.Error()}
	}
	return &exitError{exitFailure, err.Error()}
}

// conclude shows what came of an audit, and says how it ended.
func (a *auditFlags) conclude(cmd *cobra.Command, f *flags, r *verdict.Report, auditErr error) error {
	if unusable, is := errors.AsType[*probe.UnusableError](auditErr); is && !f.json && a.html == "" {
		fmt.Fprintf(cmd.OutOrStdout(), "Nothing is concluded of %s: %s.\nWhat was asked and seen is in %s%s.\n", visible(r.Target.URL), visible(unusable.Text), visible(a.bundle), leafOf(r.Bundle))
		return auditExit(r, auditErr)
	}
	if err := a.tell(f, cmd, r); err != nil {
		return err
	}
	return auditExit(r, auditErr)
}

// check says what is wrong with the flags, and finds the profile.
func (a *auditFlags) check(cmd *cobra.Command) (probe.Profile, error) {
	profile, known := probe.ParseProfile(a.profile)
	text := ""
	switch {
	case !known:
		text = fmt.Sprintf("there is no profile %q; write quick or vet", a.profile)
	case a.tolerance < 0 || a.tolerance >= 1:
		text = "--tolerance is a distance from 0 to below 1"
	case a.parallel < 1 || a.parallel > 64:
		text = "--parallel is a number from 1 to 64"
	case a.recorded() && cmd.Flags().Changed("register") && !a.register:
		text = "an audit that asks an upstream of the configuration is always recorded"
	case a.pace < 0 || a.pace > 24*time.Hour:
		text = "--pace is a duration of at most a day"
	default:
		return profile, nil
	}
	return profile, &exitError{exitUsage, text}
}

// subjects prepares whoever is asked: the audited endpoint, the same under a second key,
// and a live reference. What it returns closes them, also beside an error.
func (a *auditFlags) subjects(cmd *cobra.Command, f *flags, cfg *probe.Config) (end *probe.Endpoint, closeAll func(), err error) {
	var open []*probe.Endpoint
	closeAll = func() {
		for _, e := range open {
			e.Close()
		}
	}
	if end, err = a.endpoint(cmd, f); err != nil {
		return nil, closeAll, err
	}
	open, cfg.Subject = append(open, end), end
	second, err := a.second(cmd, f, cfg.Profile)
	if err != nil {
		return nil, closeAll, err
	}
	if second != nil {
		open, cfg.Second = append(open, second), second
	}
	live, err := a.live(cmd, f)
	if err != nil {
		return nil, closeAll, err
	}
	if live != nil {
		open, cfg.Trusted, cfg.Why = append(open, live), live, a.why
	}
	return end, closeAll, nil
}

// material reads what the audit is made from besides: prices, references, published
// questions, a sample of traffic.
func (a *auditFlags) material(cfg *probe.Config, kind string, shelf *reference.Shelf) (err error) {
	if cfg.Price, cfg.Cap, err = a.price(kind); err != nil {
		return err
	}
	if cfg.Reference, err = pickReference(shelf, a.reference, a.model); err != nil {
		return err
	}
	if cfg.Library, err = library(shelf); err != nil {
		return err
	}
	if cfg.Traffic, err = readTraffic(a.traffic); err != nil {
		return err
	}
	if cfg.Tokenizer, err = readTokenizer(a.tokenizer); err != nil {
		return err
	}
	cfg.Quality, err = a.published()
	return err
}

// live is the live reference that was named; nil when none was.
func (a *auditFlags) live(cmd *cobra.Command, f *flags) (*probe.Endpoint, error) {
	if a.trusted == "" {
		return nil, nil
	}
	e := a.endpointFlags
	e.key, e.kind = a.trustKey, ""
	end, err := e.named(cmd, f, a.trusted)
	if err != nil {
		return nil, err
	}
	if end.Class() == label.Any && !end.Facts().Official && a.why == "" {
		end.Close()
		return nil, &exitError{exitUsage, "why is " + visible(end.Facts().Host) + " trusted? Say it with --reason; the report will show it"}
	}
	return end, nil
}

// published reads the published questions that were given.
func (a *auditFlags) published() ([]exam.PublicItem, error) {
	if a.quality == "" {
		return nil, nil
	}
	file, err := os.Open(a.quality)
	if err != nil {
		return nil, &exitError{exitUsage, "--quality: " + err.Error()}
	}
	defer file.Close()
	items, err := exam.Import(file, exam.Limits{Items: probe.MaxQuality})
	if err != nil {
		return nil, &exitError{exitUsage, "--quality: " + err.Error()}
	}
	return items, nil
}

// second is the endpoint under the second key; nil without one.
func (a *auditFlags) second(cmd *cobra.Command, f *flags, profile probe.Profile) (*probe.Endpoint, error) {
	switch {
	case a.secondKey == "":
		return nil, nil
	case a.secondKey == "-":
		return nil, &exitError{exitUsage, "--second-key is env:NAME or file:PATH"}
	case profile.Budgets["D15"] == 0:
		return nil, &exitError{exitUsage, "--second-key says nothing in the profile " + profile.Name + "; add --profile vet"}
	}
	other := a.endpointFlags
	other.key = a.secondKey
	end, err := other.endpoint(cmd, f)
	if usage, is := errors.AsType[*exitError](err); is {
		return nil, &exitError{usage.code, strings.Replace(usage.text, "--key:", "--second-key:", 1)}
	}
	return end, err
}

// reopen reads the record that is gone on with, which says what is asked for.
func (a *auditFlags) reopen(cmd *cobra.Command) error {
	if a.resume == "" {
		if a.model == "" {
			return &exitError{exitUsage, "which model? Name it with --model"}
		}
		return nil
	}
	for _, fixed := range []string{"profile", "reference", "tolerance", "parallel", "pace", "register"} {
		if cmd.Flags().Changed(fixed) {
			return &exitError{exitUsage, "--" + fixed + " is fixed by the plan of the audit that is gone on with"}
		}
	}
	record, sealed, err := openBundle(a.resume)
	if err != nil {
		return err
	}
	a.from, a.signer = record, sealed.Signer
	if cmd.Flags().Changed("model") {
		return nil
	}
	return cmd.Flags().Set("model", record.Plan.Facts.Model)
}

// run begins an audit, or goes on with one. The report is nil when it cannot be gone on
// with.
func (a *auditFlags) run(ctx context.Context, cfg probe.Config) (*verdict.Report, *probe.Record, error) {
	if a.from == nil {
		return probe.Run(ctx, cfg)
	}
	if a.limit == "" {
		cfg.Cap = price.Nano(a.from.Plan.Cap)
	}
	return probe.Resume(ctx, cfg, a.from)
}

// readTraffic reads the operator's sample; nil when no file is named.
func readTraffic(path string) (*probe.Traffic, error) {
	if path == "" {
		return nil, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, &exitError{exitUsage, "--traffic: the file cannot be read: " + err.Error()}
	}
	defer file.Close()
	t, err := probe.ReadTraffic(file)
	if err != nil {
		return nil, &exitError{exitUsage, "--traffic: " + err.Error()}
	}
	return t, nil
}

// tokenizerUsage is the flag that names a vocabulary, here and where audits are done
// again.
const tokenizerUsage = "file of the model's vocabulary (tokenizer.json, tokenizer.model or GGUF), by which tokens are counted; its SHA-256 is in the plan"

// readTokenizer reads the vocabulary in a file; nil when no file is named.
func readTokenizer(path string) (*vocabulary.Vocabulary, error) {
	if path == "" {
		return nil, nil
	}
	v, err := vocabulary.Open(path)
	if err != nil {
		return nil, &exitError{exitUsage, "--tokenizer: " + err.Error()}
	}
	return v, nil
}

// auditExit is the exit code of an audit.
func auditExit(r *verdict.Report, err error) error {
	if unusable, is := errors.AsType[*probe.UnusableError](err); is {
		code := exitFailure
		switch unusable.Outcome {
		case probe.Denied:
			code = exitAuth
		case probe.Unreachable, probe.TimedOut:
			code = exitUnreachable
		}
		return &exitError{code, unusable.Text}
	}
	if errors.Is(err, context.Canceled) {
		return &exitError{exitInterrupted, "interrupted; what was seen until then is in the bundle; go on with --resume"}
	}
	if err != nil {
		return err
	}
	if r.Headline.Finding() {
		return &exitError{exitFinding, ""}
	}
	return nil
}

// keep writes the sealed record.
func (a *auditFlags) keep(record *probe.Record, key ed25519.PrivateKey) error {
	if a.bundle == "" {
		a.bundle = "audit-" + record.Plan.Started.Format("20060102T150405Z") + ".bundle"
		if a.from != nil { // the first half stays
			a.bundle = "audit-" + record.Report.Decided.Format("20060102T150405Z") + ".bundle"
		}
	}
	file, err := os.OpenFile(a.bundle, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write the bundle: %w", err)
	}
	if err := errors.Join(record.Seal(file, key), file.Close()); err != nil {
		return err
	}
	record.Report.Bundle.Path = a.bundle
	return nil
}

// tell shows the report.
func (a *auditFlags) tell(f *flags, cmd *cobra.Command, r *verdict.Report) error {
	if a.html != "" {
		file, err := os.OpenFile(a.html, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return fmt.Errorf("write the page: %w", err)
		}
		if err := errors.Join(report.HTML(file, r), file.Close()); err != nil {
			return fmt.Errorf("write the page: %w", err)
		}
	}
	return f.tellReport(cmd, r)
}

// tellReport prints a report for whoever reads it.
func (f *flags) tellReport(cmd *cobra.Command, r *verdict.Report) error {
	var err error
	shown := f.output(cmd).value(r, func() {
		width, colour := paper(cmd.OutOrStdout())
		err = report.Text(cmd.OutOrStdout(), r, width, colour)
	})
	return errors.Join(shown, err)
}

// paper is the width of what is written to, and whether it shows colours.
func paper(w io.Writer) (width int, colour bool) {
	file, is := w.(*os.File)
	if !is || !terminal(file) {
		return 80, false
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil || width < 40 {
		width = 80
	}
	return min(width, 120), os.Getenv("NO_COLOR") == ""
}

// evidence is the key that signs, and the shelf of references, of the data folder.
// Without one nothing is signed and the shelf is empty.
func (f *flags) evidence() (ed25519.PrivateKey, *reference.Shelf, error) {
	dir, err := f.dataDir()
	if err != nil {
		return nil, nil, err
	}
	if !app.Founded(dir) {
		return nil, reference.NewShelf(app.ReferenceFolder(dir), ""), nil
	}
	var c *config.Config
	if f.config != "" {
		if c, err = config.Load(f.config); err != nil {
			return nil, nil, err
		}
	}
	key, err := app.EvidenceKey(c, dir)
	if err != nil {
		return nil, nil, fmt.Errorf("read the key of the data folder %s: %w", dir, err)
	}
	return key, reference.NewShelf(app.ReferenceFolder(dir), evidenceSigner(key)), nil
}

// pickReference is the reference that was named, else the newest of the model.
func pickReference(shelf *reference.Shelf, name, model string) (*reference.Opened, error) {
	switch name {
	case "none":
		return nil, nil
	case "":
		return shelf.For(model, time.Now())
	}
	ref, err := shelf.Find(name)
	if err != nil {
		return nil, &exitError{exitUsage, err.Error()}
	}
	if ref.Model != model {
		return nil, &exitError{exitUsage, fmt.Sprintf("the reference %q is of the model %q, not of %q", ref.Name, ref.Model, model)}
	}
	return ref, nil
}

// library are the references that can be read, of whatever model.
func library(shelf *reference.Shelf) ([]*reference.Opened, error) {
	files, err := shelf.List()
	if err != nil {
		return nil, err
	}
	var all []*reference.Opened
	for _, f := range files {
		if f.Opened != nil {
			all = append(all, f.Opened)
		}
	}
	return all, nil
}

// ownBeacon draws the randomness of an audit from this machine.
func ownBeacon(context.Context, string) (verdict.Beacon, error) {
	return verdict.Beacon{
		Value: rand.Text(), Source: "this machine's random numbers, drawn after the plan was fixed", Weak: ownDraw,
	}, nil
}

// ownDraw is what a beacon that is no log's cannot exclude.
const ownDraw = "whoever ran the audit could have drawn until the questions suited; a beacon that nobody controls would exclude that"

// progressBar shows an audit at work on a terminal.
type progressBar struct {
	out     *os.File
	started time.Time
	shown   bool
}

func newProgressBar(cmd *cobra.Command) *progressBar {
	b := &progressBar{started: time.Now()}
	if file, is := cmd.ErrOrStderr().(*os.File); is && terminal(file) {
		b.out = file
	}
	return b
}

func (b *progressBar) show(p probe.Progress) {
	if b.out == nil {
		return
	}
	width, _, err := term.GetSize(int(b.out.Fd()))
	if err != nil {
		width = 80
	}
	b.shown = true
	fmt.Fprint(b.out, "\r\x1b[K"+report.ProgressLine(report.Progress{
		Detector: p.Detector, Done: p.Done, Total: p.Of, Queries: p.Spent.Queries, Cost: p.Spent.Cost, LogE: p.LogE, Elapsed: time.Since(b.started), Width: width,
	}))
}

// clear takes the line away.
func (b *progressBar) clear() {
	if b.shown {
		fmt.Fprint(b.out, "\r\x1b[K")
	}
}
