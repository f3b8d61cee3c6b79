package gateway

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"sallyport/internal/label"
	"sallyport/internal/llm"
	"sallyport/internal/upstream"
	"sallyport/internal/wire"
)

// Why an answer is not countable (record.Count.Why).
const (
	whyIncomplete = "incomplete"       // the exchange did not end as a success
	whyNoClaim    = "no claim"         // the upstream claims nothing, or something impossible
	whyTooLong    = "too long"         // more than maxSample bytes
	whyUnread     = "not readable"     // what the answer holds is not known here
	whyNotText    = "not only text"    // sounds and images are billed by other rules
	whyCalls      = "tool calls"       // how a model writes them is not published
	whyThoughts   = "thoughts"         // they are not claimed apart from the visible text
	whyVocabulary = "no vocabulary"    // none is known of this model
	whyTokenizer  = "tokenizer failed" // the one that is known gave no count
)

// samples is where sampled answers wait to be counted.
type samples struct {
	queue   chan *counting
	held    atomic.Int64 // bytes of all samples, of exchanges under way as well
	metrics countMetrics
}

// offer hands an answer over, or drops it when too many wait already.
func (s *samples) offer(job *counting) {
	select {
	case s.queue <- job:
	default:
		s.held.Add(-int64(len(job.body)))
		s.metrics.dropped.Inc()
	}
}

// CountTokens counts sampled answers, one after the other, until ctx ends; what
// waits then is dropped. After each it rests, so that counting takes no more than
// its share of one core. What it took is measured by the clock, which is never less
// than the processor's time.
func (g *Gateway) CountTokens(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case job := <-g.samples.queue:
			start := time.Now()
			g.countOne(ctx, job)
			took := time.Since(start)
			g.samples.metrics.busy.Add(took.Seconds())
			rest(ctx, took, g.Snapshot().Count.CPU)
		}
	}
}

// rest waits until what took a while was no more than a share of the time.
func rest(ctx context.Context, took time.Duration, share float64) {
	if share >= 1 {
		return
	}
	pause := time.Hour // a share of nothing comes with a sample of nothing
	if share > 0 {
		pause = min(pause, time.Duration(float64(took)*(1/share-1)))
	}
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// countOne counts one answer and journals what came of it.
func (g *Gateway) countOne(ctx context.Context, job *counting) {
	defer func() {
		g.samples.held.Add(-int64(len(job.body)))
		if p := recover(); p != nil {
			g.Logger.Error("panic while counting", "request_id", job.record.RID, "panic", slog.AnyValue(p), "stack", string(debug.Stack()))
		}
	}()
	r := &job.record
	if r.Why == "" {
		var texts []string
		if texts, r.Why = job.visible(); r.Why == "" {
			r.Vocabulary, r.Tokens, r.Why = job.tokens(ctx, g, texts)
		}
	}
	if r.Why == whyTokenizer {
		g.Logger.Warn("tokenizer failed", "request_id", r.RID, "upstream", r.Upstream, "error", job.trouble)
	}
	if ctx.Err() != nil {
		return // the tokenizer may have been interrupted
	}
	if r.Why != "" {
		r.Claimed, r.Tokens = 0, 0
	}
	r.TS, r.Salt = now(), NewSalt()
	if _, err := g.Journal.Append(r.Append(nil)); err != nil {
		g.Logger.Error("count not recorded", "request_id", r.RID, "error", err)
		return
	}
	g.samples.metrics.counted.WithLabelValues(r.Why).Inc()
	if g.Recounted != nil {
		g.Recounted(r)
	}
}

// tokenizer counts the tokens of texts by the vocabulary of one model.
type tokenizer struct {
	name  string
	count func(ctx context.Context, text string) (int64, error)
}

// tokenizers lists where a model's vocabulary comes from, in the order of preference. One that
// does not know the model returns nil.
var tokenizers = []func(g *Gateway, c *counting) *tokenizer{known, served, vendors}

// known are the vocabularies that the operator named, and those that vendors have
// published.
func known(g *Gateway, c *counting) *tokenizer {
	count := g.Snapshot().Count
	v := count.vocabulary(c.record.Target)
	if v == nil {
		return nil
	}
	return &tokenizer{v.Name, func(_ context.Context, text string) (int64, error) { return v.Count(text) }}
}

// served is the vocabulary of a local server, asked of it: it wrote the text itself.
func served(_ *Gateway, c *counting) *tokenizer {
	u, model := c.upstream, c.record.Target
	if u.Family() != upstream.OpenAI || u.ClassOf(model) != label.OnSite {
		return nil
	}
	return &tokenizer{"/tokenize", func(ctx context.Context, text string) (int64, error) { return u.Tokenize(ctx, model, text) }}
}

// vendors is the count of the vendor whose host wrote the text.
func vendors(g *Gateway, c *counting) *tokenizer {
	if !g.Snapshot().Count.Vendor {
		return nil
	}
	ask := g.counts(c.upstream, c.record.Target, c.label)
	return &tokenizer{c.upstream.Host(), func(ctx context.Context, text string) (int64, error) {
		return c.upstream.CountTokens(ctx, c.record.Target, text, ask)
	}}
}

// tokens counts texts by the first vocabulary that knows the model.
func (c *counting) tokens(ctx context.Context, g *Gateway, texts []string) (vocabulary string, n int64, why string) {
	why = whyVocabulary
next:
	for _, find := range tokenizers {
		t := find(g, c)
		if t == nil {
			continue
		}
		n = 0
		for _, text := range texts {
			more, err := t.count(ctx, text)
			if errors.Is(err, upstream.ErrNoTokenizer) {
				continue next
			}
			if err != nil {
				c.trouble, why = err, whyTokenizer
				continue next
			}
			n += more
		}
		return t.name, n, ""
	}
	return "", 0, why
}

// visible is the text that an answer shows, by choice.
func (c *counting) visible() (texts []string, why string) {
	v := visible{thoughts: c.thoughts}
	err := recount(c.format, c.stream, c.body, func(ev *llm.Event) {
		switch ev.Kind {
		case llm.PartStart:
			v.begin(ev.Choice, ev.Part.Kind)
			v.add(ev.Choice, ev.Part.Text)
		case llm.PartDelta:
			v.add(ev.Choice, ev.Text)
		}
	})
	if err != nil {
		return nil, whyUnread
	}
	return v.all()
}

// visible gathers the visible text of an answer.
type visible struct {
	thoughts bool // thinking is claimed apart
	choices  map[int]*shown
	why      string
}

// shown is what one choice shows.
type shown struct {
	hidden bool // the part under way is a thought
	text   []byte
}

func (v *visible) choice(i int) *shown {
	if v.choices == nil {
		v.choices = map[int]*shown{}
	}
	if v.choices[i] == nil {
		v.choices[i] = &shown{}
	}
	return v.choices[i]
}

// begin notes the kind of the part that follows.
func (v *visible) begin(choice int, kind llm.PartKind) {
	v.choice(choice).hidden = kind == llm.Thought
	switch {
	case kind == llm.Text || kind == llm.Refusal || kind == llm.Thought && v.thoughts:
	case kind == llm.Thought:
		v.why = whyThoughts
	case kind == llm.ToolCall:
		v.why = whyCalls
	default:
		v.why = whyNotText
	}
}

// add takes a string literal of the part that began last.
func (v *visible) add(choice int, lit llm.Lit) {
	if c := v.choice(choice); !c.hidden {
		text, _ := wire.Text(lit, len(lit))
		c.text = append(c.text, text...)
	}
}

func (v *visible) all() (texts []string, why string) {
	for _, c := range v.choices {
		texts = append(texts, string(c.text))
	}
	return texts, v.why
}
