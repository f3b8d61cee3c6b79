package probe

import (
	"encoding/json"
	"strings"
	"time"

	"sallyport/internal/llm"
)

// Outcome is how a question ended. Only Answered is an answer; the others are
// outcomes of their own and never evidence for or against a model.
type Outcome string

// The outcomes.
const (
	Answered    Outcome = "answered"
	Refused     Outcome = "refused"      // an error status of the caller's fault: 400, 404, 413, 422
	Denied      Outcome = "denied"       // 401 or 403
	RateLimited Outcome = "rate limited" // 429
	Failed      Outcome = "failed"       // a 5xx, or an error inside a stream
	TimedOut    Outcome = "timed out"
	Unreachable Outcome = "unreachable" // no connection, or it broke
	Malformed   Outcome = "malformed"   // what came is no answer of a model API
	Capped      Outcome = "spend cap"   // not sent: the cap is reached
	Forbidden   Outcome = "forbidden"   // not sent: the gateway's policy does not allow it
	Interrupted Outcome = "interrupted" // not sent, or given up: whoever ran the audit stopped it
)

// Reply is what came back. Texts in it are the endpoint's and hostile.
type Reply struct {
	Outcome Outcome       `json:"outcome"`
	Status  int           `json:"status,omitempty"`
	Failure *llm.Failure  `json:"failure,omitempty"`
	Error   string        `json:"error,omitempty"` // what went wrong below HTTP, in our words
	Retry   time.Duration `json:"retry_ns,omitempty"`

	Text     string     `json:"text,omitempty"`
	Refusal  string     `json:"refusal,omitempty"`
	Thought  string     `json:"thought,omitempty"`
	Calls    []Call     `json:"calls,omitempty"`
	Finish   llm.Finish `json:"finish,omitempty"`
	Sequence string     `json:"sequence,omitempty"`

	ID          string          `json:"id,omitempty"`
	Model       string          `json:"model,omitempty"` // that it declares
	Fingerprint string          `json:"fingerprint,omitempty"`
	Usage       llm.UsageStatus `json:"usage,omitempty"`
	Tokens      llm.Tokens      `json:"tokens,omitzero"`
	Flaw        string          `json:"flaw,omitempty"` // why the usage is implausible

	Header map[string]string `json:"header,omitempty"` // those of its headers that say something of the way it went
	Body   json.RawMessage   `json:"body,omitempty"`   // of a whole answer or an error, when it is JSON of at most MaxKept bytes
	Frames []string          `json:"frames,omitempty"` // data of a stream's events, as long as all fit into MaxKept bytes
	SHA256 string            `json:"sha256,omitempty"` // of all that came

	First  time.Duration `json:"first_ns,omitempty"` // from sending to the first content
	Took   time.Duration `json:"took_ns,omitempty"`  // from sending to the end
	Chunks []Chunk       `json:"chunks,omitempty"`   // of a stream: when text came, and how much
}

// MaxKept bounds what is kept of one answer's bytes.
const MaxKept = 64 << 10

// Chunk is a piece of a streamed answer.
type Chunk struct {
	At    time.Duration `json:"at_ns"` // since sending
	Bytes int           `json:"bytes"` // of text
}

// Call is a tool call of an answer.
type Call struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Input string `json:"input"` // JSON text
}

// OK reports whether an answer came.
func (r *Reply) OK() bool { return r.Outcome == Answered }

// Usable reports whether usage was told and is possible.
func (r *Reply) Usable() bool { return r.Usage == llm.UsageClaimed }

// Word is an answer of one word as a letter of an alphabet: normalised text, or a
// word in capitals for what is not a word.
func (r *Reply) Word() string {
	switch {
	case r.Refusal != "" || r.Finish == llm.FinishRefusal || r.Finish == llm.FinishFilter:
		return "REFUSED"
	case strings.TrimSpace(r.Text) == "" && r.Finish == llm.FinishLength:
		return "LENGTH"
	}
	if w := Normal(r.Text); w != "" {
		return w
	}
	return "EMPTY"
}
