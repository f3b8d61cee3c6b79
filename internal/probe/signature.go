package probe

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// thinkingSignature has the model think, then continues the conversation three times:
// with the thinking as it came, without it, and with one character of its signature
// changed. Anthropic's API refuses the last; whoever accepts it and counts it as input
// has no Anthropic behind it. It is asked again before that is concluded. A layer that
// leaves thinking out, or a model that does not keep it, does not count it: then
// nothing is concluded.
func thinkingSignature(c *causal, members json.RawMessage) (came, string) {
	end, saw := c.tamper(members)
	if end != accepted {
		return end, saw
	}
	if again, _ := c.tamper(members); again != accepted {
		return unclear, "a changed signature was accepted once, and not a second time"
	}
	return accepted, "twice, " + saw
}

// tamper is one round of it.
func (c *causal) tamper(members json.RawMessage) (came, string) {
	low := 1000 + c.random.IntN(8000)
	question := map[string]any{"role": "user", "content": fmt.Sprintf(
		"How many whole numbers from %d to %d are divisible by 7 or by 11, but not by both? Check your result in a second way.", low, low+700+c.random.IntN(300))}
	follow := map[string]any{"role": "user", "content": "Thank you. Say in one word whether you are sure."}
	body := func(messages ...any) Ask {
		const most = 6000
		return Ask{MaxTokens: most, Native: merged(map[string]any{"model": c.Model, "max_tokens": most, "messages": messages}, members)}
	}
	position := c.random.Float64()
	first, ok := c.must(body(question))
	if !ok {
		return unclear, "the question was not answered"
	}
	content, signature := thought(first[0].Body)
	if signature < 0 {
		return unclear, "the answer has no thinking with a signature"
	}
	turn := func(content []json.RawMessage) Ask {
		return body(question, map[string]any{"role": "assistant", "content": content}, follow)
	}
	other, ok := altered(content, signature, position)
	if !ok {
		return unclear, "the signature is not in the form of the vendor's"
	}
	replies := c.ask(turn(content), turn(withoutThinking(content)), turn(other))
	same, without, changed := replies[0], replies[1], replies[2]
	switch {
	case !same.OK() || !without.OK() || !same.Usable() || !without.Usable():
		return unclear, "thinking that was sent back as it came was not accepted and counted"
	case changed.Outcome == Refused:
		return asClaimed, "thinking is accepted as it came, and refused with a changed signature"
	case !changed.OK() || !changed.Usable():
		return unclear, string(changed.Outcome)
	}
	saw := fmt.Sprintf("the input has %d tokens with the thinking as it came, %d without it, %d with a changed signature",
		same.Tokens.Prompt(), without.Tokens.Prompt(), changed.Tokens.Prompt())
	if same.Tokens.Prompt() <= without.Tokens.Prompt() || changed.Tokens.Prompt() <= without.Tokens.Prompt() {
		return unclear, "thinking is accepted and not counted: " + saw
	}
	return accepted, saw
}

// signed is a block of thinking.
type signed struct {
	Type      string `json:"type"`
	Signature string `json:"signature"`
}

// minSignature is the shortest signature that a character is changed in, in bytes.
const minSignature = 16

// thought returns the blocks of an answer of the Messages API, and which of them is
// thinking that is signed; -1 when none is.
func thought(body json.RawMessage) ([]json.RawMessage, int) {
	var answer struct{ Content []json.RawMessage }
	if json.Unmarshal(body, &answer) != nil {
		return nil, -1
	}
	for i, block := range answer.Content {
		if s := read(block); s.Type == "thinking" && len(s.Signature) >= minSignature {
			return answer.Content, i
		}
	}
	return answer.Content, -1
}

func read(block json.RawMessage) signed {
	var s signed
	if json.Unmarshal(block, &s) != nil {
		return signed{}
	}
	return s
}

// withoutThinking are the blocks that are not thinking.
func withoutThinking(content []json.RawMessage) []json.RawMessage {
	var kept []json.RawMessage
	for _, block := range content {
		if !strings.HasSuffix(read(block).Type, "thinking") {
			kept = append(kept, block)
		}
	}
	return kept
}

// altered are the blocks with one letter of the signature changed, at a position from 0
// to 1 within its middle half: the last letters of Base64 may hold no bit at all. It
// fails when the signature is not written as it reads.
func altered(content []json.RawMessage, at int, position float64) ([]json.RawMessage, bool) {
	old := read(content[at]).Signature
	i := len(old)/4 + int(position*float64(len(old)/2))
	letter := "A"
	if old[i] == letter[0] {
		letter = "B"
	}
	changed := old[:i] + letter + old[i+1:]
	copied := slices.Clone(content)
	copied[at] = bytes.Replace(content[at], []byte(old), []byte(changed), 1)
	return copied, read(copied[at]).Signature == changed
}
