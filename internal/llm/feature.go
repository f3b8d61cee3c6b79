package llm

// Feature is one thing that a request may ask for and that not every format can
// express. What a request uses and a target cannot carry is refused or dropped,
// and always told; nothing is lost silently.
type Feature uint8

// The features that change what an answer means. Dropping one would hand the
// client something else than it asked for.
const (
	Tools         Feature = iota // functions that the client runs
	CustomTools                  // tools whose input is free text
	HostedTools                  // tools that the provider runs
	ToolChoice                   // a demand to use tools, none, or a certain one
	AllowedTools                 // a choice limited to a list of tools
	SerialTools                  // at most one call in an answer
	ToolMedia                    // images or documents in a tool's result
	JSONObject                   // an answer that is some JSON object
	JSONSchema                   // an answer that follows a schema
	StopSequences                // texts that end the answer
	Choices                      // more than one answer
	Logprobs                     // probabilities of the answer's tokens
	ImageData                    // images in the request
	ImageURL                     // images that the provider fetches
	AudioInput                   // sound in the request
	VideoInput                   // moving pictures in the request
	DocumentData                 // documents in the request
	DocumentURL                  // documents that the provider fetches
	FileID                       // files that the provider keeps
	MediaOutput                  // answers that are not text
	Prefill                      // an answer that goes on from the text given
	Citations                    // answers that name their sources
	StoredState                  // turns, prompts or caches that the provider keeps
	ForeignPart                  // a part of a message that only its own format knows

	firstTuning // not a feature: those from here on tune

	// The features that tune an answer, its price or its bookkeeping.
	MaxTokens       // a bound on the answer's length
	Temperature     // randomness
	TopP            // nucleus
	TopK            // candidates of each token
	Seed            // repeatable randomness
	Penalties       // against repetition
	LogitBias       // for or against certain tokens
	Effort          // how much to think, in words
	ThinkingBudget  // how much to think, in tokens
	ThinkingSummary // whether and how thinking is told
	SealedThinking  // earlier thinking that only its provider can read or verify
	Verbosity       // how much to say
	Prediction      // an expected answer
	CacheControl    // what the provider's cache shall keep, where and how long
	CacheKey        // which requests share a cache
	SchemaName      // the name and the description of the answer's schema
	ToolStrict      // calls that follow their schema exactly
	ToolGrammar     // free text that follows a grammar exactly
	ToolError       // that a tool failed
	ImageDetail     // how closely to look at an image
	Names           // who of several speaks
	User            // for whom the request is made
	Metadata        // the client's own notes
	Store           // that the provider keeps the answer
	ServiceTier     // the provider's queue
	Safety          // the provider's content filters
	Unknown         // a member that is not in the vocabulary
	NumFeatures     // how many features there are; not a feature
)

// featureNames are stable: they are stored in records and shown in errors.
var featureNames = [NumFeatures]string{
	Tools: "tools", CustomTools: "custom_tools", HostedTools: "hosted_tools", ToolChoice: "tool_choice",
	AllowedTools: "allowed_tools", SerialTools: "serial_tools", ToolMedia: "tool_media", JSONObject: "json_object",
	JSONSchema: "json_schema", StopSequences: "stop_sequences", Choices: "choices", Logprobs: "logprobs",
	ImageData: "image_data", ImageURL: "image_url", AudioInput: "audio_input", VideoInput: "video_input",
	DocumentData: "document_data", DocumentURL: "document_url", FileID: "file_id", MediaOutput: "media_output",
	Prefill: "prefill", Citations: "citations", StoredState: "stored_state", ForeignPart: "foreign_part", firstTuning: "",
	MaxTokens: "max_tokens", Temperature: "temperature", TopP: "top_p", TopK: "top_k", Seed: "seed",
	Penalties: "penalties", LogitBias: "logit_bias", Effort: "effort", ThinkingBudget: "thinking_budget",
	ThinkingSummary: "thinking_summary", SealedThinking: "sealed_thinking", Verbosity: "verbosity",
	Prediction: "prediction", CacheControl: "cache_control", CacheKey: "cache_key", SchemaName: "schema_name", ToolStrict: "tool_strict", ToolGrammar: "tool_grammar",
	ToolError: "tool_error", ImageDetail: "image_detail", Names: "names", User: "user", Metadata: "metadata",
	Store: "store", ServiceTier: "service_tier", Safety: "safety", Unknown: "unknown",
}

// String returns the stable name of the feature, such as "json_schema".
func (f Feature) String() string {
	if f >= NumFeatures {
		return "invalid"
	}
	return featureNames[f]
}

// Tunes reports whether an answer without the feature still means the same.
func (f Feature) Tunes() bool { return f > firstTuning && f < NumFeatures }

// Features is a set of features. The zero value is empty.
type Features uint64

// Set returns the set of the features given.
func Set(features ...Feature) Features {
	var s Features
	for _, f := range features {
		s |= 1 << f
	}
	return s
}

// Has reports whether the feature is in the set.
func (s Features) Has(f Feature) bool { return s&(1<<f) != 0 }

// Without returns the set less the features given.
func (s Features) Without(features ...Feature) Features { return s &^ Set(features...) }

// Use is one place of a request that asks for a feature.
type Use struct {
	Feature Feature
	At      int // byte offset into the client's body
}
