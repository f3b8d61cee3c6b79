package probe

import (
	"encoding/json"
	"net/http"

	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

// Ask is one question of an audit. The zero value of every field but Turns leaves the
// member out of the request, so that the endpoint's own default holds.
type Ask struct {
	System      string
	Turns       []Turn
	Tools       []Tool
	Force       string // name of the tool that must be called; AnyTool for one of them
	Schema      string // JSON Schema that the answer must follow
	MaxTokens   int64
	Limit       string `json:",omitempty"` // name of MaxTokens where the endpoint refuses its usual one
	Temperature *float64
	TopP        *float64
	Effort      llm.Level
	Stop        []string
	Seed        *int64
	Bias        map[string]int // by token id
	Logprobs    int            // how many alternatives a token shall have; 0 asks for none
	Stream      bool
	Extra       json.RawMessage // members to add to the body, as an object; for requests that should be refused

	// What should be refused as well.
	Model      string // instead of the audited one
	Credential Credential

	// Native is a body in the format that the endpoint speaks, sent as it is in the
	// place of everything above but Stream.
	Native json.RawMessage
	Header http.Header // added to the request
}

// Turn is one message.
type Turn struct {
	Role string // "user" or "assistant"
	Text string
}

// User is a conversation of one message.
func User(text string) []Turn { return []Turn{{"user", text}} }

// Tool is a function that the model may call.
type Tool struct {
	Name        string
	Description string
	Parameters  json.RawMessage // JSON Schema of an object
}

// AnyTool forces a call and leaves open of which tool. No tool is called so.
const AnyTool = "*"

// Credential is what a request is authenticated with.
type Credential string

// The credentials. The audit's questions carry the key under which traffic runs; only
// checks that a wrong one is refused use the others.
const (
	OwnKey   Credential = ""
	WrongKey Credential = "wrong"
	NoKey    Credential = "none"
)

// body writes the question as a chat completion, the one format that questions are
// written in; the endpoint's own is translated from it as clients' requests are.
func (a *Ask) body(model string, limitName string) []byte {
	w := wire.NewBuilder(nil).Open()
	w.Key("model").Str(model)
	w.Key("messages").List()
	if a.System != "" {
		w.Open().Key("role").Str("system").Key("content").Str(a.System).Close()
	}
	for _, t := range a.Turns {
		w.Open().Key("role").Str(t.Role).Key("content").Str(t.Text).Close()
	}
	w.EndList()
	if a.MaxTokens > 0 {
		w.Key(limitName).Int(a.MaxTokens)
	}
	a.sampling(w)
	a.form(w)
	if a.Stream {
		w.Key("stream").Bool(true)
		w.Key("stream_options").Open().Key("include_usage").Bool(true).Close()
	}
	if len(a.Extra) > 2 {
		root := wire.Root(a.Extra).Span
		for key, value := range wire.Members(a.Extra, root) {
			name, _ := wire.Text(key.Of(a.Extra), wire.MaxNote)
			w.Name(name).Lit(value.Of(a.Extra))
		}
	}
	return w.Close().Bytes()
}

// sampling writes how the answer is drawn.
func (a *Ask) sampling(w *wire.Builder) {
	number := func(name string, v *float64) {
		if v != nil {
			w.Key(name).Lit(jsonOf(*v))
		}
	}
	number("temperature", a.Temperature)
	number("top_p", a.TopP)
	if a.Effort != "" {
		w.Key("reasoning_effort").Str(string(a.Effort))
	}
	if len(a.Stop) > 0 {
		w.Key("stop").List()
		for _, s := range a.Stop {
			w.Str(s)
		}
		w.EndList()
	}
	if a.Seed != nil {
		w.Key("seed").Int(*a.Seed)
	}
	if len(a.Bias) > 0 {
		w.Key("logit_bias").Lit(jsonOf(a.Bias))
	}
	if a.Logprobs > 0 {
		w.Key("logprobs").Bool(true).Key("top_logprobs").Int(int64(a.Logprobs))
	}
}

// form writes what form the answer shall have.
func (a *Ask) form(w *wire.Builder) {
	if len(a.Tools) > 0 {
		w.Key("tools").List()
		for _, t := range a.Tools {
			w.Open().Key("type").Str("function").Key("function").Open()
			w.Key("name").Str(t.Name).Key("description").Str(t.Description).Key("parameters").Lit(llm.Lit(t.Parameters))
			w.Close().Close()
		}
		w.EndList()
	}
	switch a.Force {
	case "":
	case AnyTool:
		w.Key("tool_choice").Str("required")
	default:
		w.Key("tool_choice").Open().Key("type").Str("function").Key("function").Open().Key("name").Str(a.Force).Close().Close()
	}
	if a.Schema != "" {
		w.Key("response_format").Open().Key("type").Str("json_schema").Key("json_schema").Open()
		w.Key("name").Str("answer").Key("strict").Bool(true).Key("schema").Lit(llm.Lit(a.Schema)).Close().Close()
	}
}

// jsonOf is a value that always has a JSON form.
func jsonOf(v any) llm.Lit {
	b, err := json.Marshal(v)
	if err != nil {
		panic("probe: a value without a JSON form: " + err.Error())
	}
	return b
}
