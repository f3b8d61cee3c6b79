package gateway_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/fault"
	"sallyport/internal/gateway"
	"sallyport/internal/identity"
	"sallyport/internal/label"
	"sallyport/internal/ledger"
	"sallyport/internal/llm"
	"sallyport/internal/price"
	"sallyport/internal/upstream"
	"sallyport/internal/upstreamtest"
	"sallyport/internal/wire"
)

const testBoundary = "----sallyport-test-7MA4YWxkTrZu0gW"

// part is one part of a form; with a file name it is a file.
type part struct{ name, file, content string }

func formOf(parts ...part) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString("--" + testBoundary + "\r\nContent-Disposition: form-data; name=\"" + p.name + "\"")
		if p.file != "" {
			b.WriteString("; filename=\"" + p.file + "\"\r\nContent-Type: application/octet-stream")
		}
		b.WriteString("\r\n\r\n" + p.content + "\r\n")
	}
	return b.String() + "--" + testBoundary + "--\r\n"
}

// medium is one way to call a route that is not translated.
type medium struct {
	name   string
	path   string
	model  string // public
	sent   string // the upstream's name of it
	ep     wire.Endpoint
	stream bool
	raw    bool
	form   bool
	usage  llm.UsageStatus
	body   func(model, prompt string) string
}

// sound is a file with everything in it that a careless reader of forms trips over.
var sound = "RIFF\x00\x01\r\n--" + testBoundary[:10] + "\r\n\r\n\n--x--\r\nname=\"model\"\r\n" + strings.Repeat("\xff\x00\r\n-", 500)

func image(more string) func(m, p string) string {
	return func(m, p string) string { return `{"model":` + quote(m) + `, "prompt" :` + quote(p) + more + `}` }
}

func speak(more string) func(m, p string) string {
	return func(m, p string) string {
		return `{"input":` + quote(p) + `,"voice":"alloy","model":` + quote(m) + more + `}`
	}
}

func edit(more ...part) func(m, p string) string {
	return func(m, p string) string {
		return formOf(append([]part{{"image", "a.png", sound}, {"prompt", "", p}, {"model", "", m}, {"n", "", "2"}}, more...)...)
	}
}

func listen(more ...part) func(m, p string) string {
	return func(m, p string) string {
		return formOf(append([]part{{"file", "a.wav", sound}, {"prompt", "", p}, {"model", "", m}}, more...)...)
	}
}

var mediums = []medium{
	{"images", "/v1/images/generations", "picture", "gpt-image-1", wire.Images, false, false, false, llm.UsageClaimed, image(`,"n":2`)},
	{"images stream", "/images/generations", "picture", "gpt-image-1", wire.Images, true, false, false, llm.UsageClaimed, image(`,"stream":true,"partial_images":2`)},
	{"edits", "/v1/images/edits", "picture", "gpt-image-1", wire.ImageEdits, false, false, true, llm.UsageClaimed, edit()},
	{"edits stream", "/v1/images/edits", "picture", "gpt-image-1", wire.ImageEdits, true, false, true, llm.UsageClaimed, edit(part{"stream", "", "true"}, part{"partial_images", "", "1"})},
	{"variations", "/v1/images/variations", "picture", "gpt-image-1", wire.ImageVariations, false, false, true, llm.UsageClaimed, edit()},
	{"speech", "/v1/audio/speech", "voice", "gpt-4o-mini-tts", wire.Speech, false, true, false, llm.UsageUnknown, speak("")},
	{"speech stream", "/v1/audio/speech", "voice", "gpt-4o-mini-tts", wire.Speech, true, false, false, llm.UsageClaimed, speak(`,"stream_format":"sse"`)},
	{"transcription", "/v1/audio/transcriptions", "ear", "gpt-4o-transcribe", wire.Transcriptions, false, false, true, llm.UsageClaimed, listen()},
	{"transcription stream", "/v1/audio/transcriptions", "ear", "gpt-4o-transcribe", wire.Transcriptions, true, false, true, llm.UsageClaimed, listen(part{"stream", "", "true"})},
	{"transcription text", "/v1/audio/transcriptions", "ear", "gpt-4o-transcribe", wire.Transcriptions, false, true, true, llm.UsageUnknown, listen(part{"response_format", "", "text"})},
	{"transcription srt", "/v1/audio/transcriptions", "ear", "gpt-4o-transcribe", wire.Transcriptions, false, true, true, llm.UsageUnknown, listen(part{"response_format", "", "srt"})},
	{"transcription by the second", "/v1/audio/transcriptions", "whisper", "whisper-1", wire.Transcriptions, false, false, true, llm.UsageUnknown, listen()},
	{"translation", "/v1/audio/translations", "whisper", "whisper-1", wire.Translations, false, false, true, llm.UsageUnknown, listen()},
	{"translation vtt", "/audio/translations", "whisper", "whisper-1", wire.Translations, false, true, true, llm.UsageUnknown, listen(part{"response_format", "", "vtt"})},
	{"moderation", "/v1/moderations", "judge", "omni-moderation-latest", wire.Moderations, false, false, false, llm.UsageUnknown, func(m, p string) string {
		return `{"input":["violence",` + quote(p) + `],"model":` + quote(m) + `}`
	}},
	{"rerank", "/v1/rerank", "ranker", "rerank-v3.5", wire.Rerank, false, false, false, llm.UsageUnknown, rankings},
	{"rerank v2", "/v2/rerank", "ranker", "rerank-v3.5", wire.Rerank, false, false, false, llm.UsageUnknown, rankings},
}

func rankings(m, p string) string {
	return `{"model":` + quote(m) + `,"query":` + quote(p) + `,"documents":["a hello","b","hello hello"],"top_n":2}`
}

func (m medium) call(prompt string) call {
	c := call{path: m.path, body: m.body(m.model, prompt)}
	if m.form {
		c.header = http.Header{"Content-Type": {"multipart/form-data; boundary=" + testBoundary}}
	}
	return c
}

// target is what the upstream is asked.
func (m medium) target() string {
	for _, prefix := range []string{"/v1", "/v2"} {
		if rest, ok := strings.CutPrefix(m.path, prefix); ok {
			return "/v1" + rest
		}
	}
	return "/v1" + m.path
}

// mediaRig is a rig with the models of mediums.
func mediaRig(t *testing.T, p plan) *rig {
	t.Helper()
	more := p.snapshot
	p.snapshot = func(s *gateway.Snapshot) {
		for _, m := range mediums {
			s.Models[identity.Model(m.model)] = []gateway.Target{{Upstream: oa, Model: m.sent}}
		}
		if more != nil {
			more(s)
		}
	}
	return newRig(t, p)
}

// direct asks the upstream itself.
func (r *rig) direct(t *testing.T, m medium, body string) answer {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.ups[oa].URL()+m.target(), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+openAIKey)
	q.Header.Set("Content-Type", "application/json")
	if m.form {
		q.Header.Set("Content-Type", "multipart/form-data; boundary="+testBoundary)
	}
	resp, err := r.client.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	return read(resp)
}

// TestMedia: on every route nothing changes on the way but the model's name, and the
// record commits to both ways.
func TestMedia(t *testing.T) {
	r := mediaRig(t, plan{})
	for i, m := range mediums {
		t.Run(m.name, func(t *testing.T) {
			prompt := fmt.Sprintf("hello nonce-M%d [[frames=3]]", i)
			c := m.call(prompt)
			got := r.do(t, c)
			sent := m.body(m.sent, prompt)
			want := r.direct(t, m, sent)
			if got.status != http.StatusOK || got.err != nil || !bytes.Equal(got.body, want.body) {
				t.Fatalf("status %d, %v: %.300s\nwant %.300s", got.status, got.err, got.body, want.body)
			}
			if g, w := got.header.Get("Content-Type"), want.header.Get("Content-Type"); g != w {
				t.Errorf("content type %q, want %q", g, w)
			}
			seen := r.ups[oa].Journal().Requests()
			last := seen[len(seen)-2]
			if string(last.Body) != sent || last.Target != m.target() || last.Length != int64(len(sent)) {
				t.Errorf("the upstream got %s, %d bytes: %.300s", last.Target, last.Length, last.Body)
			}
			accept := map[bool]string{true: "text/event-stream", false: "application/json"}[m.stream]
			if m.raw {
				accept = "*/*"
			}
			if last.Header.Get("Accept") != accept {
				t.Errorf("accept %q", last.Header.Get("Accept"))
			}
			o := r.outcome(t, got)
			if o.State != string(llm.Complete) || o.Endpoint != string(m.ep) || o.Model != m.model || o.Target != m.sent || o.Stream != m.stream ||
				o.Usage != string(m.usage) || o.Project != "p" || o.InBytes != int64(len(c.body)) || o.OutBytes != int64(len(got.body)) || o.TTFB == 0 {
				t.Errorf("record %+v", *o)
			}
			if o.Amount != 0 || o.Usage == string(llm.UsageUnknown) && o.Money != ledger.MoneyUnknown {
				t.Errorf("usage %s, money %s %d", o.Usage, o.Money, o.Amount)
			}
			commits(t, "request", o.Req, []byte(c.body), nil)
			at := strings.LastIndex(c.body, m.model)
			with, span := m.sent, wire.Span{Start: at, End: at + len(m.model)}
			if !m.form {
				with, span = quote(m.sent), wire.Span{Start: at - 1, End: at + len(m.model) + 1}
			}
			commits(t, "forwarded", o.Forwarded, []byte(c.body), []wire.Edit{{Span: span, With: []byte(with)}})
			commits(t, "answer", o.Answer, got.body, nil)
			commits(t, "returned", o.Returned, got.body, nil)
		})
	}
}

// TestMediaMoney: what is claimed is priced, and what is claimed in other units than
// tokens is kept as it came.
func TestMediaMoney(t *testing.T) {
	r := mediaRig(t, plan{})
	r.ledger.SetBook(price.NewBook([]price.Card{
		{ID: "i", Provider: "openai", Model: "gpt-image-1", Source: "test", Rates: price.Rates{llm.Input: 5_000_000, llm.ImageIn: 10_000_000, llm.Output: 40_000_000}},
		{ID: "t", Provider: "openai", Model: "gpt-4o-transcribe", Source: "test", Rates: price.Rates{llm.Input: 2_500_000, llm.AudioIn: 6_000_000, llm.Output: 10_000_000}},
		{ID: "s", Provider: "openai", Model: "gpt-4o-mini-tts", Source: "test", Rates: price.Rates{llm.Input: 600_000, llm.Output: 12_000_000}},
	}))
	pic, clip := int64(len(sound)/64), int64(len(sound)/100)
	said := upstreamtest.CountTokens(upstreamtest.Transcript([]byte(sound), "hello"))
	for name, c := range map[string]struct {
		amount int64
		claim  string
	}{
		"images":                      {2*5_000 + 200*40_000, `"output_tokens":200`},
		"images stream":               {2*5_000 + 100*40_000, `"output_tokens":100`},
		"edits":                       {2*5_000 + pic*10_000 + 200*40_000, `"image_tokens"`},
		"transcription":               {2*2_500 + clip*6_000 + said*10_000, `"audio_tokens"`},
		"transcription stream":        {2*2_500 + clip*6_000 + said*10_000, `"audio_tokens"`},
		"speech stream":               {2*600 + 80*12_000, `"output_tokens":80`},
		"transcription by the second": {0, `"seconds"`},
		"rerank":                      {0, `"search_units"`},
	} {
		m := mediums[slices.IndexFunc(mediums, func(m medium) bool { return m.name == name })]
		o := r.outcome(t, r.do(t, m.call("hello")))
		money := ledger.MoneyPriced
		if c.amount == 0 {
			money = ledger.MoneyUnknown
		}
		if o.Money != money || o.Amount != c.amount || !strings.Contains(strings.ReplaceAll(o.Verbatim, " ", ""), c.claim) {
			t.Errorf("%s: %s %d, want %d; claim %s", name, o.Money, o.Amount, c.amount, o.Verbatim)
		}
	}
	ear := mediums[slices.IndexFunc(mediums, func(m medium) bool { return m.name == "transcription" })].call("hello")
	if o, want := r.outcome(t, r.do(t, ear)), (int64(len(ear.body))/16/3+1)*2_500+4096*10_000; o.Hold != want {
		t.Errorf("a file is held at %d, want %d", o.Hold, want)
	}
	for _, knobs := range []string{"usage=negative", "usage=huge", "usage=fraction"} {
		o := r.outcome(t, r.do(t, mediums[0].call("hello [["+knobs+"]]")))
		if o.Usage != string(llm.UsageImplausible) || o.Money != ledger.MoneyHeld {
			t.Errorf("%s: usage %s, money %s", knobs, o.Usage, o.Money)
		}
	}
}

// TestMediaFailover: what goes wrong before the first byte is left to the second
// target.
func TestMediaFailover(t *testing.T) {
	const second = identity.Upstream("oa2")
	r := mediaRig(t, plan{
		vendors: map[identity.Upstream]upstreamtest.Vendor{second: upstreamtest.OpenAI},
		snapshot: func(s *gateway.Snapshot) {
			for name, targets := range s.Models {
				s.Models[name] = append(targets, gateway.Target{Upstream: second, Model: targets[0].Model})
			}
		},
	})
	for _, m := range mediums {
		for _, knobs := range []string{"status=500", "status=429", "status=401", "cut=0 how=reset", "cut=0", "gzip=1", "redirect=http://127.0.0.1:1/"} {
			r.next(t, oa, knobs)
			got := r.do(t, m.call("hello"))
			if got.status != http.StatusOK || got.err != nil {
				t.Fatalf("%s %s: status %d: %.300s", m.name, knobs, got.status, got.body)
			}
			if o := r.outcome(t, got); len(o.Attempts) != 2 || o.Upstream != string(second) || o.State != string(llm.Complete) {
				t.Errorf("%s %s: record %+v", m.name, knobs, *o)
			}
		}
	}
}

// TestMediaBroken: an answer that breaks off later must not look whole.
func TestMediaBroken(t *testing.T) {
	r := mediaRig(t, plan{limits: func(l *gateway.Limits) { l.Stall, l.Answer = 300*time.Millisecond, 200<<10 }})
	for _, m := range mediums {
		if !m.raw && !m.stream {
			continue
		}
		for knobs, state := range map[string]llm.Terminal{
			"cut=3": llm.CutByUpstream, "cut=3 how=reset": llm.CutByUpstream, "stall=3": llm.Stalled, "cut=3 chunked=1": llm.CutByUpstream,
		} {
			frames := "frames=9"
			if m.raw && m.ep == wire.Speech {
				knobs = strings.Replace(knobs, "=3", "=30000", 1)
			} else if strings.HasPrefix(m.name, "images") || strings.HasPrefix(m.name, "edits") {
				knobs = strings.Replace(knobs, "=3", "=1", 1)
			}
			got := r.do(t, m.call("hello [["+frames+" "+knobs+"]]"))
			o := r.outcome(t, got)
			if o.State != string(state) || o.Fault == "" {
				t.Errorf("%s %s: state %s, fault %s", m.name, knobs, o.State, o.Fault)
			}
			switch {
			case got.status != http.StatusOK: // nothing had been passed on
			case m.stream && !bytes.Contains(got.body, []byte(`data: {"error":{`)):
				t.Errorf("%s %s: no error frame: %.300s", m.name, knobs, got.body)
			case m.raw && got.err == nil:
				t.Errorf("%s %s: %d bytes look whole", m.name, knobs, len(got.body))
			case m.raw && m.ep == wire.Speech && !strings.Contains(knobs, "reset"):
				came := upstreamtest.Media("hello [["+frames+" "+knobs+"]]", 30_000)
				commits(t, "answer", o.Answer, came, nil)
				commits(t, "returned", o.Returned, came, []wire.Edit{{Span: wire.Span{Start: len(got.body), End: len(came)}}})
			}
		}
	}
	speech := mediums[slices.IndexFunc(mediums, func(m medium) bool { return m.name == "speech" })]
	for knobs, state := range map[string]llm.Terminal{
		"frames=100": llm.TooLarge, "frames=100 chunked=1": llm.TooLarge, "empty=1": llm.Malformed,
		"content-type=application/json": llm.Malformed, "content-type=text/event-stream": llm.Malformed,
	} {
		got := r.do(t, speech.call("hello [["+knobs+"]]"))
		if o := r.outcome(t, got); o.State != string(state) || got.status == http.StatusOK && got.err == nil {
			t.Errorf("%s: status %d, state %s, %v", knobs, got.status, o.State, got.err)
		}
	}
}

// TestMediaEcho: a credential in an answer does not reach the client, not even in
// pieces that meet only at the client.
func TestMediaEcho(t *testing.T) {
	r := mediaRig(t, plan{})
	for _, m := range mediums {
		for _, knobs := range []string{"echo=body", "echo=body split=7 chunked=1", "echo=body,header split=1000", "status=400 echo=error"} {
			got := r.do(t, m.call("hello [[frames=1 "+knobs+"]]"))
			o := r.outcome(t, got)
			if o.State != string(llm.CredentialEcho) || o.Fault != fault.UpstreamInvalid.String() {
				t.Errorf("%s %s: state %s, fault %s", m.name, knobs, o.State, o.Fault)
			}
			if bytes.Contains(got.body, []byte(openAIKey[:20])) {
				t.Errorf("%s %s: a part of the credential shows", m.name, knobs)
			}
			if got.status == http.StatusOK && m.raw && got.err == nil {
				t.Errorf("%s %s: the answer looks whole", m.name, knobs)
			}
		}
	}
}

// TestMediaClientLeaves: a client that leaves ends the attempt, and the record says so.
func TestMediaClientLeaves(t *testing.T) {
	r := mediaRig(t, plan{})
	speech := mediums[slices.IndexFunc(mediums, func(m medium) bool { return m.name == "speech" })]
	resp, err := r.client.Do(r.request(t, t.Context(), speech.call("hello [[frames=9 stall=30000]]")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(resp.Body, make([]byte, 10_000)); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	o := r.trail(t, resp.Header.Get("X-Request-Id")).outcome
	if o.State != string(llm.CutByClient) || o.Usage != string(llm.UsageUnknown) || o.Returned != "" {
		t.Errorf("record %+v", *o)
	}
}

// TestMediaAccess: keys, policy and kinds decide as on every other route.
func TestMediaAccess(t *testing.T) {
	r := mediaRig(t, plan{
		upstream: func(c *upstream.Config) {
			if c.Name == an {
				c.Class = label.Any
			}
		},
		snapshot: func(s *gateway.Snapshot) {
			s.Models["elsewhere"] = []gateway.Target{{Upstream: ge, Model: "gemini-3-flash-preview"}}
			s.Labels = map[identity.ProjectID]label.Label{"secretive": label.Restricted}
		},
	})
	narrow := r.newKey(t, auth.KeySpec{Project: "p", Models: []identity.Model{"elsewhere"}})
	secretive := r.newKey(t, auth.KeySpec{Project: "secretive"})
	before := r.ups[oa].Journal().Len()
	for _, m := range mediums {
		elsewhere := m
		elsewhere.model = "elsewhere"
		nowhere := m
		nowhere.model = "nowhere"
		for _, c := range []struct {
			call call
			key  string
			kind fault.Kind
		}{
			{m.call("hello"), "sp_wrong", fault.Unauthenticated},
			{m.call("hello"), narrow, fault.NotFound},
			{m.call("hello"), secretive, fault.PolicyRefused},
			{nowhere.call("hello"), "", fault.NotFound},
			{elsewhere.call("hello"), "", fault.NotCarried},
		} {
			c.call.key = c.key
			got := r.do(t, c.call)
			formatNamed("chat").isFault(t, got, c.kind)
			if c.kind != fault.Unauthenticated {
				if x := r.refusal(t, got); x.Endpoint != string(m.ep) {
					t.Errorf("endpoint %s in the record", x.Endpoint)
				}
			}
		}
	}
	if n := r.ups[oa].Journal().Len(); n != before {
		t.Errorf("%d requests were sent on", n-before)
	}
}

// TestMediaEndpoints: an upstream is asked only what its list allows.
func TestMediaEndpoints(t *testing.T) {
	r := mediaRig(t, plan{upstream: func(c *upstream.Config) {
		if c.Name == oa {
			c.Endpoints = []wire.Endpoint{wire.Chat, wire.Rerank}
		}
	}})
	for _, m := range mediums {
		got := r.do(t, m.call("hello"))
		if m.ep == wire.Rerank {
			if got.status != http.StatusOK {
				t.Errorf("%s: status %d", m.name, got.status)
			}
			continue
		}
		formatNamed("chat").isFault(t, got, fault.NotCarried)
	}
}

// TestDefaultModeration: without a model the request is for the vendor's default, if
// that is a model here and the key may use it.
func TestDefaultModeration(t *testing.T) {
	r := mediaRig(t, plan{snapshot: alias("omni-moderation-latest", oa, "omni-moderation-latest")})
	got := r.post(t, "/v1/moderations", `{ "input":"hello" }`)
	seen := r.ups[oa].Journal().Requests()
	if sent := string(seen[len(seen)-1].Body); got.status != http.StatusOK || sent != `{"model":"omni-moderation-latest", "input":"hello" }` {
		t.Errorf("status %d, sent %s", got.status, sent)
	}
	if o := r.outcome(t, got); o.Model != "omni-moderation-latest" {
		t.Errorf("record %+v", *o)
	}
	narrow := r.newKey(t, auth.KeySpec{Project: "p", Models: []identity.Model{"judge"}})
	formatNamed("chat").isFault(t, r.do(t, call{path: "/v1/moderations", body: `{"input":"hello"}`, key: narrow}), fault.NotFound)
	bare := mediaRig(t, plan{})
	for _, body := range []string{`{"input":"hello"}`, `{"input":"hello","Model":"judge"}`, `{"input":"hello","model":null}`, `{"model":"judge"}`, `{}`} {
		formatNamed("chat").isFault(t, bare.post(t, "/v1/moderations", body), fault.BadRequest)
	}
}
