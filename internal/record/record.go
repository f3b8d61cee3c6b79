// Package record defines what the journal holds: the kinds of record and their
// canonical encoding. Everything a projection needs (ledger row, log leaf,
// roll-up) is in the record, random salts included, so that replaying a journal
// gives the same bytes. Records hold no prompt or answer text and no secret.
//
// A record is one JSON object in canonical form (RFC 8785, integers only). Its
// member "k" names the kind. Members with zero values are left out.
package record

import (
	"bytes"
	"encoding/json"
	"fmt"

	"sallyport/internal/llm"
)

// Kind names what a record tells.
type Kind string

// The kinds. Start, Refused, Outcome, Count, Verdict, Admin, Card and Strangers
// become leaves of the audit log; Intent, Attempt and Head do not.
const (
	KindStart     Kind = "start"     // a gateway began to write this journal
	KindRefused   Kind = "refused"   // a known principal was denied; nothing was sent
	KindIntent    Kind = "intent"    // an exchange is about to begin
	KindAttempt   Kind = "attempt"   // a request is about to leave for an upstream
	KindOutcome   Kind = "outcome"   // how an exchange ended
	KindCount     Kind = "count"     // our own count of a sampled answer
	KindVerdict   Kind = "verdict"   // what an audit concluded, or what was decided about it
	KindAdmin     Kind = "admin"     // an administrative act
	KindCard      Kind = "card"      // a price card came into use
	KindStrangers Kind = "strangers" // a minute's count of unauthenticated refusals
	KindHead      Kind = "head"      // a copy of a signed checkpoint of the audit log
)

// Record is one decoded record: exactly one of the pointers is set, as Kind says.
type Record struct {
	Kind      Kind
	Start     *Start
	Exchange  *Exchange // KindIntent, KindRefused and KindOutcome
	Attempt   *Attempt
	Count     *Count
	Verdict   *Verdict
	Admin     *Admin
	Card      *Card
	Strangers *Strangers
	Head      *Head
}

// Start tells that a process opened the journal.
type Start struct {
	TS      int64    `json:"ts"` // microseconds since the Unix epoch, as everywhere here
	ID      string   `json:"rid"`
	Journal string   `json:"journal"`
	Version string   `json:"version"`
	Config  string   `json:"cfg"`   // hash of the effective configuration
	Notes   []string `json:"notes"` // what was noticed, such as "journal.restarted"
	Salt    string   `json:"salt"`
}

// Attempt announces one request to one upstream.
type Attempt struct {
	TS       int64  `json:"ts"`
	RID      string `json:"rid"`
	N        int64  `json:"n"` // 1 for the first
	Upstream string `json:"up"`
	Model    string `json:"model"` // the upstream's name of the model
	Class    string `json:"class"`
	Hold     int64  `json:"hold"` // nano-USD reserved for the exchange
}

// Count is our own count of the answer of one exchange that was sampled: of the
// visible text that the model wrote, and of nothing else. It says nothing of the
// prompt, of tool calls, of hidden reasoning and of what stands around a text in a
// model's template. Whether an exchange is sampled is a function of its salt.
type Count struct {
	TS         int64  `json:"ts"`  // when it was counted
	RID        string `json:"rid"` // of the exchange; it has one count at most
	Arrived    int64  `json:"at"`  // Exchange.TS
	Key        string `json:"key"`
	Project    string `json:"project"`
	Model      string `json:"model"`  // public name
	Upstream   string `json:"up"`     // that answered
	Target     string `json:"umodel"` // the upstream's name of the model
	Vocabulary string `json:"vocab"`  // that counted; empty when none is known
	Claimed    int64  `json:"claimed"`
	Tokens     int64  `json:"counted"` // by the vocabulary, where the upstream claims Claimed
	Why        string `json:"why"`     // why it is not countable; empty when it is. Claimed and Tokens are then 0
	Salt       string `json:"salt"`
}

// Admin is one administrative act. Detail never holds a secret.
type Admin struct {
	TS     int64             `json:"ts"`
	ID     string            `json:"rid"`
	Actor  string            `json:"actor"` // an administrator's id, or "local"
	Act    string            `json:"act"`   // such as "key.create"
	Target string            `json:"target"`
	Detail map[string]string `json:"detail"`
	Salt   string            `json:"salt"`
}

// Card tells that a price card is used from now on. Text is the card's canonical
// text (price.Card.Canonical); Hash is its hex SHA-256.
type Card struct {
	TS   int64  `json:"ts"`
	ID   string `json:"rid"` // a fresh id of this record
	Card string `json:"card"`
	Hash string `json:"hash"`
	Text string `json:"text"`
	Salt string `json:"salt"`
}

// Strangers sums up what unauthenticated callers were refused in one minute.
type Strangers struct {
	TS    int64  `json:"ts"`
	ID    string `json:"rid"`
	Count int64  `json:"count"`
	Salt  string `json:"salt"`
}

// Head copies a signed checkpoint of the audit log.
type Head struct {
	TS     int64  `json:"ts"`
	Origin string `json:"origin"`
	Size   int64  `json:"size"`
	Note   string `json:"note"` // the signed note, whole
}

// Counts are tokens by class under their stable names.
type Counts llm.Tokens

// MarshalJSON writes the classes that are not zero, sorted by name.
func (c Counts) MarshalJSON() ([]byte, error) { return c.append(nil), nil }

// UnmarshalJSON reads what MarshalJSON writes; an unknown class is an error.
func (c *Counts) UnmarshalJSON(b []byte) error {
	var m map[string]int64
	if err := json.Unmarshal(b, &m); err != nil {
		return err
	}
	*c = Counts{}
	for name, n := range m {
		class, ok := llm.ParseClass(name)
		if !ok {
			return fmt.Errorf("unknown token class %q", name)
		}
		c[class] = n
	}
	return nil
}

// byName lists the classes in the order of their names.
var byName = [llm.NumClasses]llm.Class{
	llm.AudioIn, llm.AudioOut, llm.CacheRead, llm.CacheWrite1h, llm.CacheWrite5m,
	llm.ImageIn, llm.Input, llm.Output, llm.Reasoning,
}

func (c Counts) append(b []byte) []byte {
	o := begin(b)
	for _, class := range byName {
		o.integer(class.String(), c[class])
	}
	return o.end()
}

// Decode reads one canonical record. It accepts exactly what Append writes:
// unknown kinds and members, duplicate members, another order or spelling are
// errors, because the bytes are what the audit log commits to.
func Decode(b []byte) (Record, error) { return new(Decoder).Decode(b) }

// Decoder decodes many records with one buffer. It is not safe for concurrent
// use; its zero value is ready.
type Decoder struct{ buf []byte }

// Decode is the function Decode. The record does not share memory with b.
func (d *Decoder) Decode(b []byte) (Record, error) {
	kind, _, err := peek(b)
	if err != nil {
		return Record{}, err
	}
	return d.DecodeAs(kind, b)
}

// DecodeAs is Decode of a record whose kind is known from Peek; a record of
// another kind is an error.
func (d *Decoder) DecodeAs(kind Kind, b []byte) (Record, error) {
	r := Record{Kind: kind}
	var into any // of the rare kinds
	p := parser{s: string(b)}
	switch kind {
	case KindIntent, KindRefused, KindOutcome:
		r.Exchange = new(Exchange)
		r.Exchange.parse(&p)
	case KindAttempt:
		r.Attempt = new(Attempt)
		r.Attempt.parse(&p)
	case KindCount:
		r.Count = new(Count)
		into = r.Count
	case KindVerdict:
		r.Verdict = new(Verdict)
		into = r.Verdict
	case KindStart:
		r.Start = new(Start)
		into = r.Start
	case KindAdmin:
		r.Admin = new(Admin)
		into = r.Admin
	case KindCard:
		r.Card = new(Card)
		into = r.Card
	case KindStrangers:
		r.Strangers = new(Strangers)
		into = r.Strangers
	case KindHead:
		r.Head = new(Head)
		into = r.Head
	default:
		return Record{}, fmt.Errorf("decode record: unknown kind %q", kind)
	}
	var err error
	if into != nil {
		err = json.Unmarshal(b, into)
	} else {
		err = p.end()
	}
	if err != nil {
		return Record{}, fmt.Errorf("decode %s record: %w", kind, err)
	}
	if d.buf = r.Append(d.buf[:0]); !bytes.Equal(d.buf, b) {
		return Record{}, fmt.Errorf("decode %s record: not in canonical form", kind)
	}
	return r, nil
}

// Append appends the canonical encoding of whatever r holds.
func (r Record) Append(b []byte) []byte {
	switch {
	case r.Exchange != nil:
		return r.Exchange.Append(b, r.Kind)
	case r.Attempt != nil:
		return r.Attempt.Append(b)
	case r.Count != nil:
		return r.Count.Append(b)
	case r.Verdict != nil:
		return r.Verdict.Append(b)
	case r.Start != nil:
		return r.Start.Append(b)
	case r.Admin != nil:
		return r.Admin.Append(b)
	case r.Card != nil:
		return r.Card.Append(b)
	case r.Strangers != nil:
		return r.Strangers.Append(b)
	case r.Head != nil:
		return r.Head.Append(b)
	}
	return b
}
