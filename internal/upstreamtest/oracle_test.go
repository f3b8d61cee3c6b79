package upstreamtest

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/tokens"
)

const colour = "Name a random colour. Answer with one word."

// ask posts a chat and returns its decoded answer.
func ask(t testing.TB, s *Server, text, more string) value {
	t.Helper()
	a := do(t, http.DefaultClient, request(t, s, http.MethodPost, "/v1/chat/completions", chatBody(text, more)))
	if a.err != nil || a.StatusCode != http.StatusOK {
		t.Fatalf("status %d, %v: %s", a.StatusCode, a.err, a.body)
	}
	return decode(t, a.body)
}

func content(v value) string { return v.text("choices.0.message.content") }

// sampled counts the answers to a question, each asked for with another nonce.
func sampled(t testing.TB, n int, say func(i int) string) Distribution {
	t.Helper()
	d := Distribution{}
	for i := range n {
		d[say(i)]++
	}
	return d
}

func TestOracleCells(t *testing.T) {
	base := &Oracle{Seed: "a", Family: "f", Entropy: 2}
	for _, question := range []string{colour, "Pick a number from 1 to 100.", "Flip a coin", "Say a word", "Name an animal", "назови цвет"} {
		p := base.Cell("", question)
		if question != "Flip a coin" && math.Abs(p.Entropy()-2) > 1e-6 {
			t.Errorf("%s: entropy %v", question, p.Entropy())
		}
		for _, tv := range []float64{.05, .1, .4, .7, .95, 1} {
			q := (&Oracle{Seed: "b", Family: "f", Entropy: 2, Distance: tv}).Cell("", question)
			if got := p.TV(q); math.Abs(got-tv) > 1e-6 {
				t.Errorf("%s: distance %v, want %v", question, got, tv)
			}
		}
		if tv := p.TV((&Oracle{Seed: "a", Family: "g", Entropy: 2}).Cell("", question)); question != "Flip a coin" && tv < .01 {
			t.Errorf("%s: an unrelated family is at %v", question, tv)
		}
	}
	nonced := base.Cell("", "nonce-a8Xy: name a random COLOUR! answer with one word (4f3a99c0de)")
	if tv := nonced.TV(base.Cell("", colour)); tv != 0 {
		t.Errorf("nonces move a cell by %v", tv)
	}
	moody := &Oracle{Family: "f", SystemTV: .3}
	if tv := moody.Cell("", colour).TV(moody.Cell("You are a pirate.", colour)); math.Abs(tv-.3) > 1e-6 {
		t.Errorf("a system prompt moves a cell by %v", tv)
	}
}

// TestOracleDraws compares what is drawn over HTTP with the cell it is drawn from.
func TestOracleDraws(t *testing.T) {
	o := &Oracle{Seed: "a", Family: "f", Cells: []Cell{{regexp.MustCompile("^weather"), Distribution{"sun": 3, "rain": 1}}}}
	s := start(t, Config{Oracle: o})
	draw := func(question, more string) Distribution {
		return sampled(t, 600, func(i int) string { return content(ask(t, s, fmt.Sprintf("%s nonce-%d", question, i), more)) })
	}
	if tv := draw(colour, "").TV(o.Cell("", colour)); tv > .1 {
		t.Errorf("600 draws are at %v from their cell", tv)
	}
	if d := draw("Weather?", ""); math.Abs(d["sun"]-450) > 45 {
		t.Errorf("a table of 3 to 1 gives %v", d)
	}
	if hot := draw(colour, `,"temperature":2`); hot.Entropy() < o.Cell("", colour).Entropy()+.3 {
		t.Errorf("temperature 2 gives %v bits", hot.Entropy())
	}
	if cold := draw(colour, `,"temperature":0`); len(cold) != 1 {
		t.Errorf("temperature 0 gives %v", cold)
	}
	if narrow := draw(colour, `,"top_p":0.01`); len(narrow) != 1 {
		t.Errorf("a nucleus of one gives %v", narrow)
	}
	if seeded := sampled(t, 20, func(int) string { return content(ask(t, s, colour, `,"seed":7`)) }); len(seeded) != 1 {
		t.Errorf("one seed gives %v", seeded)
	}
	many := ask(t, s, colour, `,"n":8`)
	if got := sampled(t, 8, func(i int) string { return many.text(fmt.Sprintf("choices.%d.message.content", i)) }); len(got) < 2 {
		t.Errorf("eight choices are all %v", got)
	}
}

func TestOracleAccuracy(t *testing.T) {
	solve := func(prompt string) (string, string, bool) {
		var a, b int
		_, err := fmt.Sscanf(prompt, "%d+%d", &a, &b)
		return fmt.Sprint(a + b), fmt.Sprint(a + b + 1), err == nil
	}
	s := start(t, Config{Oracle: &Oracle{Solve: solve, Accuracy: .9, LowEffort: .5}})
	for more, want := range map[string]float64{"": .9, `,"reasoning_effort":"low"`: .5, `,"temperature":0`: .9} {
		right := 0.0
		for i := range 400 {
			if content(ask(t, s, fmt.Sprintf("%d+1", i), more)) == fmt.Sprint(i+1) {
				right++
			}
		}
		if math.Abs(right/400-want) > .08 {
			t.Errorf("%q: %v of the answers are right, want %v", more, right/400, want)
		}
	}
}

func TestOracleObeys(t *testing.T) {
	o200k := tokens.Of("gpt-4o")
	s := start(t, Config{Oracle: &Oracle{Seed: "a", Tokens: o200k}})
	chat := func(messages, more string) value {
		return decode(t, ok(t, s, "/v1/chat/completions", `{"model":"gpt-5-mini","messages":`+messages+more+`}`).body)
	}
	filler := strings.Repeat("Nothing to see on this line.\n", 50)
	document, _ := json.Marshal(filler + "KEY-alpha: 7 blue birds\n" + filler + "KEY-beta = nine\n" + filler + "\nWhat is the value of KEY-alpha?")
	verbatim, _ := json.Marshal("Copy what stands between the lines verbatim.\n<<<<<<\npip install requests\n  https://example.org/a?b=c\n>>>>>>\nNothing else.")
	for name, c := range map[string]struct{ messages, more, want string }{
		"code word":   {`[{"role":"system","content":"The code word is zephyr42."},{"role":"user","content":"What is the code word?"}]`, "", "zephyr42"},
		"no code":     {`[{"role":"user","content":"What is the code word?"}]`, "", "I was not told a code word."},
		"needle":      {`[{"role":"user","content":` + string(document) + `}]`, "", "7 blue birds"},
		"lost needle": {`[{"role":"user","content":"What is KEY-gamma?"}]`, "", "I cannot find KEY-gamma in the text."},
		"copy":        {`[{"role":"user","content":` + string(verbatim) + `}]`, "", "pip install requests\n  https://example.org/a?b=c"},
		"repeat":      {`[{"role":"user","content":"Repeat exactly: npm i left-pad"}]`, "", "npm i left-pad"},
		"stop":        {`[{"role":"user","content":"Repeat exactly: one two three"}]`, `,"stop":[" three"]`, "one two"},
		"length":      {`[{"role":"user","content":"Repeat exactly: one two three four"}]`, `,"max_tokens":2`, "one two"},
		"bias":        {`[{"role":"user","content":"Say hello"}]`, `,"max_tokens":1,"logit_bias":{"24912":100}`, "hello"},
		"schema": {
			`[{"role":"user","content":"Write a poem"}]`,
			`,"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object","properties":{"a":{"const":"q7"},"b":{"enum":["z"]}}}}}`,
			`{"a":"q7","b":"z"}`,
		},
	} {
		if got := content(chat(c.messages, c.more)); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	v := chat(`[{"role":"user","content":"Repeat exactly: one two three four"}]`, `,"max_tokens":2`)
	equal(t, "finish reason", v.text("choices.0.finish_reason"), "length")
	equal(t, "completion tokens", v.num("usage.completion_tokens"), "2")
	v = chat(`[{"role":"user","content":"Call the tool with `+"`rm -i x.txt`"+` as it is."}]`,
		`,"tool_choice":"required","tools":[{"type":"function","function":{"name":"run","parameters":{"type":"object","properties":{"command":{"type":"string"}}}}}]`)
	equal(t, "arguments", v.text("choices.0.message.tool_calls.0.function.arguments"), `{"command":"rm -i x.txt"}`)
	v = chat(`[{"role":"user","content":"Repeat exactly: one two"}]`, `,"logprobs":true,"top_logprobs":2`)
	equal(t, "tokens with logprobs", v.len("choices.0.logprobs.content"), 2)
	equal(t, "second token", v.text("choices.0.logprobs.content.1.token"), " two")
	equal(t, "alternatives", v.len("choices.0.logprobs.content.1.top_logprobs"), 2)
}

// TestOracleUsage counts as the vocabulary named does: the figures are tiktoken's.
func TestOracleUsage(t *testing.T) {
	for model, want := range map[string][2]string{"gpt-4o": {"13", "8"}, "gpt-4": {"13", "9"}, "": {"14", "7"}} {
		s := start(t, Config{Oracle: &Oracle{Tokens: tokens.Of(model), Reasoning: 100}})
		prompt := ask(t, s, "antidisestablishmentarianism", "")
		answer := ask(t, s, "Echo exactly: お誕生日おめでとう", `,"reasoning_effort":"none"`)
		if got := [2]string{prompt.num("usage.prompt_tokens"), answer.num("usage.completion_tokens")}; got != want {
			t.Errorf("%s: %v, want %v", model, got, want)
		}
		equal(t, "reasoning", ask(t, s, colour, `,"reasoning_effort":"high"`).num("usage.completion_tokens_details.reasoning_tokens"), "200")
	}
}

// TestOracleStyle tells models apart by the words of their prose: two of one family
// at distance 0 are closer than two at .4, and these than unrelated ones.
func TestOracleStyle(t *testing.T) {
	words := func(o *Oracle) Distribution {
		s := start(t, Config{Oracle: o})
		d := Distribution{}
		for range 60 {
			for _, w := range strings.Fields(normalise(content(ask(t, s, "Write an essay on gates and guards.", "")))) {
				d[w]++
			}
		}
		return d
	}
	base := words(&Oracle{Seed: "a", Family: "f"})
	same := base.TV(words(&Oracle{Seed: "b", Family: "f"}))
	sibling := base.TV(words(&Oracle{Seed: "c", Family: "f", Distance: .4}))
	unrelated := base.TV(words(&Oracle{Seed: "d", Family: "g"}))
	if !(same < sibling-.03 && sibling < unrelated-.03) {
		t.Errorf("same %v, sibling %v, unrelated %v", same, sibling, unrelated)
	}
}

func TestOracleRefuses(t *testing.T) {
	s := start(t, Config{Oracle: &Oracle{}})
	for more, want := range map[string]struct{ param, code string }{
		`,"zephyr":1`:                {"zephyr", "unknown_parameter"},
		`,"temperature":2.5`:         {"temperature", "decimal_above_max_value"},
		`,"temperature":"hot"`:       {"temperature", "invalid_type"},
		`,"top_p":-1`:                {"top_p", "decimal_below_min_value"},
		`,"max_tokens":0`:            {"max_tokens", "integer_below_min_value"},
		`,"logit_bias":{"5":101}`:    {"logit_bias.5", "decimal_above_max_value"},
		`,"top_logprobs":2`:          {"top_logprobs", ""},
		`,"presence_penalty":-2.001`: {"presence_penalty", "decimal_below_min_value"},
	} {
		a := post(t, s, "/v1/chat/completions", chatBody("hi", more))
		v := decode(t, a.body)
		if a.StatusCode != http.StatusBadRequest || v.text("error.param") != want.param || v.text("error.code") != want.code {
			t.Errorf("%s: %d %s", more, a.StatusCode, a.body)
		}
	}
	a := post(t, s, "/v1/chat/completions", strings.Replace(chatBody("hi", ""), "gpt-5-mini", "gpt-9", 1))
	equal(t, "status of an unknown model", a.StatusCode, http.StatusNotFound)
	r := request(t, s, http.MethodPost, "/v1/chat/completions", chatBody("hi", ""))
	r.Header.Set("Authorization", "Bearer wrong-key")
	equal(t, "status of a wrong key", do(t, client(t), r).StatusCode, http.StatusUnauthorized)
	c := start(t, Config{Vendor: Anthropic, Oracle: &Oracle{}})
	b := post(t, c, "/v1/messages", messagesBody("hi", `,"zephyr":1`))
	if b.StatusCode != http.StatusBadRequest || !strings.Contains(string(b.body), "zephyr: Extra inputs are not permitted") {
		t.Errorf("%d %s", b.StatusCode, b.body)
	}
	for _, bad := range []Oracle{{Distance: 2}, {Accuracy: math.NaN()}, {Rate: -1}, {Cells: []Cell{{}}}} {
		if _, err := Start(Config{Oracle: &bad}); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

func TestOracleOtherForms(t *testing.T) {
	claude := start(t, Config{Vendor: Anthropic, Oracle: &Oracle{Family: "f"}})
	v := decode(t, ok(t, claude, "/v1/messages", messagesBody("Repeat exactly: one two three", `,"stop_sequences":[" three"]`)).body)
	equal(t, "text", v.text("content.0.text"), "one two")
	equal(t, "stop reason", v.text("stop_reason"), "stop_sequence")
	equal(t, "stop sequence", v.text("stop_sequence"), " three")
	stream := ok(t, claude, "/v1/messages", messagesBody("Repeat exactly: one two three", `,"stream":true`)).body
	equal(t, "deltas of a streamed message", strings.Count(string(stream), "text_delta"), 4)
	gemini := start(t, Config{Vendor: Gemini, Oracle: &Oracle{Family: "f"}})
	path := "/v1beta/models/gemini-2.5-flash:generateContent"
	v = decode(t, ok(t, gemini, path, generateBody(colour, `,"generationConfig":{"temperature":0}`)).body)
	if got := v.text("candidates.0.content.parts.0.text"); got != (&Oracle{Family: "f"}).Cell("", colour).likeliest(1)[0] {
		t.Errorf("Gemini's form says %q", got)
	}
}

// TestOraclePace bounds from below what takes time, which no load can break, and
// looks at the times drawn for the rest.
func TestOraclePace(t *testing.T) {
	s := start(t, Config{Oracle: &Oracle{First: 30 * time.Millisecond, Rate: 1000}})
	for _, more := range []string{"", `,"stream":true`} {
		began := time.Now()
		ok(t, s, "/v1/chat/completions", chatBody("Repeat exactly: "+strings.Repeat("abcd", 40), more))
		if took := time.Since(began); took < 70*time.Millisecond {
			t.Errorf("40 tokens at 1,000 a second after 30 ms took %v", took)
		}
	}
	x := &exchange{s: &Server{cfg: Config{Oracle: &Oracle{Rate: 100, Jitter: .5}}}}
	x.drawn.random = source("x")
	p, gaps := x.pace(), []float64{}
	for range 4000 {
		gaps = append(gaps, p.gap().Seconds())
	}
	mean, square := 0.0, 0.0
	for _, g := range gaps {
		mean += g / 4000
		square += g * g / 4000
	}
	if cv := math.Sqrt(square-mean*mean) / mean; math.Abs(mean-.01) > .0005 || math.Abs(cv-.5) > .05 || slices.Min(gaps) <= 0 {
		t.Errorf("mean %v s, coefficient of variation %v", mean, cv)
	}
}
