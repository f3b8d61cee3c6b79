package wire

import "sallyport/internal/llm"

// Format is how the requests and answers of one endpoint are translated to and
// from the vocabulary of package llm. There is one for each format that models are
// spoken to in, and never one for a pair: whatever reads and writes is a format. One
// that only upstreams speak has neither Read nor Encode. Formats are immutable; their funcs are safe for concurrent use.
type Format struct {
	Endpoint Endpoint
	// Carries is what requests of the format can express.
	Carries llm.Features
	// Fit is what a model can express of the features carried; nil when all models
	// of the format are alike.
	Fit func(model string, carried llm.Features) llm.Features
	// Read takes in a body that the dialect's Parse has accepted. The request
	// refers to the body's memory. The error is a *fault.Error of kind BadRequest
	// with a pointer.
	Read func(body []byte) (*llm.Request, error)
	// Write renders a request for a target, less what t.Carries lacks, and lists
	// what it could not carry besides. The request is not changed.
	Write func(r *llm.Request, t Target) (body []byte, lost []llm.Use)
	// Follow returns a follower for the answer to a call, as the dialect's does.
	Follow func(call *Call) Follower
	// Framing is how a stream comes; nil for server-sent events.
	Framing *Framing
	// Decode returns what reads one answer.
	Decode func() Decoder
	// Encode returns what writes one answer.
	Encode func(a Answering) Encoder
}

// Target is the upstream that a request is written for.
type Target struct {
	Model   string       // the upstream's own name
	Carries llm.Features // what the format, the upstream and the model can express
	Vendor  bool         // the format's own vendor serves it, not a compatible server
	Size    int          // about how many bytes the body will have; 0 when not known
}

// Room returns memory to write the body into.
func (t Target) Room() []byte { return make([]byte, 0, t.Size+t.Size/16+1024) }

// Answering is what an encoder needs to know of the exchange that it answers.
type Answering struct {
	ID      string // unique, of letters, digits, - and _
	Created int64  // seconds since the Unix epoch
	Model   string // that the client asked for; used where the upstream declares none
	Usage   bool   // the client wants usage in a stream
	Request *llm.Request
	Body    []byte // the client's, that Request was read from
}

// Decoder reads one answer of an upstream. It is not safe for concurrent use and
// what it returns refers to the bytes that it was shown. Its errors are of kind
// UpstreamInvalid.
type Decoder interface {
	// Frame appends what one event of a stream says. The events must be used
	// before the next call.
	Frame(dst []llm.Event, ev Event) ([]llm.Event, error)
	// End appends what the end of the stream says: parts that nothing else ended.
	End(dst []llm.Event) []llm.Event
	// Whole reads a unary answer.
	Whole(body []byte) (*llm.Answer, error)
	// Failure reads the body of an error status, or the event of an error.
	Failure(body []byte) llm.Failure
}

// Encoder writes one answer in the client's format. It is not safe for concurrent
// use.
type Encoder interface {
	// Event appends the frames that one event becomes, if any.
	Event(dst []byte, ev *llm.Event) ([]byte, error)
	// End appends the last frames of a stream.
	End(dst []byte, u llm.Usage) []byte
	// Whole renders a unary answer.
	Whole(a *llm.Answer, u llm.Usage) ([]byte, error)
}

// For is what a request for a model of an upstream can express that lacks some
// features of the format.
func (f Format) For(model string, lacks llm.Features) llm.Features {
	carried := f.Carries &^ lacks
	if f.Fit != nil {
		carried = f.Fit(model, carried)
	}
	return carried
}

// CheckResults makes sure that every part stands where its kind may, and that every
// result of a tool answers an earlier call, and gives it the name of that call's
// tool. The error is of kind BadRequest.
func CheckResults(body []byte, r *llm.Request) error {
	if err := checkParts(body, r.System, llm.Developer); err != nil {
		return err
	}
	calls := map[string]llm.Call{}
	for _, m := range r.Messages {
		if err := checkParts(body, m.Parts, m.Role); err != nil {
			return err
		}
		for i := range m.Parts {
			switch p := &m.Parts[i]; p.Kind {
			case llm.ToolCall:
				calls[p.Call.ID] = p.Call
			case llm.ToolResult:
				call, known := calls[p.Result.ID]
				if !known {
					return Refuse(Pointer(body, p.At), "this is the result of a tool call that no earlier message makes")
				}
				p.Result.Name, p.Result.Free = call.Name, call.Free
			}
		}
	}
	return nil
}

// checkParts makes sure that only the model thinks and calls, and only the user
// returns results, which hold neither.
func checkParts(body []byte, parts []llm.Part, role llm.Role) error {
	for _, p := range parts {
		switch p.Kind {
		case llm.Thought, llm.ToolCall:
			if role != llm.Assistant {
				return Refuse(Pointer(body, p.At), "only a turn of the model may hold this")
			}
		case llm.ToolResult:
			if role != llm.Customer {
				return Refuse(Pointer(body, p.At), "only a turn of the user may hold this")
			}
			if err := checkParts(body, p.Result.Parts, llm.Developer); err != nil {
				return err
			}
		}
	}
	return nil
}
