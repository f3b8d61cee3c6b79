package upstreamtest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"
)

// routeOpenAI serves one request as api.openai.com does.
func routeOpenAI(x *exchange) (reply, *fault) {
	if f := openAIAuth(x); f != nil {
		return reply{}, f
	}
	path, ok := strings.CutPrefix(x.r.URL.Path, "/v1/")
	if rep, f, known := routeObject(x, path); ok && known {
		return rep, f
	}
	routes := map[string]func(*exchange) (reply, *fault){
		"chat/completions": chat, "responses": responses, "embeddings": embeddings,
	}
	handle, post := routes[path]
	if media, ok := mediaRoutes[path]; ok {
		handle, post = media, true
	}
	id, one := strings.CutPrefix(path, "models/")
	method := http.MethodPost
	switch {
	case !ok:
		post = false
	case post:
	case path == "models":
		method, handle = http.MethodGet, listOpenAI
	case one && id != "":
		method, handle = http.MethodGet, func(x *exchange) (reply, *fault) { return modelOpenAI(x, id) }
	}
	if handle == nil {
		f := badRequest("", fmt.Sprintf("Invalid URL (%s %s)", x.r.Method, x.r.URL.Path))
		f.status = http.StatusNotFound
		return reply{}, f
	}
	if x.r.Method != method {
		return reply{}, &fault{
			status: http.StatusMethodNotAllowed, class: "invalid_request_error", kind: "method_not_supported",
			message: fmt.Sprintf("Not allowed to %s on %s. (HINT: Perhaps you meant to use a different HTTP method?)", x.r.Method, x.r.URL.Path),
		}
	}
	if post {
		if f := openAIContentType(x.r.Header.Get("Content-Type"), slices.Contains(formRoutes, path)); f != nil {
			return reply{}, f
		}
	}
	return handle(x)
}

func openAIAuth(x *exchange) *fault {
	key := x.s.cfg.Key
	if key == "" {
		return nil
	}
	got, ok := strings.CutPrefix(x.r.Header.Get("Authorization"), "Bearer ")
	switch {
	case !ok:
		return &fault{status: http.StatusUnauthorized, class: "invalid_request_error", message: "You didn't provide an API key. " +
			"You need to provide your API key in an Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."}
	case got != key:
		return &fault{
			status: http.StatusUnauthorized, class: "invalid_request_error", kind: "invalid_api_key",
			message: "Incorrect API key provided: " + mask(got) + ". You can find your API key at https://platform.openai.com/account/api-keys.",
		}
	}
	return nil
}

// mask shows a key as OpenAI's error does: the first and last characters.
func mask(key string) string {
	if len(key) < 8 {
		return strings.Repeat("*", len(key))
	}
	return key[:3] + strings.Repeat("*", len(key)-7) + key[len(key)-4:]
}

func openAIContentType(got string, form bool) *fault {
	want := "application/json"
	if form {
		want = "multipart/form-data"
	}
	if t, _, err := mime.ParseMediaType(got); err == nil && t == want {
		return nil
	}
	f := badRequest("", fmt.Sprintf("Unsupported content type: '%s'. This API method only accepts '%s' requests, "+
		"but you specified the header 'Content-Type: %s'. Please try again with a supported content type.", got, want, got))
	f.kind = "unsupported_content_type"
	return f
}

// openAIHeaders are the headers of every answer, those of the content delivery
// network in front included.
func openAIHeaders(x *exchange) http.Header {
	h := http.Header{}
	for name, v := range map[string]string{
		"Content-Type": "application/json", "X-Request-Id": x.id, "Openai-Organization": "org-upstreamtest",
		"Openai-Project": "proj_upstreamtest", "Openai-Processing-Ms": "42", "Openai-Version": "2020-10-01",
		"X-Ratelimit-Limit-Requests": "5000", "X-Ratelimit-Remaining-Requests": "4999", "X-Ratelimit-Reset-Requests": "12ms",
		"X-Ratelimit-Limit-Tokens": "2000000", "X-Ratelimit-Remaining-Tokens": "1999000", "X-Ratelimit-Reset-Tokens": "30ms",
		"Strict-Transport-Security": "max-age=31536000; includeSubDomains; preload", "X-Content-Type-Options": "nosniff",
		"Access-Control-Expose-Headers": "X-Request-ID", "Access-Control-Allow-Origin": "*",
	} {
		h.Set(name, v)
	}
	cdnHeaders(h, "api.openai.com")
	return h
}

// cdnHeaders are what the vendors' content delivery network adds.
func cdnHeaders(h http.Header, domain string) {
	h.Set("Server", "cloudflare")
	h.Set("Cf-Ray", "8f0000000000abcd-FRA")
	h.Set("Cf-Cache-Status", "DYNAMIC")
	h.Set("Alt-Svc", `h3=":443"; ma=86400`)
	h.Add("Set-Cookie", "__cf_bm=upstreamtest; path=/; HttpOnly; Secure; SameSite=None; domain=."+domain)
	h.Add("Set-Cookie", "_cfuvid=upstreamtest; path=/; HttpOnly; Secure; SameSite=None; domain=."+domain)
}

// openAIStatus is the vendor's usual error of a status.
func openAIStatus(status int) *fault {
	f := &fault{status: status, class: "invalid_request_error", message: http.StatusText(status)}
	switch {
	case status == http.StatusUnauthorized:
		f.kind, f.message = "invalid_api_key", "Incorrect API key provided."
	case status == http.StatusForbidden:
		f.kind, f.message = "unsupported_country_region_territory", "Country, region, or territory not supported"
	case status == http.StatusNotFound:
		f.kind, f.message = "model_not_found", "The model does not exist or you do not have access to it."
	case status == http.StatusTooManyRequests:
		f.class, f.kind = "requests", "rate_limit_exceeded"
		f.message = "Rate limit reached for requests per min (RPM): Limit 3, Used 3, Requested 1. Please try again in 20s."
	case status == http.StatusServiceUnavailable:
		f.class, f.message = "server_error", "That model is currently overloaded with other requests. You can retry your request."
	case status >= 500:
		f.class, f.message = "server_error", "The server had an error while processing your request. Sorry about that!"
	}
	return f
}

func openAIError(f *fault) raw {
	return obj("error", obj("message", f.message, "type", f.class, "param", orNull(f.param), "code", orNull(f.kind)))
}

func openAIFault(x *exchange, f *fault) reply {
	return reply{status: f.status, header: openAIHeaders(x), body: indent(openAIError(f))}
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// openAIStreamError is the error that the broken frame of a stream reports.
func openAIStreamError(x *exchange) *fault {
	f := openAIStatus(http.StatusInternalServerError)
	f.kind = x.b.Type
	return f
}

// openAIModel finds the model that a request names.
func openAIModel(x *exchange, id string) (Model, *fault) {
	if id == "" {
		return Model{}, badRequest("", "you must provide a model parameter")
	}
	m, ok := x.s.model(id)
	if !ok {
		return m, &fault{
			status: http.StatusNotFound, class: "invalid_request_error", kind: "model_not_found",
			message: fmt.Sprintf("The model `%s` does not exist or you do not have access to it.", id),
		}
	}
	return m, nil
}

func decodeOpenAI(x *exchange, into any) *fault {
	if err := json.Unmarshal(x.body, into); err != nil {
		return badRequest("", "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP "+
			"library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)")
	}
	return nil
}

func missing(param string) *fault {
	f := badRequest(param, fmt.Sprintf("Missing required parameter: '%s'.", param))
	f.kind = "missing_required_parameter"
	return f
}

// unaryOpenAI lays out an object as the vendor does.
func unaryOpenAI(x *exchange, body raw) reply {
	body = disfigure(body, x.b)
	if !x.b.Odd {
		body = indent(body)
	}
	return reply{status: http.StatusOK, header: openAIHeaders(x), body: body}
}

func streamHeaders(h http.Header) http.Header {
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-cache")
	return h
}

func listOpenAI(x *exchange) (reply, *fault) {
	var data list
	for _, m := range x.s.cfg.Models {
		data = append(data, describeOpenAI(m))
	}
	return unaryOpenAI(x, obj("object", "list", "data", data)), nil
}

func modelOpenAI(x *exchange, id string) (reply, *fault) {
	m, f := openAIModel(x, id)
	if f != nil {
		return reply{}, f
	}
	return unaryOpenAI(x, describeOpenAI(m)), nil
}

func describeOpenAI(m Model) raw {
	return obj("id", m.ID, "object", "model", "created", 1754073306, "owned_by", "system")
}

// openAIUsage renders the usage of an answer. The three names differ between
// Chat Completions and Responses.
func openAIUsage(b Behaviour, a Answer, in, out string) any {
	n := spell(b)
	cached, reasoning, completion := min(b.Cached, a.Prompt), b.Reasoning, a.Completion
	switch b.Usage {
	case UsageNone:
		return nil
	case UsageNegative:
		completion = -completion
	case UsageCached:
		cached = a.Prompt + 100
	case UsageReasoning:
		reasoning = a.Completion + 100
	}
	inDetails, outDetails := obj("cached_tokens", n(cached)), obj("reasoning_tokens", n(reasoning))
	if in == "prompt" {
		inDetails = inDetails.with("audio_tokens", 0)
		outDetails = outDetails.with("audio_tokens", 0, "accepted_prediction_tokens", 0, "rejected_prediction_tokens", 0)
		return obj("prompt_tokens", n(a.Prompt), "completion_tokens", n(completion), "total_tokens", n(a.Prompt+completion),
			"prompt_tokens_details", inDetails, "completion_tokens_details", outDetails)
	}
	return obj(in+"_tokens", n(a.Prompt), in+"_tokens_details", inDetails, out+"_tokens", n(completion),
		out+"_tokens_details", outDetails, "total_tokens", n(a.Prompt+completion))
}

// schemaOf finds the schema of a structured answer in response_format, text.format
// or output_config.format; any JSON is asked for by an empty schema with type object.
func schemaOf(format json.RawMessage) map[string]any {
	var f struct {
		Type       string         `json:"type"`
		Schema     map[string]any `json:"schema"`
		JSONSchema struct {
			Schema map[string]any `json:"schema"`
		} `json:"json_schema"`
	}
	if json.Unmarshal(format, &f) != nil {
		return nil
	}
	switch f.Type {
	case "json_schema":
		if f.Schema != nil {
			return f.Schema
		}
		return f.JSONSchema.Schema
	case "json_object":
		return map[string]any{"type": "object", "properties": map[string]any{"digest": map[string]any{"type": "string"}}}
	}
	return nil
}

// openAIChoice reads tool_choice: a word, or an object that names a function.
func openAIChoice(p *prompt, choice json.RawMessage) {
	var word string
	var named struct {
		Name     string `json:"name"`
		Function struct {
			Name string `json:"name"`
		} `json:"function"`
	}
	if json.Unmarshal(choice, &word) == nil {
		p.noTools = word == "none"
		if word == "required" {
			p.forced = "*"
		}
	} else if json.Unmarshal(choice, &named) == nil {
		p.forced = cmp.Or(named.Function.Name, named.Name)
	}
}

// obfuscation pads a chunk so that its length tells nothing, as the vendor does
// unless the client declines.
func obfuscation(piece string) string {
	const letters = "aZ3kQp9LmX7rTb2VnY5cWd8FgHs4JtKe"
	return letters[:len(letters)-len(piece)%24]
}
