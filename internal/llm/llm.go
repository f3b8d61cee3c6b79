// Package llm is the vocabulary of model APIs that every dialect is translated
// through: token classes and usage claims, and what one answer came to.
package llm

// Class is one of the disjoint classes that tokens are billed in. A token is
// counted in exactly one class: cached input is not also input, reasoning is
// not also output.
type Class uint8

// The token classes, in the order ledgers and price cards list them.
const (
	Input        Class = iota // prompt text that no cache served
	CacheRead                 // prompt tokens served from the provider's cache
	CacheWrite5m              // prompt tokens written to the provider's short cache: 5 minutes at Anthropic, 30 at OpenAI
	CacheWrite1h              // prompt tokens written to the provider's long cache: 1 hour at Anthropic, 12 at OpenAI
	Output                    // visible answer text and tool calls
	Reasoning                 // hidden or separately reported thinking
	AudioIn                   // audio of the prompt
	AudioOut                  // audio of the answer
	ImageIn                   // images of the prompt, where billed apart
	NumClasses                // how many classes there are; not a class
)

// classNames are stable: they are stored in records, rows and exports.
var classNames = [NumClasses]string{
	"input", "cache_read", "cache_write_5m", "cache_write_1h", "output",
	"reasoning", "audio_in", "audio_out", "image_in",
}

// String returns the stable name of the class, such as "cache_read".
func (c Class) String() string {
	if c >= NumClasses {
		return "invalid"
	}
	return classNames[c]
}

// ParseClass finds a class by its stable name.
func ParseClass(name string) (Class, bool) {
	for i, n := range classNames {
		if n == name {
			return Class(i), true
		}
	}
	return 0, false
}

// Tokens counts tokens by class; the array is indexed by Class.
type Tokens [NumClasses]int64

// Prompt is the number of tokens that were sent, all classes together.
func (t Tokens) Prompt() int64 {
	return t[Input] + t[CacheRead] + t[CacheWrite5m] + t[CacheWrite1h] + t[AudioIn] + t[ImageIn]
}

// Completion is the number of tokens that were generated, all classes together.
func (t Tokens) Completion() int64 { return t[Output] + t[Reasoning] + t[AudioOut] }

// UsageStatus says what is known about the tokens of one exchange.
type UsageStatus string

// The states of a usage. Unknown is a state of its own and never means zero.
const (
	UsageUnknown     UsageStatus = "unknown"     // no claim arrived
	UsageClaimed     UsageStatus = "claimed"     // the upstream claimed it and it is possible
	UsageImplausible UsageStatus = "implausible" // the upstream claimed something impossible
	UsageNone        UsageStatus = "none"        // nothing was generated: refused before any attempt
)

// MaxPlausibleTokens is the largest count of one class that is believed. It is
// far above any context window and far below what would overflow money.
const MaxPlausibleTokens = 1 << 32

// Usage is what an upstream claims that an exchange took.
type Usage struct {
	Status   UsageStatus
	Tokens   Tokens
	Verbatim []byte // the claim as it came, bounded by the dialect; nil when unknown
	Reason   string // why the claim is implausible
}

// Claim builds a usage from counts that may be impossible. Negative counts and
// counts above MaxPlausibleTokens make it implausible; the verbatim claim is kept.
func Claim(t Tokens, verbatim []byte) Usage {
	for c, n := range t {
		if n < 0 {
			return Usage{UsageImplausible, Tokens{}, verbatim, "negative " + Class(c).String()}
		}
		if n > MaxPlausibleTokens {
			return Usage{UsageImplausible, Tokens{}, verbatim, "excessive " + Class(c).String()}
		}
	}
	return Usage{Status: UsageClaimed, Tokens: t, Verbatim: verbatim}
}

// Terminal is how an exchange or an attempt ended. Exactly one applies.
type Terminal string

// The terminal states. Only Complete is a success.
const (
	Complete        Terminal = "complete"         // the whole answer reached the client
	CutByUpstream   Terminal = "cut_by_upstream"  // the upstream closed before the end
	CutByClient     Terminal = "cut_by_client"    // the client went away
	Stalled         Terminal = "stalled"          // no frame within the stall limit
	TimedOut        Terminal = "timed_out"        // no first frame, or over the total limit
	ErrorFrame      Terminal = "error_frame"      // the upstream reported an error inside a stream
	UpstreamStatus  Terminal = "upstream_status"  // the upstream answered with an error status
	Unreachable     Terminal = "unreachable"      // no connection, or it broke before an answer
	Malformed       Terminal = "malformed"        // the answer is not in its dialect
	TooLarge        Terminal = "too_large"        // the answer exceeds the limit
	Refused         Terminal = "refused"          // Sallyport refused; nothing was sent
	Lost            Terminal = "lost"             // the gateway died before it saw the end
	CredentialEcho  Terminal = "credential_echo"  // the answer contained our credential
	InternalFailure Terminal = "internal_failure" // Sallyport itself failed
)

// Summary is what a dialect learned by following one answer.
type Summary struct {
	Usage    Usage
	Model    string // the model name that the upstream declares; hostile text
	ID       string // the upstream's id of the answer; hostile text
	Finish   string // the dialect's own finish reason; hostile text
	Complete bool   // the dialect's end of answer was seen
	Failed   bool   // the answer itself reports an error
}
