// Package bedrock is the format of Amazon Bedrock's Converse and ConverseStream.
// Clients do not speak it here, only upstreams do: it writes requests and reads
// answers.
//
// What it writes and reads follows the API reference (docs.aws.amazon.com,
// bedrock/latest/APIReference, API_runtime_Converse and API_runtime_ConverseStream)
// and the official SDK for Go (service/bedrockruntime 1.63).
package bedrock

import (
	"strings"

	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

// Format is how Converse is translated to.
func Format() wire.Format {
	return wire.Format{
		Endpoint: wire.Converse, Carries: carries, Fit: fit, Write: write,
		Follow:  func(*wire.Call) wire.Follower { return &converse{} },
		Framing: &wire.Framing{MIME: "application/vnd.amazon.eventstream", Open: openStream},
		Decode:  func() wire.Decoder { return &decoder{} },
	}
}

// carries is what a Converse request can express.
var carries = llm.Set(
	llm.Tools, llm.ToolChoice, llm.ToolMedia, llm.JSONSchema, llm.StopSequences, llm.ImageData, llm.VideoInput, llm.DocumentData, llm.Prefill,
	llm.MaxTokens, llm.Temperature, llm.TopP, llm.TopK, llm.Effort, llm.ThinkingBudget, llm.SealedThinking, llm.CacheControl,
	llm.SchemaName, llm.ToolStrict, llm.ToolError, llm.ServiceTier,
)

// fit is what a model can express, of the features carried. What the API has no
// members for is told to Claude in those of its own API.
func fit(model string, carried llm.Features) llm.Features {
	if claude(model) {
		return carried
	}
	carried = carried.Without(llm.TopK, llm.Effort, llm.ThinkingBudget, llm.SealedThinking, llm.Prefill)
	if !strings.Contains(model, "amazon.nova") {
		carried = carried.Without(llm.CacheControl)
	}
	return carried
}

// claude reports whether a model is Anthropic's. Profiles of an operator's own hide
// what they stand for.
func claude(model string) bool { return strings.Contains(model, "anthropic.") }
