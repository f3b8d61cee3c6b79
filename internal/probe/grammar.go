package probe

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"sallyport/internal/llm"
)

// look asks for a stream and tells whether it is one of the API that the endpoint
// speaks. A layer may write streams of its own, so this is told and not counted.
func (t *Trial) look(c *causal) {
	a := c.plain()
	a.Stream = true
	replies, ok := c.must(a)
	r := replies[0]
	switch {
	case !ok:
		t.Fact("consistency: stream", "inconclusive: %s", r.Outcome)
	case len(r.Frames) == 0:
		t.Fact("consistency: stream", "none came: %s", r.Error)
	default:
		flaw := streamFlaw(c.Kind, r)
		if flaw == "" {
			flaw = "in the form of the API"
		}
		t.Fact("consistency: stream", "%s", flaw)
	}
}

// streamFlaw is the first thing in a stream that the API's reference does not admit;
// empty when there is none. Events that the references of November 2026 do not know
// are told as such: vendors add some.
func streamFlaw(kind string, r *Reply) string {
	switch kind {
	case "openai":
		return chunksFlaw(r.Frames)
	case "anthropic":
		return eventsFlaw(r.Frames)
	case "gemini":
		return partsFlaw(r.Frames)
	}
	return ""
}

// chunksFlaw checks the chunks of a chat completion with one choice
// (platform.openai.com/docs/api-reference/chat-streaming).
func chunksFlaw(frames []string) string {
	type chunk struct {
		ID      string
		Model   string
		Created json.Number
		Choices []struct {
			Index  int
			Finish *string `json:"finish_reason"`
		}
	}
	if frames[len(frames)-1] != "[DONE]" {
		return "it does not end with [DONE]"
	}
	var first chunk
	finished := 0
	for i, data := range frames[:len(frames)-1] {
		var x chunk
		if err := json.Unmarshal([]byte(data), &x); err != nil {
			return "a chunk cannot be read"
		}
		if i == 0 {
			first = x
		}
		if x.ID != first.ID || x.Model != first.Model || x.Created != first.Created {
			return "id, model or time change on the way"
		}
		for _, choice := range x.Choices {
			if choice.Index != 0 {
				return "a choice is numbered that was not asked for"
			}
			if choice.Finish != nil {
				finished++
			}
		}
	}
	if finished != 1 {
		return fmt.Sprintf("it says %d times why it ends", finished)
	}
	return ""
}

// messageEvents are those of the Messages API.
var messageEvents = []string{
	"ping", "message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop", "error",
}

// eventsFlaw checks the events of a message
// (platform.claude.com/docs/en/build-with-claude/streaming).
func eventsFlaw(frames []string) string {
	type usage struct {
		Input  *int64 `json:"input_tokens"`
		Output int64  `json:"output_tokens"`
	}
	var output int64
	var input *int64
	started := false
	last := ""
	for _, data := range frames {
		var x struct {
			Type    string
			Message struct{ Usage usage }
			Usage   *usage
			Delta   struct{ Type, Signature string }
		}
		if err := json.Unmarshal([]byte(data), &x); err != nil {
			return "an event cannot be read"
		}
		last = x.Type
		switch {
		case !slices.Contains(messageEvents, x.Type):
			return fmt.Sprintf("an event %q is unknown", x.Type[:min(len(x.Type), 40)])
		case x.Type == "ping":
		case (x.Type == "message_start") == started:
			return "message_start does not come first, and once"
		case x.Type == "message_start":
			started, input, output = true, x.Message.Usage.Input, x.Message.Usage.Output
		case x.Delta.Type == "signature_delta" && x.Delta.Signature == "":
			return "a signature is empty"
		case x.Usage != nil:
			if x.Usage.Output < output || x.Usage.Input != nil && input != nil && *x.Usage.Input != *input {
				return "the tokens of the input change, or those of the output become fewer"
			}
			output = x.Usage.Output
		}
	}
	if last != "message_stop" {
		return "it does not end with message_stop"
	}
	return ""
}

// partsFlaw checks the parts of a streamed response
// (ai.google.dev/api/generate-content, UsageMetadata).
func partsFlaw(frames []string) string {
	finish := ""
	for _, data := range frames {
		var x struct {
			Candidates []struct{ FinishReason string }
			Usage      *struct {
				Prompt     int64 `json:"promptTokenCount"`
				Candidates int64 `json:"candidatesTokenCount"`
				Thoughts   int64 `json:"thoughtsTokenCount"`
				Tools      int64 `json:"toolUsePromptTokenCount"`
				Total      int64 `json:"totalTokenCount"`
			} `json:"usageMetadata"`
		}
		if err := json.Unmarshal([]byte(data), &x); err != nil {
			return "a response cannot be read"
		}
		if u := x.Usage; u != nil && u.Total != u.Prompt+u.Candidates+u.Thoughts+u.Tools {
			return "the tokens do not add up to their total"
		}
		finish = ""
		for _, c := range x.Candidates {
			finish = c.FinishReason
		}
	}
	if finish == "" {
		return "the last response does not say why it ends"
	}
	return ""
}

// frameworks are programs that relays are made of, by a header that they set.
var frameworks = []struct{ header, name string }{
	{"X-Litellm-Version", "LiteLLM"}, {"X-Oneapi-Request-Id", "One API or New API"}, {"X-New-Api-Version", "New API"},
}

// relayErrors are programs that relays are made of, by the way in which they write
// errors.
var relayErrors = []struct {
	name string
	text *regexp.Regexp
}{
	{"One API or New API", regexp.MustCompile(`\(request id: \d{14,}[0-9A-Za-z]+\)|"type":"(one|new)_api_error"`)},
	{"LiteLLM", regexp.MustCompile(`\blitellm\.[A-Z][A-Za-z]+(Error|Exception)`)},
}

// recognise tells what the replies show of the way between, and whether they have the
// form of the API. None of it is evidence.
func (t *Trial) recognise(c *causal) {
	platform := "not the vendor's own host"
	if c.Official {
		platform = "the vendor's own host"
	}
	t.Fact("platform: host", "%s", platform)
	all := slices.Concat(c.own, c.rest)
	var seen []string
	for _, r := range all {
		for _, f := range frameworks {
			if r.Header[f.header] != "" {
				seen = append(seen, f.name)
			}
		}
		for _, f := range relayErrors {
			if f.text.Match(r.Body) {
				seen = append(seen, f.name)
			}
		}
	}
	if slices.Sort(seen); len(seen) > 0 {
		t.Fact("platform: layers recognised", "%s", strings.Join(slices.Compact(seen), ", "))
	}
	t.forms(c.Kind, all)
}

// forms tells whether answers and errors have the form of the API.
func (t *Trial) forms(kind string, replies []*Reply) {
	answers, ids, usage, ended := 0, map[string]bool{}, 0, 0
	errors, formed := 0, 0
	for _, r := range replies {
		switch {
		case r.OK():
			answers++
			ids[r.ID] = true
			if r.Usable() {
				usage++
			}
			if r.Finish != llm.FinishUnknown {
				ended++
			}
		case r.Outcome == Refused || r.Outcome == Denied:
			errors++
			if errorForm(kind, r.Body) {
				formed++
			}
		}
	}
	t.Fact("consistency: answers", "%d, with %d different ids, %d of them say why they end", answers, len(ids), ended)
	t.Fact("accounting: usage", "told and possible in %d of %d answers", usage, answers)
	if errors > 0 {
		t.Fact("consistency: errors", "%d of %d have the form of the API", formed, errors)
	}
}

// errorForm reports whether an error is written as the API of a kind writes it.
func errorForm(kind string, body json.RawMessage) bool {
	var e struct {
		Type  string
		Error struct {
			Type, Message, Status string
			Code                  json.RawMessage
		}
	}
	if json.Unmarshal(body, &e) != nil || e.Error.Message == "" {
		return false
	}
	switch kind {
	case "anthropic":
		return e.Type == "error" && e.Error.Type != ""
	case "gemini":
		return e.Error.Status != "" && len(e.Error.Code) > 0
	}
	return e.Error.Type != ""
}
