package probe_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"sallyport/internal/llm"
	"sallyport/internal/price"
	"sallyport/internal/probe"
	"sallyport/internal/reference"
	"sallyport/internal/tokens"
	"sallyport/internal/verdict"
)

// counter is an endpoint that counts tokens, in the way that it is told to.
type counter struct {
	vocabulary string             // o200k_base when empty
	file       *tokens.Vocabulary // counts in its place
	other      string             // vocabulary that this share of requests is counted by
	share      float64            // see other
	scale      func(int64) int64  // of reported prompts
	out        func(int64) int64  // of reported answers
	estimate   bool               // a token for every four bytes, rounded up
	hidden     map[string]int64   // tokens added, by shape
	cached     int64              // told of every prompt
	atMost     int64              // tokens of a prompt that are kept; 0 for all
	streams    int64              // tokens more that a stream tells
	hush       bool               // never says that an answer was cut
	total      int64              // added to the total of usage
	silent     bool               // no usage
	fails      bool
	garbles    int64  // every so manyth answer; 0 for none
	reasoning  int64  // hidden tokens of every answer
	hostile    string // the text of every answer
	answer     func(prompt string) string
	requests   atomic.Int64
}

type chatRequest struct {
	Messages []struct{ Role, Content string }
	Tools    []json.RawMessage
	Max      int64 `json:"max_tokens"`
	Stream   bool
}

func (c *counter) prompt(t testing.TB, q *chatRequest) int64 {
	name := c.vocabulary
	if name == "" {
		name = "o200k_base"
	}
	if c.requests.Add(1); c.share > 0 && rand.Float64() < c.share {
		name = c.other
	}
	v, n, size, shape := cmp.Or(c.file, tokens.Named(name)), int64(3), 0, "plain"
	for _, m := range q.Messages {
		k, err := v.Count(m.Content)
		if err != nil {
			t.Error(err)
		}
		n += 4 + k
		size += len(m.Content) + 8
		if m.Role == "system" {
			shape = "system"
		}
	}
	for _, tool := range q.Tools {
		k, _ := v.Count(string(tool))
		n, shape = n+12+k, "tool"
	}
	if c.estimate {
		n = int64(size+3) / 4
	}
	if n += c.hidden[shape]; c.atMost > 0 {
		n = min(n, c.atMost)
	}
	if c.scale != nil {
		n = c.scale(n)
	}
	return n
}

// text is the answer, cut to so many words.
func (c *counter) text(q *chatRequest) (text, finish string) {
	text = "done"
	if c.answer != nil {
		text = c.answer(q.Messages[len(q.Messages)-1].Content)
	}
	if c.hostile != "" {
		text = c.hostile
	}
	if strings.Contains(q.Messages[len(q.Messages)-1].Content, "numbers from one") {
		return strings.TrimSpace(strings.Repeat("one ", int(q.Max))), "length"
	}
	return text, "stop"
}

func (c *counter) serve(t testing.TB) *probe.Endpoint { return c.serveAs(t, "gpt-4o-2024-08-06") }

func (c *counter) serveAs(t testing.TB, model string) *probe.Endpoint {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q chatRequest
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			t.Error(err)
		}
		if c.fails && c.requests.Load() > 4 {
			w.WriteHeader(http.StatusUnprocessableEntity)
			return
		}
		prompt := c.prompt(t, &q)
		if c.garbles > 0 && c.requests.Load()%c.garbles == 0 {
			fmt.Fprint(w, "<html>try again</html>")
			return
		}
		text, finish := c.text(&q)
		n, _ := cmp.Or(c.file, tokens.Named("o200k_base")).Count(text)
		n = min(n, q.Max)
		if c.out != nil {
			n = c.out(n)
		}
		if c.hush {
			finish = "stop"
		}
		if q.Stream {
			prompt += c.streams
		}
		usage := map[string]any{
			"prompt_tokens": prompt, "completion_tokens": n + c.reasoning, "total_tokens": prompt + n + c.reasoning + c.total,
			"prompt_tokens_details":     map[string]any{"cached_tokens": min(c.cached, prompt)},
			"completion_tokens_details": map[string]any{"reasoning_tokens": c.reasoning},
		}
		if c.silent {
			usage = nil
		}
		write(w, &q, text, finish, usage)
	}))
	t.Cleanup(server.Close)
	e, err := probe.NewEndpoint(probe.EndpointConfig{URL: server.URL + "/v1", Model: model})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

func write(w http.ResponseWriter, q *chatRequest, text, finish string, usage any) {
	base := func(kind string, choices any) map[string]any {
		return map[string]any{"id": "chatcmpl-1", "object": kind, "created": 1, "model": "gpt-4o", "choices": choices}
	}
	if !q.Stream {
		body := base("chat.completion", []any{map[string]any{"index": 0, "message": map[string]any{"role": "assistant", "content": text}, "finish_reason": finish}})
		if usage != nil {
			body["usage"] = usage
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(body)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	frame := func(v any) {
		b, _ := json.Marshal(v)
		fmt.Fprintf(w, "data: %s\n\n", b)
	}
	frame(base("chat.completion.chunk", []any{map[string]any{"index": 0, "delta": map[string]any{"role": "assistant", "content": text}, "finish_reason": nil}}))
	frame(base("chat.completion.chunk", []any{map[string]any{"index": 0, "delta": map[string]any{}, "finish_reason": finish}}))
	last := base("chat.completion.chunk", []any{})
	last["usage"] = usage
	frame(last)
	fmt.Fprint(w, "data: [DONE]\n\n")
}

// prose is an answer of about 60 to 120 words that follows from the question.
func prose(question string) string {
	words := strings.Fields("the water of a harbour rises and falls twice every day because the moon pulls at it while old ships wait near stone walls " +
		"for somebody who knows how their ropes were tied last winter; nobody counts, everybody listens.")
	r := rand.New(rand.NewChaCha8(sha256.Sum256([]byte(question))))
	var text []string
	for range 60 + r.IntN(60) {
		text = append(text, words[r.IntN(len(words))])
	}
	return strings.Join(text, " ")
}

// only is a profile of one detector.
func only(id verdict.ID, budget int) probe.Profile {
	return probe.Profile{Name: "test", Budgets: map[verdict.ID]int{id: budget}}
}

// reopened is a record after it was sealed and opened again.
func reopened(t testing.TB, r *probe.Record) *probe.Record {
	t.Helper()
	var file bytes.Buffer
	if err := r.Seal(&file, nil); err != nil {
		t.Fatal(err)
	}
	opened, _, err := probe.OpenBundle(&file)
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

// run audits an endpoint with one detector, checks that the record leads to the same
// end, and returns what the detector came to.
func run(t testing.TB, subject, trusted probe.Subject, profile probe.Profile, ref *reference.Opened, seed int) (*verdict.Result, *verdict.Report) {
	t.Helper()
	report, record, err := probe.Run(t.Context(), probe.Config{
		Program: "test", Subject: subject, Trusted: trusted, Reference: ref, Profile: profile,
		Price: func(llm.Tokens) (price.Nano, bool) { return 0, true },
		Beacon: func(context.Context, string) (verdict.Beacon, error) {
			return verdict.Beacon{Value: fmt.Sprint(seed), Source: "test"}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reopened(t, record).Verify(t.Context()); err != nil {
		t.Fatalf("verify: %v", err)
	}
	for i := range report.Detectors {
		if _, asked := profile.Budgets[report.Detectors[i].ID]; asked {
			return &report.Detectors[i], report
		}
	}
	t.Fatal("the detector is missing")
	return nil, nil
}

// logE is a detector's largest e-value, as a decimal logarithm.
func logE(r *verdict.Result, n verdict.Null) (float64, bool) {
	for _, e := range r.Evidence {
		if e.Null == n {
			return e.MaxLogE, true
		}
	}
	return 0, false
}
