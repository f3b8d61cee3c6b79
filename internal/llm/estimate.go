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

// Estimate guesses how many tokens the prompt of a request has, for models whose
// vocabulary is not at hand. It is a rule of thumb for prose in Latin script; code
// takes more tokens than it says, and so do other scripts.
func (r *Request) Estimate() int64 {
	n := int64(requestTokens) + estimate(r.System)
	for _, m := range r.Messages {
		n += messageTokens + estimate(m.Parts)
	}
	for _, t := range r.Tools {
		n += messageTokens + tokens(len(t.Name)+len(t.Description)+len(t.Schema))
	}
	return n + tokens(len(r.Format.Schema))
}

func estimate(parts []Part) (n int64) {
	for _, p := range parts {
		switch p.Kind {
		case Image, Audio, Video:
			n += mediaTokens
		case Document:
			if n += tokens(len(p.Media.Plain)); p.Media.Plain == nil {
				n += documentTokens
			}
		case ToolCall:
			n += tokens(len(p.Call.Name) + len(p.Call.Input))
		case ToolResult:
			n += estimate(p.Result.Parts)
		default:
			n += tokens(max(len(p.Text)-2, 0)) // less the quotes
		}
	}
	return n
}

func tokens(size int) int64 { return int64(size+bytesPerToken-1) / bytesPerToken }
