package llm

// Feature is one thing that a request may ask for and that not every format can
// express. What a request uses and a target cannot carry is refused or dropped,
// and always told; nothing is lost silently.
type Feature uint8

// The features that change what an answer means; featureTexts says what each is.
// Dropping one would hand the client something else than it asked for.
const (
	Tools Feature = iota
	CustomTools
	HostedTools
	ToolChoice
	AllowedTools
	SerialTools
	ToolMedia
	JSONObject
	JSONSchema
	StopSequences
	Choices
	Logprobs
	ImageData
	ImageURL
	AudioInput
	VideoInput
	DocumentData
	DocumentURL
	FileID
	MediaOutput
	Prefill
	Citations
	StoredState
	ForeignPart

	firstTuning // not a feature: those from here on tune

	// The features that tune an answer, its price or its bookkeeping.
	OfferedTools
	MaxTokens
	Temperature
	TopP
	TopK
	Seed
	Penalties
	LogitBias
	Effort
	ThinkingBudget
	ThinkingSummary
	SealedThinking
	Verbosity
	Prediction
	CacheControl
	CacheKey
	SchemaName
	ToolGrammar
	ToolStrict
	ToolError
	ImageDetail
	Names
	User
	Metadata
	Store
	ServiceTier
	Safety
	Unknown
	NumFeatures // how many features there are; not a feature
)

// featureTexts are the stable names, which are stored in records and written in
// configurations, and what they stand for.
var featureTexts = [NumFeatures]struct{ name, about string }{
	Tools:           {"tools", "functions that the client runs"},
	CustomTools:     {"custom_tools", "tools whose input is free text"},
	HostedTools:     {"hosted_tools", "tools that the provider runs, demanded or alone"},
	ToolChoice:      {"tool_choice", "a demand to use tools, none, or a certain one"},
	AllowedTools:    {"allowed_tools", "a choice limited to a list of tools"},
	SerialTools:     {"serial_tools", "at most one call in an answer"},
	ToolMedia:       {"tool_media", "images or documents in a tool's result"},
	JSONObject:      {"json_object", "an answer that is some JSON object"},
	JSONSchema:      {"json_schema", "an answer that follows a schema"},
	StopSequences:   {"stop_sequences", "texts that end the answer"},
	Choices:         {"choices", "more than one answer"},
	Logprobs:        {"logprobs", "probabilities of the answer's tokens"},
	ImageData:       {"image_data", "images in the request"},
	ImageURL:        {"image_url", "images that the provider fetches"},
	AudioInput:      {"audio_input", "sound in the request"},
	VideoInput:      {"video_input", "moving pictures in the request"},
	DocumentData:    {"document_data", "documents in the request"},
	DocumentURL:     {"document_url", "documents that the provider fetches"},
	FileID:          {"file_id", "files that the provider keeps"},
	MediaOutput:     {"media_output", "answers that are not text"},
	Prefill:         {"prefill", "an answer that goes on from the text given"},
	Citations:       {"citations", "answers that name their sources"},
	StoredState:     {"stored_state", "turns, prompts or caches that the provider keeps"},
	ForeignPart:     {"foreign_part", "a part of a message that only its own format knows"},
	OfferedTools:    {"offered_tools", "tools that the provider runs, offered beside the client's own and not demanded"},
	MaxTokens:       {"max_tokens", "a bound on the answer's length"},
	Temperature:     {"temperature", "randomness"},
	TopP:            {"top_p", "nucleus"},
	TopK:            {"top_k", "candidates of each token"},
	Seed:            {"seed", "repeatable randomness"},
	Penalties:       {"penalties", "against repetition"},
	LogitBias:       {"logit_bias", "for or against certain tokens"},
	Effort:          {"effort", "how much to think, in words"},
	ThinkingBudget:  {"thinking_budget", "how much to think, in tokens"},
	ThinkingSummary: {"thinking_summary", "whether and how thinking is told"},
	SealedThinking:  {"sealed_thinking", "earlier thinking that only its provider can read or verify"},
	Verbosity:       {"verbosity", "how much to say"},
	Prediction:      {"prediction", "an expected answer"},
	CacheControl:    {"cache_control", "what the provider's cache shall keep, where and how long"},
	CacheKey:        {"cache_key", "which requests share a cache"},
	SchemaName:      {"schema_name", "the name and the description of the answer's schema"},
	ToolGrammar:     {"tool_grammar", "free text that follows a grammar exactly"},
	ToolStrict:      {"tool_strict", "calls that follow their schema exactly"},
	ToolError:       {"tool_error", "that a tool failed"},
	ImageDetail:     {"image_detail", "how closely to look at an image"},
	Names:           {"names", "who of several speaks"},
	User:            {"user", "for whom the request is made"},
	Metadata:        {"metadata", "the client's own notes"},
	Store:           {"store", "that the provider keeps the answer"},
	ServiceTier:     {"service_tier", "the provider's queue"},
	Safety:          {"safety", "the provider's content filters"},
	Unknown:         {"unknown", "a member that is not in the vocabulary"},
}

// String returns the stable name of the feature, such as "json_schema".
func (f Feature) String() string {
	if f >= NumFeatures {
		return "invalid"
	}
	return featureTexts[f].name
}

// About says what the feature is, for people.
func (f Feature) About() string { return featureTexts[min(f, NumFeatures-1)].about }

// ParseFeature finds a feature by its stable name.
func ParseFeature(name string) (Feature, bool) {
	for i, f := range featureTexts {
		if f.name == name && name != "" {
			return Feature(i), true
		}
	}
	return 0, false
}

// MarshalText implements encoding.TextMarshaler with the stable name.
func (f Feature) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

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
