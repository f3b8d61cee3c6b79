package llm

// What an estimate takes for granted: how many bytes of UTF-8 make a token, and
// what a message, a request, an image and a page of sound or paper cost besides.
const (
	bytesPerToken  = 4
	messageTokens  = 4
	requestTokens  = 3
	mediaTokens    = 800
	documentTokens = 1600
)

// RuleOfThumb guesses how many tokens a text has that is written so. It is for prose
// in Latin script; code takes more tokens than it says, and so do other scripts.
func RuleOfThumb(text []byte) int64 { return int64(len(text)+bytesPerToken-1) / bytesPerToken }

// Estimate adds up how many tokens the prompt of a request has. literal and plain say
// it of its pieces: of string literals, and of text and JSON that stand as they are.
// What stands around the pieces, and pictures, are a rule of thumb in any case.
func (r *Request) Estimate(literal, plain func([]byte) int64) int64 {
	e := estimate{literal, plain, requestTokens}
	e.parts(r.System)
	for _, m := range r.Messages {
		e.n += messageTokens
		e.parts(m.Parts)
	}
	for _, t := range r.Tools {
		e.n += messageTokens
		e.add(e.plain, []byte(t.Name), t.Schema)
		e.add(e.literal, t.Description)
	}
	e.add(e.plain, r.Format.Schema)
	return e.n
}

type estimate struct {
	literal, plain func([]byte) int64
	n              int64
}

func (e *estimate) add(count func([]byte) int64, pieces ...[]byte) {
	for _, piece := range pieces {
		if len(piece) > 0 {
			e.n += count(piece)
		}
	}
}

func (e *estimate) parts(parts []Part) {
	for _, p := range parts {
		switch p.Kind {
		case Image, Audio, Video:
			e.n += mediaTokens
		case Document:
			if e.add(e.literal, p.Media.Plain); p.Media.Plain == nil {
				e.n += documentTokens
			}
		case ToolCall:
			e.add(e.plain, []byte(p.Call.Name), p.Call.Input)
		case ToolResult:
			e.parts(p.Result.Parts)
		default:
			e.add(e.literal, p.Text)
		}
	}
}
