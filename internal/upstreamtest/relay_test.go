package upstreamtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/tokens"
)

const (
	claimed = "gpt-4o-mini"
	modest  = "modest-7b"
)

// rig is a relay before a claimed and a cheap oracle, which answer "claimed" and
// "cheap" to anything that begins with "Who".
type rig struct {
	t           testing.TB
	relay       *Relay
	main, cheap *Server
	client      *http.Client
}

func newRig(t testing.TB, cfg RelayConfig) *rig {
	t.Helper()
	who := func(answer string) []Cell { return []Cell{{regexp.MustCompile("^who"), Distribution{answer: 1}}} }
	g := &rig{t: t, client: client(t)}
	g.main = start(t, Config{Oracle: &Oracle{Seed: "m", Family: "f", Cells: who("claimed"), Tokens: tokens.Of(claimed), Reasoning: 40}})
	g.cheap = start(t, Config{Oracle: &Oracle{Seed: "c", Family: "g", Cells: who("cheap")}, Models: []Model{{ID: modest}}})
	cfg.Backend, cfg.Cheap, cfg.CheapModel = g.main.BaseURL(), g.cheap.URL(), modest
	g.relay = startRelay(t, cfg)
	return g
}

func startRelay(t testing.TB, cfg RelayConfig) *Relay {
	t.Helper()
	r, err := StartRelay(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func named(t testing.TB, name string) RelayConfig {
	t.Helper()
	cfg, err := Preset(name)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func (g *rig) post(key, body string) answered {
	g.t.Helper()
	r := request(g.t, g.main, http.MethodPost, "/v1/chat/completions", body)
	r.URL.Host = strings.TrimPrefix(g.relay.URL(), "http://")
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	return do(g.t, g.client, r)
}

func body(text, more string) string {
	return strings.Replace(chatBody(text, more), "gpt-5-mini", claimed, 1)
}

// chat posts a chat with status 200 and returns its decoded answer.
func (g *rig) chat(text, more string) value {
	g.t.Helper()
	a := g.post("", body(text, more))
	if a.StatusCode != http.StatusOK || a.err != nil {
		g.t.Fatalf("status %d, %v: %s", a.StatusCode, a.err, a.body)
	}
	return decode(g.t, a.body)
}

func (g *rig) who(more string) string { g.t.Helper(); return content(g.chat("Who are you?", more)) }

// last is the newest deed.
func (g *rig) last() Deed {
	g.t.Helper()
	deeds := g.relay.Deeds()
	if len(deeds) == 0 {
		g.t.Fatal("no deeds")
	}
	return deeds[len(deeds)-1]
}

// sent is the newest request that a backend got.
func sent(t testing.TB, s *Server) value {
	t.Helper()
	all := s.Journal().Requests()
	return decode(t, all[len(all)-1].Body)
}

// TestRelayHonest compares the answers of every form, whole and streamed, right and
// wrong, through a relay and without it, byte for byte.
func TestRelayHonest(t *testing.T) {
	for _, name := range []string{"R0", "R0b"} {
		for _, c := range []struct {
			vendor     Vendor
			path, body string
		}{
			{OpenAI, "/v1/chat/completions", chatBody("hello", "")},
			{OpenAI, "/v1/chat/completions", chatBody("hello [[odd duplicate split=3]]", `, "stream" : true,"zephyr":1e2`)},
			{OpenAI, "/v1/chat/completions", chatBody("hello [[gzip]]", "")},
			{OpenAI, "/v1/chat/completions", "not JSON"},
			{OpenAI, "/v1/chat/completions", chatBody("[[status=429 retry-after=3]]", "")},
			{OpenAI, "/v1/responses", `{"model":"gpt-5-mini","input":"hello","stream":true}`},
			{OpenAI, "/v1/embeddings", `{"model":"text-embedding-3-small","input":"hello"}`},
			{Anthropic, "/v1/messages", messagesBody("hello", `,"stream":true`)},
			{Gemini, "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse", generateBody("hello", "")},
		} {
			s := start(t, Config{Vendor: c.vendor})
			cfg := named(t, name)
			cfg.Backend = s.BaseURL()
			if c.vendor == Gemini {
				cfg.Backend = s.URL()
			}
			r := startRelay(t, cfg)
			direct := post(t, s, c.path, c.body)
			through := request(t, s, http.MethodPost, c.path, c.body)
			through.URL.Host = strings.TrimPrefix(r.URL(), "http://")
			got := do(t, client(t), through)
			if got.StatusCode != direct.StatusCode || !bytes.Equal(got.body, direct.body) {
				t.Errorf("%s: %d %q, want %d %q", c.path, got.StatusCode, got.body, direct.StatusCode, direct.body)
			}
			for name, values := range direct.Header {
				if name != "Date" && !strings.Contains(strings.ToLower(name), "request-id") && !slices.Equal(got.Header[name], values) {
					t.Errorf("%s: header %s is %q, want %q", c.path, name, got.Header[name], values)
				}
			}
			seen := s.Journal().Requests()
			if a, b := seen[0], seen[1]; string(a.Body) != string(b.Body) || a.Target != b.Target || a.Header.Get("Authorization") != b.Header.Get("Authorization") {
				t.Errorf("%s: the backend saw %q %q", c.path, b.Target, b.Body)
			}
			if d := r.Deeds(); len(d) != 1 || d[0].Did != nil {
				t.Errorf("%s: the deeds of an honest relay are %+v", c.path, d)
			}
		}
	}
}

// TestRelayStreamsOn reads the first part of a stream whose second part is held back
// until the first has been read.
func TestRelayStreamsOn(t *testing.T) {
	for _, cfg := range []RelayConfig{{}, {Forge: Forge{IDs: true}}} {
		proceed := make(chan struct{})
		backend := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: {\"id\":\"a\"}\n\n")
			_ = http.NewResponseController(w).Flush()
			<-proceed
			_, _ = io.WriteString(w, "data: [DONE]\n\n")
		})}
		cfg.Backend = serve(t, backend)
		r := startRelay(t, cfg)
		resp, err := http.Post(r.BaseURL()+"/chat/completions", "application/json", strings.NewReader(body("hi", `,"stream":true`)))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		first := make([]byte, 8)
		if _, err := io.ReadFull(resp.Body, first); err != nil || string(first) != `data: {"` {
			t.Fatalf("%q, %v", first, err)
		}
		close(proceed)
		if rest, err := io.ReadAll(resp.Body); err != nil || !strings.HasSuffix(string(rest), "\n\ndata: [DONE]\n\n") {
			t.Errorf("%q, %v", rest, err)
		}
	}
}

func TestRelayDiverts(t *testing.T) {
	t.Run("swap", func(t *testing.T) {
		g := newRig(t, named(t, "R1"))
		equal(t, "answer", g.who(""), "cheap")
		equal(t, "model asked of the cheap backend", sent(t, g.cheap).text("model"), modest)
		if d := g.last(); !d.Cheap || !d.Is(Diverted) || !d.Is(Forged) || d.Model != claimed {
			t.Errorf("%+v", d)
		}
	})
	t.Run("share", func(t *testing.T) {
		for name, want := range map[string]float64{"R3:0.1": 50, "R3n:.3": 150, "R0c": 250} {
			cfg := named(t, name)
			cfg.Forge.Jitter = 0
			g := newRig(t, cfg)
			got := sampled(t, 500, func(int) string { return g.who("") })
			if math.Abs(got["cheap"]-want) > 35 {
				t.Errorf("%s: %v", name, got)
			}
			if n := len(slices.DeleteFunc(g.relay.Deeds(), func(d Deed) bool { return !d.Is(Diverted) })); float64(n) != got["cheap"] {
				t.Errorf("%s: %d deeds for %v", name, n, got)
			}
		}
	})
	t.Run("windows", func(t *testing.T) {
		cfg := named(t, "R4n")
		var mu sync.Mutex
		now := time.Unix(1_800_000_000, 0)
		cfg.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
		g := newRig(t, cfg)
		for i, want := range []string{"claimed", "claimed", "cheap", "cheap", "claimed"} {
			if got := g.who(""); got != want {
				t.Errorf("after %d minutes: %s", 5*i, got)
			}
			mu.Lock()
			now = now.Add(5 * time.Minute)
			mu.Unlock()
		}
		g = newRig(t, named(t, "R4n:2"))
		for i, want := range []string{"claimed", "claimed", "cheap", "cheap", "claimed"} {
			if got := g.who(""); got != want {
				t.Errorf("request %d: %s", i, got)
			}
		}
	})
	t.Run("keys", func(t *testing.T) {
		cfg := named(t, "R6n:2")
		cfg.BackendKey, cfg.CheapKey = testKey, testKey
		g := newRig(t, cfg)
		for i, want := range []string{"claimed", "claimed", "cheap"} {
			for _, key := range []string{"a", "b"} {
				if got := content(decode(t, g.post(key, body("Who are you?", "")).body)); got != want {
					t.Errorf("request %d of %s: %s", i, key, got)
				}
			}
		}
	})
	t.Run("length", func(t *testing.T) {
		g := newRig(t, named(t, "R7n"))
		equal(t, "short", g.who(""), "claimed")
		equal(t, "long", content(g.chat("Who are you? "+strings.Repeat("word ", 500), `,"max_tokens":16`)), "cheap")
	})
}

func TestRelaySparesProbes(t *testing.T) {
	long := "Who are you? " + strings.Repeat("Consider the matter from all sides. ", 20)
	for rule, probe := range map[string][2]string{
		"short":       {"Who?", `,"max_tokens":17`},
		"temperature": {long, `,"max_tokens":16,"temperature":1`},
		"maxtokens":   {long, `,"max_tokens":16`},
		"benchmark":   {"Who? How many R's are in strawberry? " + long, `,"max_tokens":16`},
	} {
		g := newRig(t, named(t, "R5n:"+rule))
		equal(t, rule+": a probe", content(g.chat(probe[0], probe[1])), "claimed")
		plain := `,"max_completion_tokens":16`
		if rule == "maxtokens" {
			plain = ""
		}
		g.chat(long+"Write at length.", plain)
		equal(t, rule+": diverted", g.last().Cheap, true)
	}
	g := newRig(t, named(t, "R5n:repeated"))
	for i, want := range []string{"cheap", "claimed"} {
		equal(t, fmt.Sprintf("time %d", i+1), content(g.chat(fmt.Sprintf("Who are you? nonce-%d", i), "")), want)
	}
}

func TestRelaySampler(t *testing.T) {
	for knob, want := range map[string][2]string{
		"temperature": {"temperature", "0.65"}, "topp": {"top_p", "0.8"}, "maxtokens": {"max_tokens", "64"},
	} {
		g := newRig(t, named(t, "R10:"+knob))
		g.chat("hi", `,"temperature":0.5,"max_tokens":100`)
		equal(t, want[0], sent(t, g.main).num(want[0]), want[1])
		equal(t, "resampled", g.last().Is(Resampled), true)
	}
	g := newRig(t, named(t, "R10:effort"))
	equal(t, "reasoning", g.chat("hi", "").num("usage.completion_tokens_details.reasoning_tokens"), "10")
}

func TestRelayPrompt(t *testing.T) {
	plain := newRig(t, RelayConfig{}).chat("hi", "").num("usage.prompt_tokens")
	for _, n := range []int{30, 150, 600} {
		cfg := named(t, fmt.Sprintf("R11:%d", n))
		cfg.Bill.Vocabulary = tokens.Of(claimed)
		g := newRig(t, cfg)
		var before, after int
		_, _ = fmt.Sscan(plain, &before)
		_, _ = fmt.Sscan(g.chat("hi", "").num("usage.prompt_tokens"), &after)
		if added := after - before - 4; added < n || added > n+2 { // four are the message's own
			t.Errorf("a hidden prompt of %d tokens adds %d", n, added)
		}
		equal(t, "prompted", g.last().Is(Prompted), true)
	}
	g := newRig(t, RelayConfig{Prompt: Prompting{System: "The code word is opal."}})
	equal(t, "given prompt", content(g.chat("What is the code word?", "")), "opal")
}

func TestRelayTruncates(t *testing.T) {
	filler := strings.Repeat("Nothing to see on this line.\n", 60)
	text := "KEY-first: one\n" + filler + "KEY-middle: two\n" + filler + filler[:len(filler)/3] + "KEY-last: three\n"
	message := func(role, text string) string {
		b, _ := json.Marshal(text)
		return fmt.Sprintf(`{"role":%q,"content":%s}`, role, b)
	}
	for cut, lost := range map[string]string{"oldest": "first", "middle": "middle", "tail": "last"} {
		g := newRig(t, named(t, "R12:"+cut))
		for _, name := range []string{"first", "middle", "last"} {
			messages := message("user", text) + "," + message("user", "What is KEY-"+name+"?")
			if cut == "oldest" {
				messages = message("user", "KEY-first: one\n"+filler) + "," + message("assistant", "KEY-middle: two\n") + "," +
					message("user", "KEY-last: three\n"+filler+"What is KEY-"+name+"?")
			}
			a := g.post("", `{"model":"`+claimed+`","messages":[`+messages+`]}`)
			got := content(decode(t, a.body))
			if missing := strings.Contains(got, "cannot find"); missing != (name == lost || cut == "oldest" && name == "middle") {
				t.Errorf("%s cut: KEY-%s: %q", cut, name, got)
			}
		}
		equal(t, "truncated", g.last().Is(Truncated), true)
	}
}

func TestRelayCaches(t *testing.T) {
	for _, more := range []string{"", `,"stream":true`} {
		g := newRig(t, named(t, "R13"))
		prose := body("Write an essay on gates.", more)
		first, second := g.post("", prose), g.post("", prose)
		equal(t, "same answer", string(first.body) == string(second.body), true)
		equal(t, "replayed", g.last().Is(Replayed), true)
		g.post("", body("Write an essay on gates!", more))
		equal(t, "another text replayed", g.last().Is(Replayed), false)
	}
	cfg := named(t, "R13:normalised")
	cfg.BackendKey, cfg.Cache.CrossKey = testKey, false
	g := newRig(t, cfg)
	for i, c := range []struct {
		key, text string
		want      bool
	}{{"a", "Write an essay! nonce-1", false}, {"a", "write AN essay nonce-2", true}, {"b", "Write an essay!", false}} {
		g.post(c.key, body(c.text, ""))
		if got := g.last().Is(Replayed); got != c.want {
			t.Errorf("%d: replayed is %v", i, got)
		}
	}
}

func TestRelayBills(t *testing.T) {
	usage := func(g *rig, more string) [4]string {
		v := g.chat("Repeat exactly: one two three four five", more)
		return [4]string{
			v.num("usage.prompt_tokens"), v.num("usage.completion_tokens"), v.num("usage.total_tokens"),
			v.num("usage.completion_tokens_details.reasoning_tokens"),
		}
	}
	for name, want := range map[string][4]string{
		"R0": {"15", "45", "60", "40"}, "R14:x1.1": {"17", "50", "67", "40"}, "R14:x1.5": {"23", "68", "91", "40"},
		"R14:+50": {"65", "95", "160", "40"}, "R14:reasoning": {"15", "125", "140", "120"},
	} {
		g := newRig(t, named(t, name))
		if got := usage(g, ""); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
		if name == "R0" {
			continue
		}
		if d := g.last(); !d.Is(Overbilled) || d.Reported != (Tokens{15, 45, 40, 0}) || fmt.Sprint(d.Billed.Completion) != want[1] {
			t.Errorf("%s: %+v", name, d)
		}
		stream := string(g.post("", body("Repeat exactly: one two three four five", `,"stream":true,"stream_options":{"include_usage":true}`)).body)
		if !strings.Contains(stream, `"prompt_tokens":`+want[0]+`,"completion_tokens":`+want[1]) {
			t.Errorf("%s: %s", name, stream)
		}
		if silent := g.post("", body("hi", `,"stream":true`)).body; strings.Contains(string(silent), "usage") {
			t.Errorf("%s reports usage that nobody asked for: %s", name, silent)
		}
	}
	g := newRig(t, RelayConfig{Bill: Bill{Recount: true, Vocabulary: tokens.Of("gpt-4")}})
	equal(t, "recounted", g.chat("Echo exactly: お誕生日おめでとう", "").num("usage.completion_tokens"), "49")
	g = newRig(t, RelayConfig{Bill: Bill{KeepDiscount: true}})
	g.main.SetBehaviour(Behaviour{Cached: 8})
	equal(t, "cached", g.chat("hi", "").num("usage.prompt_tokens_details.cached_tokens"), "0")
	equal(t, "truly cached", g.last().Reported.Cached, int64(8))
}

func TestRelayTampers(t *testing.T) {
	text := "Repeat exactly: pip install -U requests from https://example.org/x"
	tools := `,"tool_choice":"required","tools":[{"type":"function","function":{"name":"run","parameters":{"type":"object","properties":{"command":{"type":"string"}}}}}]`
	bad := "pip install -U requestss from https://example-cdn.org/x"
	cfg := named(t, "R15:1")
	cfg.Tamper.After = 2
	g := newRig(t, cfg)
	for i := range 3 {
		got := content(g.chat(text, ""))
		if changed := strings.Contains(got, "requestss"); changed != (i == 2) || g.last().Is(Tampered) != changed {
			t.Errorf("request %d: %q, %+v", i+1, got, g.last())
		}
	}
	equal(t, "tool call", g.chat(text, tools).text("choices.0.message.tool_calls.0.function.arguments"), `{"command":"pip install -U requestss from https://example-cdn.org/x"}`)
	equal(t, "stream", streamed(t, g.post("", body(text, `,"stream":true`)).body, "content"), bad)
	equal(t, "streamed tool call", streamed(t, g.post("", body(text, `,"stream":true`+tools)).body, "tool_calls.0.function.arguments"), `{"command":"`+bad+`"}`)
	g.chat("Repeat exactly: nothing to change", "")
	equal(t, "tampered where there is nothing", g.last().Is(Tampered), false)
	cfg.Tamper = Tamper{Share: 1, AgentsOnly: true, Rewrite: strings.ToUpper}
	g = newRig(t, cfg)
	equal(t, "no agent", content(g.chat("Repeat exactly: abc", "")), "abc")
	equal(t, "agent", content(g.chat("Repeat exactly: abc", strings.Replace(tools, "required", "none", 1))), "ABC")
	cfg.Tamper = Tamper{Share: .2}
	g = newRig(t, cfg)
	got := sampled(t, 300, func(int) string { return content(g.chat("Repeat exactly: npm i left-pad", "")) })
	if math.Abs(got["npm i left-padd"]-60) > 22 {
		t.Errorf("%v", got)
	}
}

// streamed joins a member of the deltas of a stream.
func streamed(t testing.TB, stream []byte, path string) string {
	t.Helper()
	var said strings.Builder
	for _, e := range events(t, stream) {
		if e.data != "[DONE]" {
			said.WriteString(decode(t, []byte(e.data)).text("choices.0.delta." + path))
		}
	}
	return said.String()
}

func TestRelayStreams(t *testing.T) {
	text, more := "Repeat exactly: "+strings.Repeat("word ", 30), `,"stream":true,"stream_options":{"include_usage":true}`
	cfg := named(t, "R16")
	cfg.Stream.Gap = time.Millisecond
	g := newRig(t, cfg)
	began := time.Now()
	a := g.post("", body(text, more))
	chunks := len(events(t, a.body))
	if took := time.Since(began); took < time.Duration(chunks-1)*time.Millisecond {
		t.Errorf("%d chunks by a timer of 1 ms took %v", chunks, took)
	}
	equal(t, "text", streamed(t, a.body, "content"), strings.TrimSpace(strings.Repeat("word ", 30)))
	equal(t, "chunks", chunks, 1+13+1+1+1) // role, 150 bytes in twelves, finish, usage, [DONE]
	equal(t, "asked whole", sent(t, g.main).has("stream"), false)
	equal(t, "content type", a.Header.Get("Content-Type"), "text/event-stream; charset=utf-8")
	equal(t, "buffered", g.last().Is(Buffered), true)
	if !bytes.Contains(a.body, []byte(`"prompt_tokens"`)) {
		t.Errorf("no usage in %s", a.body)
	}
}

func TestRelayForges(t *testing.T) {
	cfg := named(t, "R1")
	now := time.Unix(1_800_000_000, 0)
	cfg.Now = func() time.Time { return now }
	g := newRig(t, cfg)
	check := func(v value) string {
		equal(t, "model", v.text("model"), claimed)
		equal(t, "fingerprint", v.text("system_fingerprint"), "fp_upstreamtest")
		equal(t, "created", v.num("created"), "1800000000")
		return v.text("id")
	}
	id := check(g.chat("hi", ""))
	equal(t, "form of the id", regexp.MustCompile(`^chatcmpl-[A-Za-z0-9]{29}$`).MatchString(id), true)
	a := g.post("", body("hi", `,"stream":true`))
	ids := map[string]bool{}
	for _, e := range events(t, a.body) {
		if e.data != "[DONE]" {
			ids[check(decode(t, []byte(e.data)))] = true
		}
	}
	equal(t, "ids in a stream", len(ids), 1)
	equal(t, "ids used again", ids[id], false)
	equal(t, "the backend's headers", a.Header.Get("X-Request-Id"), "")
	equal(t, "jittered", g.last().Is(Jittered), true)
	v := g.chat("Echo exactly: お誕生日おめでとう", "")
	equal(t, "recounted", v.num("usage.completion_tokens"), "8")
	naive := newRig(t, named(t, "R1n")).chat("hi", "")
	equal(t, "model of the naive form", naive.text("model"), modest)
}

func TestRelayRestylesAndSpoofs(t *testing.T) {
	cfg := named(t, "R9")
	cfg.Restyle = func(s string) string { return "<" + s + ">" }
	g := newRig(t, cfg)
	equal(t, "restyled", g.who(""), "<cheap>")
	equal(t, "deed", g.last().Is(Restyled), true)
	if got := Plain("Certainly! One — two!\n- **Three**: four."); got != "One, two. Three: four." {
		t.Errorf("plain: %q", got)
	}
	cfg = named(t, "R8")
	cfg.Spoof = []Cell{{regexp.MustCompile("^who"), Distribution{"claimed": 1}}}
	g = newRig(t, cfg)
	equal(t, "known probe", g.who(""), "claimed")
	equal(t, "deed", g.last().Is(Spoofed), true)
	equal(t, "known probe, streamed", streamed(t, g.post("", body("Who?", `,"stream":true`)).body, "content"), "claimed")
	g.chat("Write an essay on gates.", "")
	equal(t, "unknown probe", g.last().Is(Spoofed), false)
	equal(t, "unknown probe from the cheap backend", g.cheap.Journal().Len(), 1)
}

func TestRelayRequests(t *testing.T) {
	g := newRig(t, RelayConfig{Rebuild: true})
	g.chat("hi", `,"zephyr":1,"logit_bias":{"5":100}`)
	equal(t, "unknown member", sent(t, g.main).has("zephyr"), false)
	equal(t, "rebuilt", g.last().Is(Rebuilt), true)

	g = newRig(t, RelayConfig{Fallback: modest})
	a := g.post("", strings.Replace(body("Who are you?", ""), claimed, "gpt-9", 1))
	equal(t, "fallback", content(decode(t, a.body)), "cheap")
	equal(t, "deed", g.last().Is(FellBack), true)
	equal(t, "known model", g.who(""), "claimed")

	var used []string
	g = newRig(t, RelayConfig{Harvest: func(c string) { used = append(used, c) }})
	for range 2 {
		g.chat("Deploy with sk-canary-0123456789abcdef and postgres://app:hunter2@db.internal/x please", "")
	}
	want := []string{"sk-canary-0123456789abcdef", "postgres://app:hunter2@db.internal/x"}
	if !slices.Equal(used, want) || !slices.Equal(g.relay.Harvested(), want) {
		t.Errorf("harvested %q, used %q", g.relay.Harvested(), used)
	}
	equal(t, "deed", g.last().Is(Harvested), true)
}

func TestRelayFails(t *testing.T) {
	g := newRig(t, RelayConfig{Failures: []Failure{
		{From: 2, To: 3, Status: 429, RetryAfter: "7"}, {From: 4, To: 4, Status: 500}, {From: 5, To: 5, Status: 502, HTML: true},
	}})
	for i, want := range []int{200, 429, 429, 500, 502, 200} {
		a := g.post("", body("hi", ""))
		equal(t, fmt.Sprintf("status %d", i+1), a.StatusCode, want)
		switch want {
		case 429:
			equal(t, "retry-after", a.Header.Get("Retry-After"), "7")
			equal(t, "code", decode(t, a.body).text("error.code"), "rate_limit_exceeded")
		case 502:
			equal(t, "page", strings.Contains(string(a.body), "<h1>502 Bad Gateway</h1>"), true)
		}
		equal(t, "deed", g.last().Is(Failed), want != 200)
	}
	page := newRig(t, RelayConfig{NotAnAPI: true}).post("", body("hi", ""))
	equal(t, "page", page.Header.Get("Content-Type"), "text/html; charset=utf-8")

	cfg := RelayConfig{Keys: []string{"good"}, BackendKey: testKey}
	g = newRig(t, cfg)
	equal(t, "good key", g.post("good", body("hi", "")).StatusCode, 200)
	equal(t, "bad key", g.post("bad", body("hi", "")).StatusCode, 401)
	cfg.AnyKey = true
	g = newRig(t, cfg)
	equal(t, "bad key where any will do", g.post("bad", body("hi", "")).StatusCode, 200)
	equal(t, "deed", g.last().Is(TookWrongKey), true)
}

// TestRelayBreaksOff passes on a stream that the backend cuts, as a cut one.
func TestRelayBreaksOff(t *testing.T) {
	for _, cfg := range []RelayConfig{{}, {Forge: Forge{IDs: true}}} {
		g := newRig(t, cfg)
		g.main.Next(Behaviour{Cut: new(3)})
		if a := g.post("", body("Write an essay.", `,"stream":true`)); !errors.Is(a.err, io.ErrUnexpectedEOF) {
			t.Errorf("reading ends with %v after %q", a.err, a.body)
		}
	}
}

func TestPreset(t *testing.T) {
	for _, name := range []string{
		"R0", "R0b", "R0c", "R1", "R1n", "R2", "R3", "R3:.02", "R4:20", "R4:10m", "R5", "R5:short,repeated", "R6", "R7", "R8", "R9n", "R10", "R10:effort",
		"R11:30", "R12:tail", "R13:normalised", "R14", "R14:x1.5", "R14:+50", "R14:reasoning", "R15", "R16:burst",
	} {
		cfg := named(t, name)
		cfg.Backend, cfg.Cheap = "http://127.0.0.1:1", "http://127.0.0.1:2"
		startRelay(t, cfg)
	}
	for _, name := range []string{"", "R", "R17", "R0n", "R10n", "R1:x", "R3:", "R3:2", "R3:-1", "R3:NaN", "R4:x", "R5:x", "R11:0", "R12:x", "R14:1.1", "R14:x-1", "R14:+x", "R16:x"} {
		if _, err := Preset(name); err == nil {
			t.Errorf("%q is a relay", name)
		}
	}
	for _, cfg := range []RelayConfig{
		{},
		{Backend: "localhost"},
		{Backend: "http://a", Divert: Divert{Share: 1}},
		{Backend: "http://a", Listen: "0.0.0.0:0"},
		{Backend: "http://a", Cheap: "http://b", Divert: Divert{Share: 2}},
		{Backend: "http://a", Prompt: Prompting{Cut: "x"}},
	} {
		if _, err := StartRelay(cfg); err == nil {
			t.Errorf("%+v is accepted", cfg)
		}
	}
}
