package wire

import (
	"slices"
	"strings"
	"unicode/utf16"

	"sallyport/internal/llm"
)

// inputSchema is what the input of a custom tool is as the input of a function.
var inputSchema = llm.Lit(`{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}`)

// WithFunctions is the request as it is put to a target that knows functions but
// no custom tools: each of these becomes a function with one text, input, and
// earlier calls become calls of that function. Else it is the request itself.
// Unwrap turns the answer's calls back. A grammar, which such a target cannot
// enforce, is told to the model in words.
func WithFunctions(r *llm.Request, carried llm.Features) *llm.Request {
	if carried.Has(llm.CustomTools) || !carried.Has(llm.Tools) || !r.Asks(llm.CustomTools) {
		return r
	}
	w := *r
	w.Uses = slices.DeleteFunc(slices.Clone(r.Uses), func(u llm.Use) bool { return u.Feature == llm.CustomTools })
	w.Choice.Free = false
	w.Tools = slices.Clone(r.Tools)
	for i := range w.Tools {
		if t := &w.Tools[i]; t.Free {
			t.Free, t.Schema, t.Description, t.Grammar = false, inputSchema, describe(t), llm.Grammar{}
		}
	}
	w.Messages = slices.Clone(r.Messages)
	for i := range w.Messages {
		m := &w.Messages[i]
		m.Parts = slices.Clone(m.Parts)
		for j := range m.Parts {
			p := &m.Parts[j]
			if p.Call.Free {
				p.Call.Free, p.Call.Input = false, NewBuilder(nil).Open().Key("input").Text(p.Call.Input).Close().Bytes()
			}
			p.Result.Free = false
		}
	}
	return &w
}

// describe is the description of a custom tool with its grammar in words.
func describe(t *llm.Tool) llm.Lit {
	if t.Grammar.Definition == nil {
		return t.Description
	}
	if len(t.Description) > 2 {
		return Join(nil, t.Description, Quote("\n\nThe input must follow this grammar ("), t.Grammar.Syntax, Quote("):\n\n"), t.Grammar.Definition)
	}
	return Join(nil, Quote("The input must follow this grammar ("), t.Grammar.Syntax, Quote("):\n\n"), t.Grammar.Definition)
}

// Unwrap reads the answer to what WithFunctions made of a request: calls of its
// custom tools are such calls again. A call whose input is not as it was asked
// for keeps all of its input, so that the client's tool can complain.
func Unwrap(d Decoder, r *llm.Request) Decoder {
	u := &unwrapping{Decoder: d, free: map[string]bool{}, open: map[int]*unwrapped{}}
	for _, t := range r.Tools {
		if t.Free {
			u.free[t.Name] = true
		}
	}
	return u
}

// unwrapping is the Decoder that Unwrap returns.
type unwrapping struct {
	Decoder
	free   map[string]bool
	open   map[int]*unwrapped // the calls that go on, by choice
	events []llm.Event        // memory for those of one frame
}

// Frame implements Decoder.
func (u *unwrapping) Frame(dst []llm.Event, ev Event) ([]llm.Event, error) {
	from := len(dst)
	dst, err := u.Decoder.Frame(dst, ev)
	return u.unwrap(dst, from), err
}

// End implements Decoder.
func (u *unwrapping) End(dst []llm.Event) []llm.Event {
	from := len(dst)
	return u.unwrap(u.Decoder.End(dst), from)
}

// unwrap replaces the events from an index on.
func (u *unwrapping) unwrap(dst []llm.Event, from int) []llm.Event {
	if len(u.open) == 0 && !slices.ContainsFunc(dst[from:], u.begins) {
		return dst
	}
	u.events = u.events[:0]
	for _, ev := range dst[from:] {
		call := u.open[ev.Choice]
		switch {
		case u.begins(ev):
			ev.Part.Call.Free = true
			u.open[ev.Choice] = &unwrapped{}
		case call != nil && ev.Kind == llm.PartDelta:
			if ev.Text = call.more(Unquote(ev.Text)); ev.Text == nil {
				continue
			}
		case call != nil && ev.Kind == llm.PartEnd:
			delete(u.open, ev.Choice)
			if rest := call.rest(); rest != nil {
				u.events = append(u.events, llm.Event{Kind: llm.PartDelta, Choice: ev.Choice, Index: ev.Index, Text: rest})
			}
		}
		u.events = append(u.events, ev)
	}
	return append(dst[:from], u.events...)
}

func (u *unwrapping) begins(ev llm.Event) bool {
	return ev.Kind == llm.PartStart && ev.Part.Kind == llm.ToolCall && u.free[ev.Part.Call.Name]
}

// Whole implements Decoder.
func (u *unwrapping) Whole(body []byte) (*llm.Answer, error) {
	a, err := u.Decoder.Whole(body)
	if err != nil {
		return nil, err
	}
	for _, c := range a.Choices {
		for i := range c.Parts {
			call := &c.Parts[i].Call
			if c.Parts[i].Kind != llm.ToolCall || !u.free[call.Name] {
				continue
			}
			call.Free = true
			if input := Root(call.Input).Fields().Take("input"); input.Kind() == String {
				call.Input = Unquote(input.Lit())
			}
		}
	}
	return a, nil
}

// unwrapped takes the text out of {"input":"TEXT"} as it comes in pieces.
type unwrapped struct {
	state unwrapState
	held  []byte // JSON that is not understood yet: the head, or part of an escape
}

type unwrapState uint8

const (
	beforeText unwrapState = iota
	insideText
	behindText
	notWrapped // the input is something else and passes as it is
)

// more is the text that a piece of the input adds, as a string literal; nil when
// there is none.
func (c *unwrapped) more(piece []byte) llm.Lit {
	c.held = append(c.held, piece...)
	if c.state == beforeText {
		switch n, fits := head(c.held); {
		case !fits:
			c.state = notWrapped
		case n > 0:
			c.state, c.held = insideText, c.held[n:]
		}
	}
	switch c.state {
	case insideText:
		return literal(c.text())
	case notWrapped:
		return c.rest()
	case behindText:
		c.held = nil
	}
	return nil
}

// rest is what was held back when the input ends; nil when there is nothing.
func (c *unwrapped) rest() llm.Lit {
	text := c.held
	c.held = nil
	return literal(text)
}

func literal(text []byte) llm.Lit {
	if len(text) == 0 {
		return nil
	}
	return Quote(string(text))
}

// head returns how long the JSON before the text is, or 0 when b ends before the
// text begins; fits is false when b is something else.
func head(b []byte) (n int, fits bool) {
	for _, token := range []string{"{", `"input"`, ":", `"`} {
		n = skip(b, n)
		rest := string(b[n:min(n+len(token), len(b))])
		switch {
		case !strings.HasPrefix(token, rest):
			return 0, false
		case len(rest) < len(token):
			return 0, true
		}
		n += len(token)
	}
	return n, true
}

// text takes out of held what is whole of the text.
func (c *unwrapped) text() (text []byte) {
	i := 0
	for i < len(c.held) {
		switch c.held[i] {
		case '"':
			c.state, c.held = behindText, nil
			return text
		case '\\':
			n := escapeLen(c.held[i:])
			if n == 0 {
				c.held = c.held[i:]
				return text
			}
			text = appendDecoded(text, c.held[i:i+n])
			i += n
		default:
			text = append(text, c.held[i])
			i++
		}
	}
	c.held = nil
	return text
}

// escapeLen is the length of the escape, or of the surrogate pair, that b begins
// with; 0 when b may end within it.
func escapeLen(b []byte) int {
	switch {
	case len(b) < 2:
		return 0
	case b[1] != 'u':
		return 2
	case len(b) < 6:
		return 0
	}
	first := unit(b, 0)
	if first < 0xD800 || first > 0xDBFF || !strings.HasPrefix(`\u`, string(b[6:min(8, len(b))])) {
		return 6
	}
	if len(b) < 12 {
		return 0
	}
	if utf16.DecodeRune(first, unit(b, 6)) == 0xFFFD {
		return 6
	}
	return 12
}
