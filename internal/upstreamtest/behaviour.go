package upstreamtest

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Behaviour is how a Server deviates from an honest, prompt answer. The zero
// value does not deviate. Where a field counts frames, a frame is one
// server-sent event of a stream; of a unary answer it counts bytes of the body.
type Behaviour struct {
	Status       int    // answer with this error status in the vendor's form
	Type         string // the error's type (Anthropic) or code (OpenAI) instead of the usual one
	RetryAfter   string // value of retry-after
	RetryAfterMS string // value of retry-after-ms
	Redirect     string // answer 307 with this Location

	Delay time.Duration // before the headers
	First time.Duration // between the headers and the first frame
	Gap   time.Duration // before each further frame
	Pings int           // heartbeat frames (comments, or ping events) after First, Gap apart

	Frames     int // content frames of a stream, or equivalent length of a unary answer; 0 means 8
	FrameBytes int // bytes of text in each; 0 means what the text gives
	Split      int // write frames in pieces of this many bytes
	Batch      int // write this many frames at a time

	Cut       *int   // end after this many frames ...
	How       How    // ... in this way
	Stall     *int   // fall silent after this many frames, until the client leaves
	Error     *int   // report an error inside the stream after this many frames
	Malformed *int   // break the JSON of the frame after this many (of a unary answer: of the body)
	Oversize  int64  // pad the answer (one frame of a stream) by this many bytes
	Empty     bool   // answer 200 with no body
	NoDone    bool   // leave out the dialect's end of stream
	MIME      string // declare this content type instead

	Usage      Usage  // how usage is reported
	Cached     int64  // prompt tokens that a cache served
	CacheWrite int64  // prompt tokens written to the 5 minute cache (Anthropic)
	CacheHour  int64  // prompt tokens written to the 1 hour cache (Anthropic)
	Reasoning  int64  // tokens of hidden reasoning
	Model      string // declare this model instead

	Early      bool   // answer before reading the body; the answer is that of an empty prompt
	DropReused bool   // on a reused connection: read the request, then close without an answer
	Echo       string // repeat the request's headers, credentials included, in "header", "body" or "error" (comma separated)
	Gzip       bool   // content-encoding gzip, whether asked for or not
	Chunked    bool   // no content-length on a unary answer
	Hints      bool   // a 103 response first
	Duplicate  bool   // repeat members of the answer's object with other values
	Odd        bool   // unknown members, unusual white space and number spellings
	EOL        EOL    // line ends of a stream

	Vocabulary *Vocabulary // counts the text of an answer in the place of CountTokens; no directive names it

	Times int // a directive holds for the first Times requests with the same prompt; 0 means all
}

// Vocabulary is how a Server counts, or bills, the text that it answers.
type Vocabulary struct{ Count func(text string) int64 }

// How says in which way a cut ends the answer.
type How string

// The ways to cut. CutClose is the default.
const (
	CutClose How = "close" // close the connection inside the message
	CutReset How = "reset" // the same with a TCP reset
	CutEnd   How = "end"   // end the HTTP message properly, the answer being incomplete
)

// Usage says how tokens are reported.
type Usage string

// The ways to report usage. The empty value is the vendor's own way.
const (
	UsageNone      Usage = "none"      // never
	UsageEach      Usage = "each"      // cumulative, on every chunk of a stream
	UsageFinish    Usage = "finish"    // OpenAI streams: on the chunk that carries the finish reason
	UsageNegative  Usage = "negative"  // a negative count of generated tokens
	UsageCached    Usage = "cached"    // more cached tokens than the prompt has
	UsageReasoning Usage = "reasoning" // more reasoning tokens than were generated
	UsageHuge      Usage = "huge"      // counts of 2^60
	UsageFraction  Usage = "fraction"  // counts that are not integers
	UsageExponent  Usage = "exponent"  // true counts spelt like 1.2E+1
	UsageText      Usage = "text"      // counts as strings
)

// EOL is the line end of a stream.
type EOL string

// The line ends that server-sent events allow (WHATWG HTML, 9.2.5). The empty
// value is a line feed.
const (
	CRLF EOL = "crlf"
	CR   EOL = "cr"
)

// Knob is one name that a directive may use.
type Knob struct {
	Name string
	Help string
	set  func(*Behaviour, string) error
}

// Knobs returns every knob in the order of Behaviour's fields.
func Knobs() []Knob { return slices.Clone(knobs) }

var knobs = []Knob{
	{"status", "N: error status", number(func(b *Behaviour) *int { return &b.Status }, 400, 599)},
	{"type", "TEXT: type or code of the error", text(func(b *Behaviour) *string { return &b.Type })},
	{"retry-after", "TEXT: header of that name", text(func(b *Behaviour) *string { return &b.RetryAfter })},
	{"retry-after-ms", "TEXT: header of that name", text(func(b *Behaviour) *string { return &b.RetryAfterMS })},
	{"redirect", "URL: answer 307", text(func(b *Behaviour) *string { return &b.Redirect })},
	{"delay", "DURATION before the headers", duration(func(b *Behaviour) *time.Duration { return &b.Delay })},
	{"first", "DURATION from headers to first frame", duration(func(b *Behaviour) *time.Duration { return &b.First })},
	{"gap", "DURATION between frames", duration(func(b *Behaviour) *time.Duration { return &b.Gap })},
	{"pings", "N heartbeats before the first frame", number(func(b *Behaviour) *int { return &b.Pings }, 0, 1000)},
	{"frames", "N content frames", number(func(b *Behaviour) *int { return &b.Frames }, 1, 100_000)},
	{"frame-bytes", "N bytes of text in each", number(func(b *Behaviour) *int { return &b.FrameBytes }, 1, 1<<20)},
	{"split", "N bytes a write", number(func(b *Behaviour) *int { return &b.Split }, 1, 1<<20)},
	{"batch", "N frames a write", number(func(b *Behaviour) *int { return &b.Batch }, 1, 100_000)},
	{"cut", "N: end after N frames (unary: bytes)", point(func(b *Behaviour) **int { return &b.Cut })},
	{"how", "close|reset|end: how cut ends", choice(func(b *Behaviour) *How { return &b.How }, CutClose, CutReset, CutEnd)},
	{"stall", "N: silence after N frames (unary: bytes)", point(func(b *Behaviour) **int { return &b.Stall })},
	{"error", "N: error frame after N frames", point(func(b *Behaviour) **int { return &b.Error })},
	{"malformed", "N: broken JSON after N frames", point(func(b *Behaviour) **int { return &b.Malformed })},
	{"oversize", "N bytes of padding", func(b *Behaviour, v string) (err error) { b.Oversize, err = count(v, 1<<34); return err }},
	{"empty", "1: no body", flag(func(b *Behaviour) *bool { return &b.Empty })},
	{"no-done", "1: no end of stream", flag(func(b *Behaviour) *bool { return &b.NoDone })},
	{"content-type", "TEXT: declared content type", text(func(b *Behaviour) *string { return &b.MIME })},
	{
		"usage", "none|each|finish|negative|cached|reasoning|huge|fraction|exponent|text",
		choice(func(b *Behaviour) *Usage { return &b.Usage }, UsageNone, UsageEach, UsageFinish, UsageNegative,
			UsageCached, UsageReasoning, UsageHuge, UsageFraction, UsageExponent, UsageText),
	},
	{"cached", "N tokens read from a cache", func(b *Behaviour, v string) (err error) { b.Cached, err = count(v, 1<<40); return err }},
	{"cache-write", "N tokens written to the 5m cache", func(b *Behaviour, v string) (err error) { b.CacheWrite, err = count(v, 1<<40); return err }},
	{"cache-hour", "N tokens written to the 1h cache", func(b *Behaviour, v string) (err error) { b.CacheHour, err = count(v, 1<<40); return err }},
	{"reasoning", "N tokens of reasoning", func(b *Behaviour, v string) (err error) { b.Reasoning, err = count(v, 1<<40); return err }},
	{"model", "TEXT: declared model", text(func(b *Behaviour) *string { return &b.Model })},
	{"drop-reused", "1: close a reused connection unanswered", flag(func(b *Behaviour) *bool { return &b.DropReused })},
	{"echo", "header,body,error: repeat request headers there", func(b *Behaviour, v string) error {
		for where := range strings.SplitSeq(v, ",") {
			if !slices.Contains([]string{"header", "body", "error"}, where) {
				return fmt.Errorf("%q is not header, body or error", where)
			}
		}
		b.Echo = v
		return nil
	}},
	{"gzip", "1: compress", flag(func(b *Behaviour) *bool { return &b.Gzip })},
	{"chunked", "1: no content-length", flag(func(b *Behaviour) *bool { return &b.Chunked })},
	{"hints", "1: a 103 response first", flag(func(b *Behaviour) *bool { return &b.Hints })},
	{"duplicate", "1: duplicate members", flag(func(b *Behaviour) *bool { return &b.Duplicate })},
	{"odd", "1: unknown members, odd numbers", flag(func(b *Behaviour) *bool { return &b.Odd })},
	{"eol", "crlf|cr: line ends of a stream", choice(func(b *Behaviour) *EOL { return &b.EOL }, CRLF, CR)},
	{"times", "N: only the first N requests with this prompt", number(func(b *Behaviour) *int { return &b.Times }, 1, 1<<20)},
}

// ParseBehaviour reads knobs as a directive spells them, "name=value" separated
// by spaces, over a base. Early has no name, since a directive stands in the body.
func ParseBehaviour(base Behaviour, words string) (Behaviour, error) {
	b := base
	for word := range strings.FieldsSeq(words) {
		name, value, ok := strings.Cut(word, "=")
		i := slices.IndexFunc(knobs, func(k Knob) bool { return k.Name == name })
		if !ok || i < 0 {
			return base, fmt.Errorf("unknown knob %q", word)
		}
		if err := knobs[i].set(&b, value); err != nil {
			return base, fmt.Errorf("knob %s: %w", name, err)
		}
	}
	return b, nil
}

// directive is the form of a directive: every word is name=value, so that
// ordinary text in double brackets is not one.
var directive = regexp.MustCompile(`\[\[((?:\s*[a-z][a-z-]*=[^\s\[\]]+)+)\s*\]\]`)

// findDirective returns the words of the last directive in a text.
func findDirective(s string) (string, bool) {
	all := directive.FindAllStringSubmatch(s, -1)
	if len(all) == 0 {
		return "", false
	}
	return all[len(all)-1][1], true
}

func number(field func(*Behaviour) *int, low, high int) func(*Behaviour, string) error {
	return func(b *Behaviour, v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < low || n > high {
			return fmt.Errorf("%q is not a number from %d to %d", v, low, high)
		}
		*field(b) = n
		return nil
	}
}

func point(field func(*Behaviour) **int) func(*Behaviour, string) error {
	return func(b *Behaviour, v string) error {
		n, err := count(v, 1<<40)
		if err != nil {
			return err
		}
		*field(b) = new(int(n))
		return nil
	}
}

func count(v string, high int64) (int64, error) {
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 0 || n > high {
		return 0, fmt.Errorf("%q is not a number from 0 to %d", v, high)
	}
	return n, nil
}

func duration(field func(*Behaviour) *time.Duration) func(*Behaviour, string) error {
	return func(b *Behaviour, v string) error {
		d, err := time.ParseDuration(v)
		if err != nil || d < 0 {
			return fmt.Errorf("%q is not a duration", v)
		}
		*field(b) = d
		return nil
	}
}

func text(field func(*Behaviour) *string) func(*Behaviour, string) error {
	return func(b *Behaviour, v string) error {
		*field(b) = v
		return nil
	}
}

func flag(field func(*Behaviour) *bool) func(*Behaviour, string) error {
	return func(b *Behaviour, v string) (err error) {
		*field(b), err = strconv.ParseBool(v)
		return err
	}
}

func choice[T ~string](field func(*Behaviour) *T, of ...T) func(*Behaviour, string) error {
	return func(b *Behaviour, v string) error {
		if !slices.Contains(of, T(v)) {
			return fmt.Errorf("%q is not one of %v", v, of)
		}
		*field(b) = T(v)
		return nil
	}
}
