// Package wire turns the bytes of model APIs into facts and back without ever
// decoding a whole body: a strict scanner that finds spans, splices that change
// only named spans, a server-sent-event splitter, and the Dialect seam that each
// API family implements.
package wire

import (
	"sallyport/internal/fault"
	"sallyport/internal/llm"
)

// Endpoint is one operation of a dialect; its text is stored in records.
type Endpoint string

// The endpoints.
const (
	Chat        Endpoint = "chat"         // OpenAI POST /v1/chat/completions
	Responses   Endpoint = "responses"    // OpenAI POST /v1/responses
	Compact     Endpoint = "compact"      // OpenAI POST /v1/responses/compact
	Embeddings  Endpoint = "embeddings"   // OpenAI POST /v1/embeddings
	Messages    Endpoint = "messages"     // Anthropic POST /v1/messages
	CountTokens Endpoint = "count_tokens" // Anthropic POST /v1/messages/count_tokens
	Models      Endpoint = "models"       // GET /v1/models and /v1/models/{id}

	Images          Endpoint = "images"           // OpenAI POST /v1/images/generations
	ImageEdits      Endpoint = "image_edits"      // OpenAI POST /v1/images/edits, a form
	ImageVariations Endpoint = "image_variations" // OpenAI POST /v1/images/variations, a form
	Speech          Endpoint = "speech"           // OpenAI POST /v1/audio/speech; the answer is audio
	Transcriptions  Endpoint = "transcriptions"   // OpenAI POST /v1/audio/transcriptions, a form
	Translations    Endpoint = "translations"     // OpenAI POST /v1/audio/translations, a form
	Moderations     Endpoint = "moderations"      // OpenAI POST /v1/moderations
	Rerank          Endpoint = "rerank"           // Cohere POST /v1/rerank and /v2/rerank

	Files           Endpoint = "files"            // OpenAI and Anthropic /v1/files and below
	Batches         Endpoint = "batches"          // OpenAI /v1/batches and below
	Conversations   Endpoint = "conversations"    // OpenAI /v1/conversations and below
	VectorStores    Endpoint = "vector_stores"    // OpenAI /v1/vector_stores and below
	StoredResponses Endpoint = "stored_responses" // OpenAI /v1/responses/{id} and below
	MessageBatches  Endpoint = "message_batches"  // Anthropic /v1/messages/batches and below
	CachedContents  Endpoint = "cached_contents"  // Google /v1beta/cachedContents and below

	GenerateContent    Endpoint = "generate_content"     // Google POST /v1beta/models/{model}:generateContent and :streamGenerateContent
	CountContent       Endpoint = "count_content"        // Google POST /v1beta/models/{model}:countTokens
	EmbedContent       Endpoint = "embed_content"        // Google POST /v1beta/models/{model}:embedContent
	BatchEmbedContents Endpoint = "batch_embed_contents" // Google POST /v1beta/models/{model}:batchEmbedContents

	// Converse is of upstreams only.
	Converse Endpoint = "converse" // Bedrock POST /model/{model}/converse and /converse-stream
)

// Span is a half-open range of byte offsets into a body.
type Span struct{ Start, End int }

// Edit replaces the bytes of a span. Edits of one body are sorted by Start and
// do not overlap; an empty span inserts.
type Edit struct {
	Span
	With []byte
}

// Call is what the gateway needs to know of a request. It is immutable once
// parsed and holds offsets into the body it was parsed from.
type Call struct {
	Endpoint   Endpoint
	Model      string // decoded model name, as the client wrote it
	ModelSpan  Span   // where it stands, in the form that Naming says; zero where the path names the model
	Naming     Naming
	Repeats    []Span // string values of the body that repeat, as models/NAME, the model that the path names
	Stream     bool
	MaxOutput  int64 // the client's bound on generated tokens of one choice; 0 when it gave none
	Choices    int64 // how many answers it asked for; at least 1
	UsageAsked bool  // the client itself asked for usage in the stream
	Raw        bool  // the answer is no JSON, unless it is a stream or an error
	UsageEdit  *Edit // what makes the upstream report usage in the stream; nil when not applicable or already asked
}

// Naming is how a body names its model.
type Naming uint8

// The ways to name it.
const (
	NamedInJSON Naming = iota // by a JSON string, of which ModelSpan includes the quotes
	NamedInForm               // by a field, of which ModelSpan is the content
	Unnamed                   // not at all: ModelSpan is empty, where a first member can be inserted
)

// Rename is the edit that makes the body name another model.
func (c *Call) Rename(model string) Edit {
	e := Edit{Span: c.ModelSpan}
	switch c.Naming {
	case NamedInForm:
		e.With = []byte(model)
	case Unnamed:
		e.With = append(AppendString([]byte(`"model":`), model), ',')
	default:
		e.With = AppendString(nil, model)
	}
	return e
}

// Limits bound what a parser accepts.
type Limits struct {
	Depth int // deepest nesting of arrays and objects; positive, and never more than MaxDepth
}

// FrameKind is what one server-sent event means for the exchange.
type FrameKind uint8

// The kinds of frame.
const (
	FrameMeta    FrameKind = iota // opens or structures the answer; no content yet
	FrameContent                  // the first of these commits the attempt
	FrameUsage                    // carries only usage: dropped when only Sallyport asked for it
	FramePing                     // keeps the connection alive
	FrameError                    // the upstream reports an error inside the stream
	FrameEnd                      // the dialect's end of stream
	FrameInvalid                  // not in the dialect
	FrameFailed                   // as FrameError, in a form that the dialect's clients do not take for an error
)

// Follower follows one answer. It is not safe for concurrent use, keeps no
// reference to the bytes it is shown, and bounds what it remembers.
type Follower interface {
	// Frame is shown each event of a stream in order.
	Frame(ev Event) FrameKind
	// Body is shown a whole unary answer with a 2xx status; an error means the
	// answer is not in the dialect.
	Body(b []byte) error
	// Summary is what was learned so far.
	Summary() llm.Summary
}

// Dialect is one family of model APIs. Implementations are stateless and safe
// for concurrent use.
type Dialect interface {
	// Parse reads a request body strictly. Its error is a *fault.Error of kind
	// BadRequest whose Pointer is a JSON pointer to the offending place.
	Parse(ep Endpoint, body []byte, lim Limits) (*Call, error)
	// Follow returns a follower for the answer to a call.
	Follow(call *Call) Follower
	// Fault renders an error as the dialect's own JSON body, or, for a stream
	// that has begun, as its error frame including the blank line.
	Fault(ep Endpoint, e *fault.Error, requestID string, frame bool) []byte
	// Heartbeat is a frame that every client of the dialect ignores.
	Heartbeat(ep Endpoint) []byte
}
