package main

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"
)

// messenger is what the cases need of an Anthropic client; the two majors differ in their import paths only.
type messenger interface {
	message(ctx context.Context, q question) (reply, error)
	// stream calls each with the number of text pieces so far and stops when it returns false.
	stream(ctx context.Context, q question, each func(int) bool) (reply, error)
	count(ctx context.Context, model, text string) (int64, error)
	models(ctx context.Context) ([]string, error)
	model(ctx context.Context, id string) (string, error)
	// problem takes an error of the client apart; false when it is not the client's own type.
	problem(err error) (problem, bool)
}

// dialer makes a client; retries below 0 leaves the default.
type dialer func(root, key string, retries int) messenger

// question is one request.
type question struct {
	model     string
	maxTokens int64
	text      string
	tools     []string // names; each takes a city
	force     string   // any, or the tool's name
	called    *call    // a first turn's call, to be answered with result
	result    string
	format    map[string]any // the schema of the JSON to answer with
	image     string         // a PNG in base64, to go with the text
	thinking  int64          // the budget; 0 does not ask for thinking
}

// reply is what an answer holds.
type reply struct {
	text      string
	thinking  string
	pieces    int
	stop      string
	input     int64
	output    int64
	calls     []call
	requestID string
}

// problem is what an API error holds.
type problem struct {
	status int
	header http.Header
	body   string
}

// anthropicRun holds what the cases of an Anthropic client share.
type anthropicRun struct {
	plan  plan
	dial  func(key string, retries int) messenger
	api   messenger
	model string
}

func anthropicSuite(p plan, dial dialer) suite {
	r := anthropicRun{plan: p, model: p.Models["claude"]}
	r.dial = func(key string, retries int) messenger { return dial(p.Roots["anthropic"], key, retries) }
	r.api = r.dial(p.Keys["anthropic"], -1)
	return suite{
		"unary": r.unary, "stream": r.stream, "tools": r.tools, "tools_stream": r.toolsStream, "count_tokens": r.countTokens,
		"list_models": r.listModels, "bad_key": r.badKey, "unknown_model": r.unknownModel, "bad_request": r.badRequest,
		"cancel": r.cancel, "cut": r.cut, "upstream_error": r.upstreamError, "retry": r.retry, "give_up": r.giveUp,
		"parallel": r.parallel, "structured": r.structured, "image": r.image, "reasoning": r.reasoning, "long": r.long,
		"lab_unary": r.labUnary, "lab_stream": r.labStream,
	}
}

func (r anthropicRun) ask(text string) question {
	return question{model: r.model, maxTokens: 1000, text: text}
}

func toTheEnd(int) bool { return true }

// refused demands the client's typed error with the status.
func (r anthropicRun) refused(err error, status int) problem {
	p, typed := r.api.problem(err)
	expect(typed, "error %T is not the client's own: %v", err, err)
	expect(p.status == status, "status %d, not %d", p.status, status)
	return p
}

func (r anthropicRun) unary(ctx context.Context, nonce string) {
	q := r.ask("hello " + nonce)
	answer := must(r.api.message(ctx, q))
	expectAnswer(q.text, answer.text, nonce)
	expect(answer.stop == "end_turn", "stop reason %q", answer.stop)
	expect(answer.input > 0 && answer.output > 0, "usage %d %d", answer.input, answer.output)
	expect(answer.requestID != "", "no request-id")
}

func (r anthropicRun) stream(ctx context.Context, nonce string) {
	q := r.ask("hello " + nonce + " [[frames=12]]")
	answer := must(r.api.stream(ctx, q, toTheEnd))
	expectAnswer(q.text, answer.text, nonce)
	expect(answer.pieces == 12, "%d pieces, not 12", answer.pieces)
	expect(answer.stop == "end_turn" && answer.output > 0, "stop %q, output %d", answer.stop, answer.output)
}

func (r anthropicRun) tools(ctx context.Context, nonce string) {
	q := r.ask("weather? " + nonce)
	q.tools, q.force = []string{"get_weather"}, "get_weather"
	first := must(r.api.message(ctx, q))
	expect(len(first.calls) == 1 && first.stop == "tool_use", "%d calls, stop %q", len(first.calls), first.stop)
	expect(city(string(first.calls[0].input)) == digestOf(q.text)+" \"é\" 🚀", "input %s", first.calls[0].input)
	q.force, q.called, q.result = "", &first.calls[0], "sunny"
	second := must(r.api.message(ctx, q))
	expect(strings.HasPrefix(second.text, "digest:"), "no text after the tool result: %q", second.text)
}

func (r anthropicRun) toolsStream(ctx context.Context, nonce string) {
	q := r.ask("weather? " + nonce)
	q.tools, q.force = []string{"get_weather"}, "any"
	answer := must(r.api.stream(ctx, q, toTheEnd))
	expect(len(answer.calls) == 1 && strings.HasPrefix(city(string(answer.calls[0].input)), digestOf(q.text)), "calls %+v", answer.calls)
}

func (r anthropicRun) countTokens(ctx context.Context, nonce string) {
	expect(must(r.api.count(ctx, r.model, "hello "+nonce)) > 0, "no tokens")
}

func (r anthropicRun) listModels(ctx context.Context, _ string) {
	ids := must(r.api.models(ctx))
	expect(slices.Contains(ids, r.model), "models %v", ids)
	expect(must(r.api.model(ctx, r.model)) == r.model, "another model")
	_, err := r.api.model(ctx, "no-such-model")
	r.refused(err, http.StatusNotFound)
}

func (r anthropicRun) badKey(ctx context.Context, nonce string) {
	_, err := r.dial(r.plan.BadKey, -1).message(ctx, r.ask("hello "+nonce))
	expect(!strings.Contains(r.refused(err, http.StatusUnauthorized).body, r.plan.BadKey), "the error repeats the key")
}

func (r anthropicRun) unknownModel(ctx context.Context, nonce string) {
	q := r.ask("hello " + nonce)
	q.model = "no-such-model"
	_, err := r.api.message(ctx, q)
	p := r.refused(err, http.StatusNotFound)
	expect(strings.Contains(p.body, "not_found_error"), "body %s", p.body)
	expect(p.header.Get("X-Sallyport-Reason") != "" && p.header.Get("Request-Id") != "", "headers %v", p.header)
}

func (r anthropicRun) badRequest(ctx context.Context, nonce string) {
	_, err := r.api.message(ctx, r.ask("hello "+nonce+" [[status=400]]"))
	r.refused(err, http.StatusBadRequest)
}

func (r anthropicRun) cancel(ctx context.Context, nonce string) {
	answer := must(r.api.stream(ctx, r.ask("hello "+nonce+" [[frames=3000 gap=20ms]]"), func(pieces int) bool { return pieces < 3 }))
	expect(answer.pieces == 3, "%d pieces, not 3", answer.pieces)
}

// torn demands that a stream ended with the error frame: the typed error of v2, or v1's words.
func (r anthropicRun) torn(err error) bool {
	_, typed := r.api.problem(err)
	return typed || err != nil && strings.Contains(err.Error(), "received error while streaming")
}

func (r anthropicRun) cut(ctx context.Context, nonce string) {
	for _, how := range []string{"reset", "close", "end"} {
		_, err := r.api.stream(ctx, r.ask("hello "+nonce+" [[frames=20 cut=5 how="+how+"]]"), toTheEnd)
		expect(r.torn(err), "cut by %s: %T %v, not an error of the stream", how, err, err)
	}
}

func (r anthropicRun) upstreamError(ctx context.Context, nonce string) {
	_, err := r.api.stream(ctx, r.ask("hello "+nonce+" [[frames=20 error=5]]"), toTheEnd)
	expect(r.torn(err), "%T %v, not an error of the stream", err, err)
}

func (r anthropicRun) retry(ctx context.Context, nonce string) {
	q := r.ask("hello " + nonce + " [[status=429 retry-after=1 times=1]]")
	started := time.Now()
	expectAnswer(q.text, must(r.api.message(ctx, q)).text, nonce)
	expect(time.Since(started) > 900*time.Millisecond, "did not wait for Retry-After")
}

func (r anthropicRun) giveUp(ctx context.Context, nonce string) {
	_, err := r.dial(r.plan.Keys["anthropic"], 1).message(ctx, r.ask("hello "+nonce+" [[status=529 retry-after-ms=10]]"))
	p, typed := r.api.problem(err)
	expect(typed && p.status >= 500, "%T %v", err, err)
}

// bothWays asks once for a whole answer and once for a stream.
func (r anthropicRun) bothWays(ctx context.Context, q question) [2]reply {
	return [2]reply{must(r.api.message(ctx, q)), must(r.api.stream(ctx, q, toTheEnd))}
}

func (r anthropicRun) parallel(ctx context.Context, nonce string) {
	q := r.ask("call get_weather and get_time " + nonce)
	q.tools = bothTools
	for _, answer := range r.bothWays(ctx, q) {
		expectBoth(q.text, answer.calls)
		expect(answer.calls[0].id != "" && answer.calls[1].id != "", "a call without an id: %s", answer.calls)
		expect(answer.stop == "tool_use", "stop reason %q", answer.stop)
	}
}

func (r anthropicRun) structured(ctx context.Context, nonce string) {
	q := r.ask("which city? " + nonce)
	q.format = cityFormat
	for _, answer := range r.bothWays(ctx, q) {
		expect(strings.HasPrefix(city(answer.text), digestOf(q.text)), "answer %q", answer.text)
	}
}

func (r anthropicRun) image(ctx context.Context, nonce string) {
	q := r.ask("what is this? " + nonce)
	q.image = onePixel
	for _, answer := range r.bothWays(ctx, q) {
		expectSeen(answer.text, nonce)
	}
}

func (r anthropicRun) reasoning(ctx context.Context, nonce string) {
	q := r.ask("think about " + nonce)
	q.maxTokens, q.thinking = 4096, 1024
	for _, answer := range r.bothWays(ctx, q) {
		expect(strings.HasPrefix(answer.text, "digest:"), "answer %q", answer.text)
		expect(answer.thinking != "" || !r.plan.Thinks["anthropic"], "no thinking")
	}
}

func (r anthropicRun) long(ctx context.Context, nonce string) {
	q := r.ask(longText(nonce))
	q.maxTokens = 20000
	answers := r.bothWays(ctx, q)
	expectLong(q.text, answers[0].text, answers[1].text, nonce)
}

func (r anthropicRun) askLab() question {
	return question{model: r.plan.Lab["claude"], maxTokens: 16, text: "Say hello."}
}

func (r anthropicRun) labUnary(ctx context.Context, _ string) {
	answer := must(r.api.message(ctx, r.askLab()))
	expect(answer.text != "" && answer.output > 0, "answer %+v", answer)
}

func (r anthropicRun) labStream(ctx context.Context, _ string) {
	expect(must(r.api.stream(ctx, r.askLab(), toTheEnd)).text != "", "no text")
}
