package upstreamtest

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// generateRequest is what generateContent needs of a request, in camelCase.
type generateRequest struct {
	System   *geminiContent  `json:"systemInstruction"`
	Contents []geminiContent `json:"contents"`
	Tools    []struct {
		Functions []struct {
			Name       string         `json:"name"`
			Parameters map[string]any `json:"parameters"`
			Schema     map[string]any `json:"parametersJsonSchema"`
		} `json:"functionDeclarations"`
	} `json:"tools"`
	ToolConfig struct {
		Calling struct {
			Mode    string   `json:"mode"`
			Allowed []string `json:"allowedFunctionNames"`
		} `json:"functionCallingConfig"`
	} `json:"toolConfig"`
	Config struct {
		MaxOutput  int64          `json:"maxOutputTokens"`
		Candidates int            `json:"candidateCount"`
		MIME       string         `json:"responseMimeType"`
		Own        map[string]any `json:"responseSchema"`
		Schema     map[string]any `json:"responseJsonSchema"`
		Thinking   struct {
			Include bool `json:"includeThoughts"`
		} `json:"thinkingConfig"`
	} `json:"generationConfig"`
	signed bool // calls must bear signatures
}

type geminiContent struct {
	Role  string          `json:"role"`
	Parts json.RawMessage `json:"parts"`
}

// geminiPart is what is checked of a part.
type geminiPart struct {
	Signature string           `json:"thoughtSignature"`
	Call      *json.RawMessage `json:"functionCall"`
	Response  *json.RawMessage `json:"functionResponse"`
	Data      *struct {
		Data string `json:"data"`
	} `json:"inlineData"`
}

// verbatim are the members below which names are the client's own.
var verbatim = map[string]bool{
	"args": true, "response": true, "parameters": true, "parametersJsonSchema": true, "responseSchema": true, "responseJsonSchema": true, "labels": true,
}

// camelJSON spells the members of a request in camelCase, which mean the same as
// those in snake_case. What is not JSON stays as it is.
func camelJSON(b []byte) []byte {
	if !bytes.Contains(b, []byte("_")) {
		return b
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return b
	}
	return mustJSON(camelKeys(v))
}

func camelKeys(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, e := range v {
			words := strings.Split(name, "_")
			for i, w := range words[1:] {
				if w != "" {
					words[i+1] = strings.ToUpper(w[:1]) + w[1:]
				}
			}
			if name = strings.Join(words, ""); !verbatim[name] {
				e = camelKeys(e)
			}
			out[name] = e
		}
		return out
	case []any:
		for i := range v {
			v[i] = camelKeys(v[i])
		}
	}
	return v
}

// lowerTypes spells the types of a schema as JSON Schema does.
func lowerTypes(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, e := range v {
			if s, ok := e.(string); ok && name == "type" {
				v[name] = strings.ToLower(s)
				continue
			}
			v[name] = lowerTypes(e)
		}
	case []any:
		for i := range v {
			v[i] = lowerTypes(v[i])
		}
	}
	return v
}

// schemaEither is a schema in one of the two forms.
func schemaEither(own, standard map[string]any) map[string]any {
	if own != nil {
		return lowerTypes(own).(map[string]any)
	}
	return standard
}

func (q *generateRequest) prompt() (*prompt, *fault) {
	if len(q.Contents) == 0 {
		return nil, invalidArgument("* GenerateContentRequest.contents: contents is not specified\n")
	}
	c := q.Config
	p := &prompt{parallel: true, noTools: q.ToolConfig.Calling.Mode == "NONE", max: c.MaxOutput, schema: schemaEither(c.Own, c.Schema)}
	switch {
	case p.schema != nil && c.MIME != "application/json":
		return nil, invalidArgument("Response schema is only supported with response_mime_type set to application/json")
	case p.schema == nil && c.MIME == "application/json":
		p.schema = map[string]any{"type": "object", "properties": map[string]any{"digest": map[string]any{"type": "string"}}}
	case c.Candidates < 0 || c.Candidates > 8:
		return nil, invalidArgument("* GenerateContentRequest.generation_config.candidate_count: the value must be in the range [1, 8]")
	}
	if q.ToolConfig.Calling.Mode == "ANY" {
		p.forced = "*"
		if allowed := q.ToolConfig.Calling.Allowed; len(allowed) > 0 {
			p.forced = allowed[0]
		}
	}
	if q.System != nil {
		p.add("system", parts(q.System.Parts))
	}
	calls := 0 // of the model's turn, which may be several contents
	for _, content := range q.Contents {
		made, answered, f := q.check(content, calls == 0)
		if f != nil {
			return nil, f
		}
		if content.Role != "model" {
			if answered != calls {
				return nil, invalidArgument("Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn.")
			}
			calls = 0
		}
		calls += made
		p.add(cmp.Or(content.Role, "user"), parts(content.Parts))
		p.after = answered > 0
	}
	for _, t := range q.Tools {
		for _, d := range t.Functions {
			p.tools = append(p.tools, tool{d.Name, schemaEither(d.Parameters, d.Schema)})
		}
	}
	return p, nil
}

// Signatures of calls: the server's own, and one that the vendor takes for calls
// that another model made (ai.google.dev/gemini-api/docs/thought-signatures).
const (
	geminiSignature = "dXBzdHJlYW10ZXN0LXNpZ25hdHVyZQ=="
	geminiUnsigned  = "skip_thought_signature_validator"
)

// check looks at one content and counts its calls and the results of calls. first
// says that no call stands before it in its turn.
func (q *generateRequest) check(content geminiContent, first bool) (calls, answered int, f *fault) {
	if content.Role != "" && content.Role != "user" && content.Role != "model" && content.Role != "function" {
		return 0, 0, invalidArgument("Please use a valid role: user, model.")
	}
	var ps []geminiPart
	if len(content.Parts) > 0 && json.Unmarshal(content.Parts, &ps) != nil {
		return 0, 0, invalidArgument("Invalid JSON payload received.")
	}
	for i, p := range ps {
		switch {
		case p.Call != nil:
			calls++
			if own := p.Signature == geminiSignature || p.Signature == geminiUnsigned; q.signed && (first && calls == 1 && !own || p.Signature != "" && !own) {
				return 0, 0, invalidArgument(fmt.Sprintf("Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly. Part %d.", i))
			}
		case p.Response != nil:
			answered++
		case p.Data != nil:
			plain := strings.NewReplacer("-", "+", "_", "/", "=", "").Replace(p.Data.Data)
			if _, err := base64.RawStdEncoding.DecodeString(plain); err != nil || plain == "" {
				return 0, 0, invalidArgument("Invalid value at 'contents[0].parts[0].inline_data.data' (TYPE_BYTES), Base64 decoding failed")
			}
		}
	}
	return calls, answered, nil
}

// signs reports whether a model signs its calls, insists on the signatures, and
// gives its calls ids: from the third generation on.
func signs(model string) bool { return strings.HasPrefix(model, "gemini-3") }

// readGenerate decodes and checks what generateContent and countTokens share.
func readGenerate(x *exchange, body []byte, model string, q *generateRequest) (Model, *prompt, *fault) {
	m, f := geminiModel(x, model)
	if f != nil {
		return m, nil, f
	}
	if err := json.Unmarshal(body, q); err != nil {
		return m, nil, invalidArgument("Invalid JSON payload received. " + err.Error())
	}
	q.signed = signs(m.ID)
	p, f := q.prompt()
	return m, p, f
}

// generateContent serves :generateContent and :streamGenerateContent.
func generateContent(x *exchange, model string) (reply, *fault) {
	var q generateRequest
	m, p, f := readGenerate(x, x.body, model, &q)
	if f != nil {
		return reply{}, f
	}
	if f := x.direct(p); f != nil {
		f.kind = "INVALID_ARGUMENT"
		return reply{}, f
	}
	if f := x.sample(); f != nil {
		f.kind = "INVALID_ARGUMENT"
		return reply{}, f
	}
	g := &generation{x: x, q: &q, a: x.answers(p, 1)[0], model: x.declared(m), id: x.answerID(""), signs: q.signed}
	if x.echoes("body") {
		g.a.Text = x.headerText()
	}
	if strings.HasSuffix(x.r.URL.Path, ":streamGenerateContent") {
		return g.stream(), nil
	}
	return unaryGemini(x, g.unary()), nil
}

// generation renders one answer in the forms of generateContent.
type generation struct {
	x     *exchange
	q     *generateRequest
	a     Answer
	model string
	id    string
	signs bool
}

func (g *generation) n() int { return max(g.q.Config.Candidates, 1) }

func (g *generation) finish() string {
	return [...]string{StopEnd: "STOP", StopLength: "MAX_TOKENS", StopTool: "STOP", StopSequence: "STOP"}[g.a.Stop]
}

// thought is the part that tells what the model thought, when the client asks.
func (g *generation) thought() (raw, bool) {
	return obj("text", "considering "+g.a.Digest, "thought", true), g.q.Config.Thinking.Include
}

// call is the part of the i-th call.
func (g *generation) call(i int) raw {
	c := g.a.Calls[i]
	call := obj("name", c.Name, "args", raw(c.Args))
	if g.signs {
		call = call.with("id", c.ID)
	}
	p := obj("functionCall", call)
	if g.signs && i == 0 {
		p = p.with("thoughtSignature", geminiSignature)
	}
	return p
}

// body is an answer, or a piece of one, with the tokens generated so far.
func (g *generation) body(candidates list, out int64) raw {
	b := obj("candidates", candidates)
	if u, ok := geminiUsage(g.x.b, g.a, out*int64(g.n())).(raw); ok {
		b = b.with("usageMetadata", u)
	}
	return b.with("modelVersion", g.model, "responseId", g.id)
}

func (g *generation) unary() raw {
	ps := list{}
	if t, ok := g.thought(); ok {
		ps = append(ps, t)
	}
	if g.a.Text != "" {
		ps = append(ps, obj("text", g.a.Text))
	}
	for i := range g.a.Calls {
		ps = append(ps, g.call(i))
	}
	var candidates list
	for i := range g.n() {
		candidates = append(candidates, obj("content", obj("parts", ps, "role", "model"), "finishReason", g.finish(), "index", i))
	}
	return g.body(candidates, g.a.Completion)
}

// stream renders the pieces: each is a whole answer with one part, the last one has
// the finish reasons. Calls come in one piece. Without alt=sse they are elements of
// one array.
func (g *generation) stream() reply {
	var frames []frame
	said := int64(0)
	add := func(i int, part raw, text string) {
		said += g.x.count(text)
		c := list{obj("content", obj("parts", list{part}, "role", "model"), "index", i)}
		frames = append(frames, frame{data: disfigure(g.body(c, said), g.x.b), text: text != ""})
	}
	end := list{}
	for i := range g.n() {
		if t, ok := g.thought(); ok {
			add(i, t, "")
		}
		if g.a.Text != "" {
			for _, piece := range g.x.pieces(g.a.Text, cmp.Or(g.x.b.Frames, 8)) {
				add(i, obj("text", piece), piece)
			}
		}
		for j, c := range g.a.Calls {
			add(i, g.call(j), c.Name+c.Args)
		}
		end = append(end, obj("content", obj("parts", list{obj("text", "")}, "role", "model"), "finishReason", g.finish(), "index", i))
	}
	frames = append(frames, frame{data: disfigure(g.body(end, g.a.Completion), g.x.b), last: true})
	if g.x.r.URL.Query().Get("alt") != "sse" {
		elements := list{}
		for _, f := range frames {
			elements = append(elements, f.data)
		}
		return reply{status: http.StatusOK, header: geminiHeaders(g.x), body: appendJSON(nil, elements)}
	}
	return reply{
		status: http.StatusOK,
		header: streamHeaders(geminiHeaders(g.x)),
		frames: frames,
		ping:   "\n\n",
		broken: frame{data: geminiError(geminiStreamError(g.x))},
	}
}

// geminiStreamError is the error that the broken frame of a stream reports.
func geminiStreamError(x *exchange) *fault {
	f := geminiStatus(http.StatusServiceUnavailable)
	f.kind = cmp.Or(x.b.Type, f.kind)
	return f
}

// countContent serves :countTokens, of contents or of a whole request.
func countContent(x *exchange, model string) (reply, *fault) {
	var outer struct {
		Request json.RawMessage `json:"generateContentRequest"`
	}
	body := x.body
	if json.Unmarshal(body, &outer) == nil && present(outer.Request) {
		body = outer.Request
	}
	var q generateRequest
	_, p, f := readGenerate(x, body, model, &q)
	if f != nil {
		return reply{}, f
	}
	if f := x.direct(p); f != nil {
		return reply{}, f
	}
	n := spell(x.b)(x.promptTokens(p))
	return unaryGemini(x, obj("totalTokens", n, "promptTokensDetails", list{obj("modality", "TEXT", "tokenCount", n)})), nil
}

type embedRequest struct {
	Model      string        `json:"model"`
	Content    geminiContent `json:"content"`
	Dimensions int           `json:"outputDimensionality"`
}

// embed answers to requests for embeddings; wrap makes the body of them.
func embed(x *exchange, model string, qs []embedRequest, wrap func(list) raw) (reply, *fault) {
	m, f := geminiModel(x, model)
	if f != nil {
		return reply{}, f
	}
	p, tokens, all := &prompt{}, int64(0), list{}
	for i, q := range qs {
		if q.Model != "" && strings.TrimPrefix(q.Model, "models/") != m.ID {
			return reply{}, invalidArgument(fmt.Sprintf("* BatchEmbedContentsRequest.requests[%d].model: unexpected model name format", i))
		}
		text := parts(q.Content.Parts)
		p.add("user", text)
		tokens += CountTokens(text)
		values := list{}
		for _, v := range Embedding(text, cmp.Or(q.Dimensions, 3072)) {
			values = append(values, appendJSON(nil, float64(v)))
		}
		all = append(all, obj("values", values))
	}
	if f := x.direct(p); f != nil {
		return reply{}, f
	}
	body := wrap(all)
	if x.b.Usage == UsageNegative {
		tokens = -tokens
	}
	if u, ok := geminiUsage(Behaviour{Usage: x.b.Usage}, Answer{Prompt: tokens}, 0).(raw); ok {
		body = body.with("usageMetadata", u)
	}
	return unaryGemini(x, body), nil
}

func embedContent(x *exchange, model string) (reply, *fault) {
	var q embedRequest
	if err := json.Unmarshal(x.body, &q); err != nil || len(q.Content.Parts) == 0 {
		return reply{}, invalidArgument("* EmbedContentRequest.content: contents is not specified\n")
	}
	return embed(x, model, []embedRequest{q}, func(l list) raw { return obj("embedding", l[0]) })
}

func batchEmbedContents(x *exchange, model string) (reply, *fault) {
	var q struct {
		Requests []embedRequest `json:"requests"`
	}
	if err := json.Unmarshal(x.body, &q); err != nil || len(q.Requests) == 0 {
		return reply{}, invalidArgument("* BatchEmbedContentsRequest.requests: requests is not specified\n")
	}
	return embed(x, model, q.Requests, func(l list) raw { return obj("embeddings", l) })
}
