package probe

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"sallyport/internal/price"
	"sallyport/internal/reference"
	"sallyport/internal/stat"
	"sallyport/internal/tokens"
	"sallyport/internal/verdict"
)

// Enrolment says how a reference is recorded.
type Enrolment struct {
	Program   string
	Name      string
	Model     string   // the claim that it will be the reference of
	Variants  []Source // honest deployments; the first is the reference proper
	Lifetime  time.Duration
	Train     int                // answers of each cell and variant that alphabets are made from; 60 when 0
	Bank      int                // answers of each cell and variant that audits draw from; 240 when 0
	Items     int                // generated items put to each variant, beyond those that choose what is put; 0 leaves them out
	Tools     bool               // which of several like tools each variant calls
	Texts     int                // continuations of each text and variant; 0 leaves them out
	Numbers   int                // questions for numbers to which the first source sticks to an answer; 0 leaves them out
	Past      bool               // what shows later that the reference proper has changed
	Dress     string             // of word questions and items; PlainDress when empty
	Languages []string           // languages of word questions; all when empty
	Tokenizer *tokens.Vocabulary // of a file, by which the model counts; nil for the published one, if there is one
	Parallel  int
	Cap       price.Nano
	Price     Price `json:"-"`
	Seed      [32]byte
	Now       func() time.Time                `json:"-"`
	Progress  func(done, of int, what string) `json:"-"`
	Took      func(verdict.Spent)             `json:"-"` // told what the recording took, however it ended
}

// Commit is the SHA-256 over what is fixed before anything is asked, in hex.
func (e *Enrolment) Commit() string {
	var asked []Facts
	for _, v := range e.Variants {
		asked = append(asked, v.Subject.Facts())
	}
	b, err := json.Marshal(struct {
		*Enrolment
		Asked []Facts
	}{e, asked})
	if err != nil {
		panic("probe: an enrolment without a JSON form: " + err.Error()) // plain values only
	}
	return hashOf(b)
}

// Source is one deployment that is recorded.
type Source struct {
	reference.Variant
	Subject Subject `json:"-"`
}

// Enrol records a reference: word questions to each source, in an order in which no
// two sources differ, and what else was asked for. Cells whose entropy on train makes
// them useless get no bank. Where a source answers words too rarely the recording
// fails. Of the other parts each is whole or left out with a note: a model may not be
// able to do what it asks for, or the cap not allow it.
func Enrol(ctx context.Context, e Enrolment) (*reference.Reference, error) {
	if e.Train == 0 {
		e.Train = 60
	}
	if e.Bank == 0 {
		e.Bank = 240
	}
	e.Dress = cmp.Or(e.Dress, PlainDress)
	if err := CheckDress(e.Dress, e.Languages); err != nil {
		return nil, err
	}
	if e.Now == nil {
		e.Now = time.Now
	}
	r := &recorder{Enrolment: e, meter: newMeter(e.Price, e.Cap)}
	if e.Took != nil {
		defer func() { e.Took(r.meter.total()) }()
	}
	r.settle(ctx)
	if e.Dress == WorkDress && r.steady(ctx) {
		r.Dress = steadyDress
	}
	now := e.Now().UTC().Truncate(time.Second)
	ref := &reference.Reference{
		Name: e.Name, Model: e.Model, Recorded: now, Expires: now.Add(e.Lifetime), Program: e.Program,
		Protocol: r.refused.protocol(protocolOf(e.Variants[0].Subject.Facts(), r.Dress)),
	}
	for _, v := range e.Variants {
		ref.Variants = append(ref.Variants, v.Variant)
	}
	if err := r.words(ctx, ref); err != nil {
		return nil, err
	}
	r.facts(ctx, ref)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err := r.extras(ctx, ref); err != nil {
		return nil, err
	}
	for i, v := range e.Variants {
		if end, is := v.Subject.(interface{ CertKey() string }); is {
			ref.Variants[i].CertKey = end.CertKey() // known once it was spoken to
		}
	}
	return ref, nil
}

// settle finds the settings that some source refuses: then none is sent them.
func (r *recorder) settle(ctx context.Context) {
	q := Ask{Turns: User(Greeting), MaxTokens: wordTokens, Temperature: new(wordTemperature), TopP: new(wordTopP)}
	for _, v := range r.Variants {
		r.refused.fit(&q)
		r.refused.settle(q, func(_ int, q *Ask) *Reply { return r.meter.ask(ctx, v.Subject, q) })
	}
}

// protocol is one without the settings.
func (p unwanted) protocol(with reference.Protocol) reference.Protocol {
	if slices.Contains(p, "temperature") {
		with.Temperature = recordedDefault
	}
	if slices.Contains(p, "top_p") {
		with.TopP = recordedDefault
	}
	if slices.Contains(p, newLimit) {
		with.MaxTokens = 0
	}
	return with
}

// steady reports whether some source takes no temperature but 1.
func (r *recorder) steady(ctx context.Context) bool {
	a := workAsk(cellsIn(WorkDress)[0], WorkDress, stat.Rand(stat.Seed(r.Seed, "temperature")))
	a.Temperature = new(.7)
	return slices.ContainsFunc(r.Variants, func(v Source) bool { return r.meter.ask(ctx, v.Subject, &a).Outcome == Refused })
}

// protocolOf is how questions in a dress are put.
func protocolOf(f Facts, dress string) reference.Protocol {
	p := reference.Protocol{Model: f.Model, Dialect: f.Kind, Questions: versionOf(dress), Temperature: "1", TopP: "1", MaxTokens: wordTokens, Dress: dress}
	switch dress {
	case WorkDress:
		p.Temperature, p.TopP, p.MaxTokens = "0 to 1, or default", "default", 0
	case steadyDress:
		p.Temperature, p.TopP, p.MaxTokens = "1 or default", "default", 0
	}
	return p
}

// facts records how the reference proper counts tokens and meets challenges.
func (r *recorder) facts(ctx context.Context, ref *reference.Reference) {
	first := func(ctx context.Context, asks []Ask) []*Reply {
		for i := range asks {
			r.refused.fit(&asks[i])
		}
		return askAll(r.Parallel, len(asks), func(i int) *Reply { return r.meter.ask(ctx, r.Variants[0].Subject, &asks[i]) })
	}
	var why string
	if ref.Accounting, why = recordAccounting(ctx, first, r.Seed, r.Tokenizer); why != "" {
		ref.Notes = append(ref.Notes, "prompt tokens: "+why)
	}
	counts := ref.Accounting != nil && r.Tokenizer != nil && ref.Accounting.SHA256 == r.Tokenizer.SHA256
	if r.Tokenizer != nil && ref.Accounting != nil && !counts {
		ref.Notes = append(ref.Notes, "prompt tokens: the endpoint does not count by "+r.Tokenizer.Name+", which was named")
	}
	v := publishedFor(ref)
	if counts {
		v = r.Tokenizer
	}
	if why := recordBilling(ctx, first, r.Seed, v, ref); why != "" {
		ref.Notes = append(ref.Notes, "output tokens: "+why)
	}
	ref.Causal = r.causal(ctx)
}

// extras records what was asked for besides; what a model is unfit for is noted.
func (r *recorder) extras(ctx context.Context, ref *reference.Reference) error {
	for _, part := range []struct {
		name   string
		wanted bool
		record func(context.Context, *reference.Reference) error
	}{
		{"generated items", r.Items > 0, r.items},
		{"tool choice", r.Tools, r.tools},
		{"continuations", r.Texts > 0, r.texts},
		{"numbers", r.Numbers > 0, r.numbers},
		{"past", r.Past, r.past},
	} {
		if !part.wanted {
			continue
		}
		err := part.record(ctx, ref)
		unfit, is := errors.AsType[*unfitError](err)
		switch {
		case is:
			ref.Notes = append(ref.Notes, part.name+": "+unfit.text)
		case errors.Is(err, errCapped):
			ref.Notes = append(ref.Notes, part.name+": the spend cap was reached")
		case err != nil:
			return err
		}
	}
	return nil
}

// recorder is one recording at work.
type recorder struct {
	Enrolment
	meter   *meter
	refused unwanted // settings that some source refuses
}

var errCapped = errors.New("the spend cap was reached before the reference was whole; nothing is kept")

// unfitError says why a part of a reference cannot be recorded of a model.
type unfitError struct{ text string }

// Error implements error.
func (e *unfitError) Error() string { return e.text }

// words records the answers to word questions.
func (r *recorder) words(ctx context.Context, ref *reference.Reference) error {
	p := newPool(r, cellsIn(r.Dress, r.Languages...), wordsIn(r.Dress))
	if err := p.train(ctx, r.Train); err != nil {
		return err
	}
	ref.Words = p.cells()
	useful := newBaseline(&reference.Opened{Reference: *ref}).usable()
	if len(useful) < minCells {
		return fmt.Errorf("only %d of %d questions are answered with an entropy of %g to %g bits; the model's answers are too much alike, or no answers, for a reference",
			len(useful), len(p.ids), minEntropy, maxEntropy)
	}
	if err := p.bank(ctx, useful, r.Bank); err != nil {
		return err
	}
	ref.Words = p.cells()
	return nil
}

func (r *recorder) tell(done, of int, what string) {
	if r.Progress != nil {
		r.Progress(done, of, what)
	}
}

// ask puts questions to one source. That it answers too rarely is an *unfitError.
func (r *recorder) ask(ctx context.Context, variant int, what string, asks []Ask) ([]*Reply, error) {
	source := r.Variants[variant]
	for i := range asks {
		r.refused.fit(&asks[i])
	}
	replies := askAll(r.Parallel, len(asks), func(i int) *Reply { return r.meter.ask(ctx, source.Subject, &asks[i]) })
	answered := 0
	var failed *Reply
	for _, reply := range replies {
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case reply.Outcome == Capped:
			return nil, errCapped
		case reply.OK():
			answered++
		case failed == nil:
			failed = reply
		}
	}
	if answered == 0 && failed != nil {
		return nil, &unfitError{fmt.Sprintf("%s does not answer (%s, status %d)%s", source.Name, failed.Outcome, failed.Status, said(failed))}
	}
	if float64(answered) < (1-maxFailures)*float64(len(asks)) {
		return nil, &unfitError{fmt.Sprintf("%s answered %d of %d questions of %s; a reference needs %.0f %%", source.Name, answered, len(asks), what, 100*(1-maxFailures))}
	}
	return replies, nil
}
