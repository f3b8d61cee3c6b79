package upstreamtest

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// geminiPath takes a path of the Gemini API apart; the verb is empty for paths
// without one.
func geminiPath(path string) (model, verb string, ok bool) {
	rest, ok := strings.CutPrefix(path, "/v1beta/models")
	if !ok {
		rest, ok = strings.CutPrefix(path, "/v1/models")
	}
	if !ok || rest != "" && rest[0] != '/' {
		return "", "", false
	}
	rest = strings.TrimPrefix(rest, "/")
	if i := strings.LastIndexByte(rest, ':'); i >= 0 {
		return rest[:i], rest[i+1:], true
	}
	return rest, "", true
}

// routeGemini serves one request as generativelanguage.googleapis.com does.
func routeGemini(x *exchange) (reply, *fault) {
	if f := geminiAuth(x); f != nil {
		return reply{}, f
	}
	if rest, caches := cutCaches(x.r.URL.Path); caches {
		x.body = camelJSON(x.body)
		return cachedContents(x, rest)
	}
	model, verb, ok := geminiPath(x.r.URL.Path)
	handle := map[string]func(*exchange, string) (reply, *fault){
		"generateContent": generateContent, "streamGenerateContent": generateContent, "countTokens": countContent,
		"embedContent": embedContent, "batchEmbedContents": batchEmbedContents,
	}[verb]
	switch {
	case !ok || verb != "" && handle == nil || handle != nil && x.r.Method != http.MethodPost || verb == "" && x.r.Method != http.MethodGet:
		return reply{}, &fault{status: http.StatusNotFound, kind: "NOT_FOUND", message: "Requested entity was not found."}
	case handle != nil:
		x.body = camelJSON(x.body)
		return handle(x, model)
	case model != "":
		m, f := geminiModel(x, model)
		if f != nil {
			return reply{}, f
		}
		return unaryGemini(x, describeGemini(m)), nil
	}
	return listGemini(x)
}

// geminiAuth takes the key from x-goog-api-key or from the query. A wrong one is a
// bad request to this API.
func geminiAuth(x *exchange) *fault {
	got := cmp.Or(x.r.Header.Get("X-Goog-Api-Key"), x.r.URL.Query().Get("key"))
	switch key := x.s.cfg.Key; {
	case key == "" || got == key:
		return nil
	case got == "":
		return &fault{
			status: http.StatusForbidden, kind: "PERMISSION_DENIED",
			message: "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other form of API consumer identity to call this API.",
		}
	}
	f := invalidArgument("API key not valid. Please pass a valid API key.")
	f.class = "API_KEY_INVALID"
	return f
}

func invalidArgument(message string) *fault {
	return &fault{status: http.StatusBadRequest, kind: "INVALID_ARGUMENT", message: message}
}

func geminiHeaders(*exchange) http.Header {
	h := http.Header{}
	for name, v := range map[string]string{
		"Content-Type": "application/json; charset=UTF-8", "Vary": "Origin", "Server": "scaffolding on HTTPServer2",
		"X-Xss-Protection": "0", "X-Frame-Options": "SAMEORIGIN", "X-Content-Type-Options": "nosniff",
		"Server-Timing": "gfet4t7; dur=42", "Alt-Svc": `h3=":443"; ma=2592000`, "X-Gemini-Service-Tier": "standard",
	} {
		h.Set(name, v)
	}
	return h
}

// geminiStatus is the vendor's error of a status
// (ai.google.dev/gemini-api/docs/troubleshooting).
func geminiStatus(status int) *fault {
	kinds := map[int][2]string{
		400: {"INVALID_ARGUMENT", "Request contains an invalid argument."},
		401: {"UNAUTHENTICATED", "Request had invalid authentication credentials."},
		403: {"PERMISSION_DENIED", "The caller does not have permission"},
		404: {"NOT_FOUND", "Requested entity was not found."},
		429: {"RESOURCE_EXHAUSTED", "You exceeded your current quota, please check your plan and billing details."},
		503: {"UNAVAILABLE", "The model is overloaded. Please try again later."},
		504: {"DEADLINE_EXCEEDED", "Deadline expired before operation could complete."},
	}
	k, ok := kinds[status]
	switch {
	case ok:
	case status < 500:
		k = [2]string{"FAILED_PRECONDITION", http.StatusText(status)}
	default:
		k = [2]string{"INTERNAL", "An internal error has occurred."}
	}
	return &fault{status: status, kind: k[0], message: cmp.Or(k[1], "Error")}
}

func geminiError(f *fault) raw {
	e := obj("code", f.status, "message", f.message, "status", f.kind)
	if f.class != "" {
		e = e.with("details", list{obj("@type", "type.googleapis.com/google.rpc.ErrorInfo", "reason", f.class, "domain", "googleapis.com",
			"metadata", obj("service", "generativelanguage.googleapis.com"))})
	}
	return obj("error", e)
}

func geminiFault(x *exchange, f *fault) reply {
	return reply{status: f.status, header: geminiHeaders(x), body: indent(geminiError(f))}
}

// unaryGemini lays out an object as the vendor does.
func unaryGemini(x *exchange, body raw) reply {
	body = disfigure(body, x.b)
	if !x.b.Odd {
		body = indent(body)
	}
	return reply{status: http.StatusOK, header: geminiHeaders(x), body: body}
}

func geminiModel(x *exchange, id string) (Model, *fault) {
	m, ok := x.s.model(strings.TrimPrefix(id, "models/"))
	if !ok {
		return m, &fault{
			status: http.StatusNotFound, kind: "NOT_FOUND",
			message: fmt.Sprintf("models/%s is not found for API version v1beta, or is not supported for generateContent. "+
				"Call ListModels to see the list of available models and their supported methods.", id),
		}
	}
	return m, nil
}

func describeGemini(m Model) raw {
	return obj("name", "models/"+m.ID, "version", "001", "displayName", m.ID, "inputTokenLimit", 1048576, "outputTokenLimit", 65536,
		"supportedGenerationMethods", list{appendJSON(nil, "generateContent"), appendJSON(nil, "countTokens")})
}

// listGemini serves GET /v1beta/models with its pages.
func listGemini(x *exchange) (reply, *fault) {
	q := x.r.URL.Query()
	size := 50
	if v := q.Get("pageSize"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 {
			return reply{}, invalidArgument("Invalid value at 'page_size'")
		}
		size = min(max(n, 1), 1000)
	}
	models := x.s.cfg.Models
	if token := q.Get("pageToken"); token != "" {
		i := slices.IndexFunc(models, func(m Model) bool { return m.ID == token })
		if i < 0 {
			return reply{}, invalidArgument("The page token is invalid.")
		}
		models = models[i:]
	}
	data, next := list{}, ""
	for i, m := range models {
		if i == size {
			next = m.ID
			break
		}
		data = append(data, describeGemini(m))
	}
	body := obj("models", data)
	if next != "" {
		body = body.with("nextPageToken", next)
	}
	return unaryGemini(x, body), nil
}

// geminiUsage renders the usage of an answer; thoughts stand beside the candidates.
func geminiUsage(b Behaviour, a Answer, out int64) any {
	n := spell(b)
	cached, thoughts := min(b.Cached, a.Prompt), min(b.Reasoning, out)
	total := a.Prompt + out
	out -= thoughts
	switch b.Usage {
	case UsageNone:
		return nil
	case UsageNegative:
		out = -out
	case UsageCached:
		cached = a.Prompt + 100
	case UsageReasoning:
		thoughts = total + 100
	}
	u := obj("promptTokenCount", n(a.Prompt))
	if cached > 0 {
		u = u.with("cachedContentTokenCount", n(cached))
	}
	if out != 0 {
		u = u.with("candidatesTokenCount", n(out))
	}
	u = u.with("totalTokenCount", n(total), "promptTokensDetails", list{obj("modality", "TEXT", "tokenCount", n(a.Prompt))})
	if thoughts > 0 {
		u = u.with("thoughtsTokenCount", n(thoughts))
	}
	return u
}
