package upstreamtest

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"unicode/utf8"
)

// Answer is what an honest Server answers to a request, whatever the form.
type Answer struct {
	Digest     string     // first 16 hex digits of the SHA-256 of the prompt text
	Nonce      string     // echoed in the text
	Text       string     // empty when tools are called
	Calls      []ToolCall // tools called, in order
	Stop       Stop
	Sequence   string // that stopped it, of an Oracle
	Prompt     int64  // tokens of the prompt
	Completion int64  // tokens generated, reasoning included
}

// ToolCall is one call of a tool.
type ToolCall struct {
	ID   string
	Name string
	Args string // JSON object
}

// Stop is why an answer ended, apart from its spelling in a dialect.
type Stop uint8

// The reasons to stop.
const (
	StopEnd      Stop = iota // the answer is whole
	StopLength               // the client's bound was reached
	StopTool                 // tools are called
	StopSequence             // a sequence that the client named
)

// prompt is a request of any form, reduced to what the answer depends on.
type prompt struct {
	text     strings.Builder // role, colon, text and line feed of every message
	turns    []turn
	last     string // last user text
	after    bool   // a tool result follows it
	tools    []tool
	forced   string // a tool that must be called; "*" for any
	noTools  bool
	parallel bool
	schema   map[string]any // the answer must be JSON of this schema
	max      int64          // bound on generated tokens, 0 for none
}

type turn struct{ role, text string }

type tool struct {
	name   string
	schema map[string]any
}

// add appends one message to the prompt.
func (p *prompt) add(role, content string) {
	p.text.WriteString(role)
	p.text.WriteString(": ")
	p.text.WriteString(content)
	p.text.WriteByte('\n')
	p.turns = append(p.turns, turn{role, content})
	switch role {
	case "user":
		p.last, p.after = content, false
	case "tool":
		p.after = true
	}
}

func (p *prompt) tokens() int64 { return CountTokens(p.text.String()) + 4*int64(len(p.turns)) + 3 }

// CountTokens is the rule by which a Server counts: one token for every four
// bytes of UTF-8 text, rounded up.
func CountTokens(text string) int64 { return int64(len(text)+3) / 4 }

// answer computes the honest answer, as long as a behaviour asks for.
func (p *prompt) answer(b Behaviour) Answer {
	sum := sha256.Sum256([]byte(p.text.String()))
	a := Answer{
		Digest: hex.EncodeToString(sum[:8]),
		Nonce:  cmp.Or(findNonce([]byte(p.text.String())), "-"),
		Prompt: p.tokens(),
	}
	a.Calls = p.calls(a.Digest)
	switch {
	case len(a.Calls) > 0:
		a.Stop = StopTool
		for _, c := range a.Calls {
			a.Completion += CountTokens(c.Name) + CountTokens(c.Args)
		}
	case p.schema != nil:
		a.Text = string(fill(p.schema, a.Digest, awkward(a.Digest), 0))
	default:
		a.Text = babble(a.Digest, a.Nonce, sum, b)
	}
	if p.max > 0 && CountTokens(a.Text) > p.max {
		a.Text, a.Stop = truncate(a.Text, int(p.max)*4), StopLength
	}
	a.Completion += CountTokens(a.Text) + b.Reasoning
	return a
}

// calls lists the tools that the request makes a Server call.
func (p *prompt) calls(digest string) []ToolCall {
	if p.noTools || p.after {
		return nil
	}
	var calls []ToolCall
	for _, t := range p.tools {
		wanted := t.name != "" && strings.Contains(p.last, t.name)
		if p.forced != "" {
			wanted = p.forced == t.name || p.forced == "*" && len(calls) == 0
		}
		if !wanted {
			continue
		}
		sum := sha256.Sum256([]byte(digest + t.name))
		calls = append(calls, ToolCall{
			ID: hex.EncodeToString(sum[:12]), Name: t.name, Args: string(fill(t.schema, digest, awkward(digest), 0)),
		})
		if !p.parallel {
			break
		}
	}
	return calls
}

// words hold what JSON, server-sent events and terminals find hard.
var words = []string{
	"the", "gate", "opens", "once", "naïve", "\"quoted\"", "back\\slash", "tab\there", "新しい", "🚀",
	"</script>", "line\nbreak", "data: [DONE]", "e\u0301", "100%", "{\"a\":1}", "and", "then", "closes",
}

// babble is the text of an answer: digest, nonce, and words drawn from the digest.
func babble(digest, nonce string, seed [32]byte, b Behaviour) string {
	size := 120
	if b.FrameBytes > 0 {
		size = cmp.Or(b.Frames, 8) * b.FrameBytes
	} else if b.Frames > 0 {
		size = max(size, 4*b.Frames)
	}
	r := rand.New(rand.NewChaCha8(seed))
	var t strings.Builder
	t.WriteString("digest:" + digest + " nonce:" + nonce)
	for t.Len() < size {
		t.WriteByte(' ')
		t.WriteString(words[r.IntN(len(words))])
	}
	return t.String()
}

// truncate cuts at the last rune that ends within n bytes.
func truncate(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// pieces splits a text into up to n parts at rune boundaries; never none.
func pieces(s string, n int) []string {
	var parts []string
	for ; n > 1 && len(s) > 0; n-- {
		head := truncate(s, max(len(s)/n, 1))
		if head == "" {
			_, size := utf8.DecodeRuneInString(s)
			head = s[:size]
		}
		parts = append(parts, head)
		s = s[len(head):]
	}
	return append(parts, s)
}

// awkward is a text that careless encoders get wrong.
func awkward(digest string) string { return digest + " \"é\" 🚀" }

// fill makes a JSON value that fits a JSON Schema, from a digest; its strings are
// the text. It knows type, enum, const, properties, items and the required members
// of objects.
func fill(schema map[string]any, digest, text string, depth int) raw {
	if depth > 16 {
		return raw("null")
	}
	if v, ok := schema["const"]; ok {
		return mustJSON(v)
	}
	if vs, ok := schema["enum"].([]any); ok && len(vs) > 0 {
		return mustJSON(vs[int(seed(digest)%uint64(len(vs)))])
	}
	kind, _ := schema["type"].(string)
	if kinds, ok := schema["type"].([]any); ok && len(kinds) > 0 {
		kind, _ = kinds[0].(string)
	}
	properties, _ := schema["properties"].(map[string]any)
	switch {
	case kind == "object" || kind == "" && properties != nil:
		var pairs []any
		for _, name := range slices.Sorted(maps.Keys(properties)) {
			member, _ := properties[name].(map[string]any)
			pairs = append(pairs, name, fill(member, digest, text, depth+1))
		}
		return obj(pairs...)
	case kind == "array":
		items, _ := schema["items"].(map[string]any)
		return appendJSON(nil, list{fill(items, digest, text, depth+1)})
	case kind == "integer":
		return appendJSON(nil, int64(seed(digest)%1000))
	case kind == "number":
		return appendJSON(nil, float64(seed(digest)%1000)/8)
	case kind == "boolean":
		return appendJSON(nil, seed(digest)%2 == 0)
	case kind == "null":
		return raw("null")
	}
	return appendJSON(nil, text)
}

func seed(digest string) uint64 {
	sum := sha256.Sum256([]byte(digest))
	return binary.LittleEndian.Uint64(sum[:])
}

// mustJSON encodes a value that came from JSON.
func mustJSON(v any) raw {
	b, err := json.Marshal(v)
	if err != nil {
		return raw("null")
	}
	return b
}

// parts reduces message content, a string or a list of parts, to its text. A
// part without text counts as its own JSON. Nothing is "".
func parts(content json.RawMessage) string {
	content = bytes.TrimSpace(content)
	var s string
	if json.Unmarshal(content, &s) == nil {
		return s
	}
	var items []json.RawMessage
	if json.Unmarshal(content, &items) != nil {
		return string(content)
	}
	var t strings.Builder
	for i, item := range items {
		if i > 0 {
			t.WriteByte('\n')
		}
		var part struct {
			Text *string `json:"text"`
		}
		if json.Unmarshal(item, &part) == nil && part.Text != nil {
			t.WriteString(*part.Text)
			continue
		}
		t.Write(item)
	}
	return t.String()
}

// present reports whether a member was given and is not null.
func present(r json.RawMessage) bool { return len(r) > 0 && string(r) != "null" }

// spelt writes a count as a usage report spells it.
type spelt func(int64) raw

// spell returns how counts are written under a behaviour.
func spell(b Behaviour) spelt {
	switch b.Usage {
	case UsageHuge:
		return func(n int64) raw { return appendJSON(nil, n+1<<60) }
	case UsageFraction:
		return func(n int64) raw { return append(appendJSON(nil, n), ".5"...) }
	case UsageText:
		return func(n int64) raw { return append(append(raw{'"'}, appendJSON(nil, n)...), '"') }
	case UsageExponent:
		return func(n int64) raw {
			digits := string(appendJSON(nil, n))
			if len(digits) < 2 || digits[0] == '-' {
				return raw(digits + "E0")
			}
			return raw(digits[:1] + "." + digits[1:] + "E+" + string(appendJSON(nil, len(digits)-1)))
		}
	}
	return func(n int64) raw { return appendJSON(nil, n) }
}
