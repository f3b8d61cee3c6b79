package upstream

import (
	"cmp"
	"net/url"
	"path"
	"slices"

	"sallyport/internal/wire"
)

// Kind is the API that an upstream has: of which family it is, and how it is
// reached.
type Kind string

// The kinds. The first three are families as well: what requests and answers look
// like. The others are of a cloud, which mostly serves a family's formats.
const (
	OpenAI    Kind = "openai"    // anything compatible with OpenAI's API
	Anthropic Kind = "anthropic" // Anthropic's Messages API
	Gemini    Kind = "gemini"    // Google's Gemini API
	Azure     Kind = "azure"     // OpenAI's API in Azure
	Vertex    Kind = "vertex"    // Gemini's or Anthropic's API in Google Cloud, by the publisher in the base URL
	Bedrock   Kind = "bedrock"   // Amazon Bedrock's Converse; a family of its own
)

// kinds is what is known of each kind.
var kinds = map[Kind]struct {
	family   Kind            // whose formats it has; empty where the publisher decides
	official string          // the host of the vendor whose API it is; empty where nobody else serves it
	serves   []wire.Endpoint // of its family's API; nil for all
}{
	OpenAI:    {OpenAI, "api.openai.com", nil},
	Anthropic: {Anthropic, "api.anthropic.com", nil},
	Gemini:    {Gemini, "generativelanguage.googleapis.com", nil},
	Azure:     {OpenAI, "", []wire.Endpoint{wire.Chat, wire.Responses, wire.Embeddings}},
	Vertex:    {"", "", []wire.Endpoint{wire.GenerateContent, wire.CountContent, wire.Messages, wire.CountTokens}},
	Bedrock:   {Bedrock, "", []wire.Endpoint{wire.Converse}},
}

// publishers are the families of those who publish models in Google Cloud.
var publishers = map[string]Kind{"google": Gemini, "anthropic": Anthropic}

// Family is the kind whose formats the upstream has.
func (u *Upstream) Family() Kind {
	if u.Kind == Vertex {
		return publishers[path.Base(u.base.Path)]
	}
	return kinds[u.Kind].family
}

// native is where an API of a family generates answers.
var native = map[Kind]struct {
	endpoint wire.Endpoint
	path     string // below the base URL
	stream   string // the path that streams; empty where it is the same
	query    string // that a stream needs
}{
	OpenAI:    {wire.Chat, "/chat/completions", "", ""},
	Anthropic: {wire.Messages, "/messages", "", ""},
	Gemini:    {wire.GenerateContent, "/{model}:generateContent", "/{model}:streamGenerateContent", "alt=sse"},
	Bedrock:   {wire.Converse, "/model/{model}/converse", "/model/{model}/converse-stream", ""},
}

// Native is the endpoint at which the upstream is asked for answers when the format is
// free to choose, with its path below the base URL and its query.
func (u *Upstream) Native(stream bool) (ep wire.Endpoint, path, query string) {
	n := native[u.Family()]
	if stream {
		return n.endpoint, cmp.Or(n.stream, n.path), n.query
	}
	return n.endpoint, n.path, ""
}

// Official reports whether the vendor whose API this is serves it, not one of the
// many servers that are compatible with it.
func (u *Upstream) Official() bool {
	official := kinds[u.Kind].official
	return official == "" || u.Host() == official
}

// Serves reports whether the upstream serves an endpoint of its API. Without a list
// it serves what its kind does; but what hardly any other server has only its
// inventor does.
func (u *Upstream) Serves(ep wire.Endpoint) bool {
	serves := u.Endpoints
	if serves == nil {
		serves = kinds[u.Kind].serves
	}
	if serves == nil {
		return !rare[ep] || u.Official()
	}
	return slices.Contains(serves, ep)
}

// rare are the endpoints that hardly anybody but the vendor serves: compactions,
// and what has to be kept.
var rare = map[wire.Endpoint]bool{
	wire.Compact: true, wire.Files: true, wire.Batches: true, wire.Conversations: true, wire.VectorStores: true,
	wire.StoredResponses: true, wire.MessageBatches: true, wire.CachedContents: true,
}

// lists reports whether the upstream can say which models it serves. Clouds list
// what they offer to all; what an operator deployed or enabled they do not tell.
func (u *Upstream) lists() bool { return kinds[u.Kind].official != "" }

// place puts a request where the upstream's kind has what its family's API has at
// r.Path.
func (u *Upstream) place(r *Request) {
	switch u.Kind {
	case Azure:
		u.placeAzure(r)
	case Vertex:
		u.placeVertex(r)
	}
}

// placeAzure puts a request below the deployment that is its model, or, without a
// version, into the API that has none
// (learn.microsoft.com/azure/ai-foundry/openai/reference, and api-version-lifecycle).
func (u *Upstream) placeAzure(r *Request) {
	switch {
	case u.APIVersion == "":
		r.Path, r.Query = "/openai/v1"+r.Path, ""
		return
	case r.Endpoint == wire.Chat, r.Endpoint == wire.Embeddings:
		r.Path = "/openai/deployments/{model}" + r.Path
	default:
		r.Path = "/openai" + r.Path
	}
	r.Query = "api-version=" + url.QueryEscape(u.APIVersion)
}

// placeVertex puts a request of Anthropic's API where Google Cloud has it
// (platform.claude.com, build-with-claude/claude-on-vertex-ai). Gemini's has its
// own paths there.
func (u *Upstream) placeVertex(r *Request) {
	switch r.Endpoint {
	case wire.Messages:
		r.Path, r.Query = "/models/{model}:rawPredict", ""
		if r.Stream {
			r.Path = "/models/{model}:streamRawPredict"
		}
	case wire.CountTokens:
		r.Path, r.Query = "/models/count-tokens:rawPredict", ""
	}
}
