package record

import (
	"maps"
	"slices"

	"sallyport/internal/llm"
)

// Exchange is one exchange: as an intent everything that is fixed before the
// first attempt, as an outcome or a refusal the whole of it.
type Exchange struct {
	// Fixed before the first attempt.
	TS        int64    `json:"ts"` // when the request arrived
	RID       string   `json:"rid"`
	Principal string   `json:"pk"` // identity.Kind
	Key       string   `json:"key"`
	Project   string   `json:"project"`
	Client    string   `json:"client"`  // short name of the client's software; hostile text
	Dialect   string   `json:"dialect"` // of the route called
	Endpoint  string   `json:"ep"`      // such as "chat"
	Model     string   `json:"model"`   // public name as configured; empty when unknown
	Stream    bool     `json:"stream"`
	Label     string   `json:"label"`
	Effect    string   `json:"dec"`   // policy.Effect of the first candidate
	Rules     []string `json:"rules"` // policy rules behind it
	Config    string   `json:"cfg"`   // hash of the effective configuration
	InBytes   int64    `json:"in"`    // length of the request body
	Req       string   `json:"req"`   // hex SHA-256 of the request body as decoded
	Hold      int64    `json:"hold"`  // nano-USD reserved
	Salt      string   `json:"salt"`  // 32 random bytes, base64url

	// Known at the end.
	End       int64    `json:"end"`     // when it ended
	TTFB      int64    `json:"ttfb"`    // microseconds from arrival to the first content frame; 0 unknown
	State     string   `json:"state"`   // llm.Terminal
	Fault     string   `json:"fault"`   // fault.Kind, when Sallyport answered with an error
	Status    int64    `json:"status"`  // HTTP status that the client got; 0 when none was sent
	Upstream  string   `json:"up"`      // of the last attempt; empty when none was made
	Target    string   `json:"umodel"`  // the upstream's configured model name
	Declared  string   `json:"rmodel"`  // the model that the upstream declares; hostile text
	AnswerID  string   `json:"rmsg"`    // the upstream's id of the answer; hostile text
	Finish    string   `json:"finish"`  // the dialect's finish reason; hostile text
	Attempts  []Try    `json:"tries"`   // every attempt in order
	OutBytes  int64    `json:"out"`     // bytes of the answer's body sent to the client
	Forwarded string   `json:"fwd"`     // commitment to what was sent on: Req itself, or over Req and the splices
	Answer    string   `json:"upres"`   // hex SHA-256 of the upstream's body as received
	Returned  string   `json:"res"`     // commitment to what the client got: Answer itself, or over Answer and the edits
	Usage     string   `json:"ustat"`   // llm.UsageStatus
	Claimed   *Counts  `json:"tok"`     // what the upstream claims, when possible
	Verbatim  string   `json:"claim"`   // the claim as it came
	Implaus   string   `json:"uwhy"`    // why the claim is implausible
	Counted   string   `json:"counted"` // whether our own count follows as a record: "sampled", "not sampled"
	Money     string   `json:"mstat"`   // Money status, see ledger
	Amount    int64    `json:"nano"`    // nano-USD, when Money says it is known
	Card      string   `json:"card"`    // price card id
	CardHash  string   `json:"cardh"`   // its hash
	Spoken    string   `json:"uep"`     // endpoint asked upstream when the request was translated; fwd and res are then plain hashes
	Dropped   []string `json:"drop"`    // JSON pointers into the request to what the translation did not carry
	Findings  []string `json:"obs"`     // observation codes, such as "usage.implausible"
}

// Try is one attempt inside an outcome.
type Try struct {
	N        int64  `json:"n"`
	Upstream string `json:"up"`
	Model    string `json:"model"`
	State    string `json:"state"`  // llm.Terminal
	Status   int64  `json:"status"` // HTTP status of the upstream; 0 when none came
	Start    int64  `json:"ts"`
	End      int64  `json:"end"`
}

// version is the encoding version of all kinds.
const version = 1

// Append appends the canonical encoding of the exchange as a record of the kind,
// one of KindIntent, KindRefused and KindOutcome.
func (x *Exchange) Append(b []byte, kind Kind) []byte {
	o := begin(b)
	o.text("card", x.Card)
	o.text("cardh", x.CardHash)
	o.text("cfg", x.Config)
	o.text("claim", x.Verbatim)
	o.text("client", x.Client)
	o.text("counted", x.Counted)
	o.text("dec", x.Effect)
	o.text("dialect", x.Dialect)
	o.texts("drop", x.Dropped)
	o.integer("end", x.End)
	o.text("ep", x.Endpoint)
	o.text("fault", x.Fault)
	o.text("finish", x.Finish)
	o.text("fwd", x.Forwarded)
	o.integer("hold", x.Hold)
	o.integer("in", x.InBytes)
	o.text("k", string(kind))
	o.text("key", x.Key)
	o.text("label", x.Label)
	o.text("model", x.Model)
	o.text("mstat", x.Money)
	o.integer("nano", x.Amount)
	o.texts("obs", x.Findings)
	o.integer("out", x.OutBytes)
	o.text("pk", x.Principal)
	o.text("project", x.Project)
	o.text("req", x.Req)
	o.text("res", x.Returned)
	o.text("rid", x.RID)
	o.text("rmodel", x.Declared)
	o.text("rmsg", x.AnswerID)
	o.texts("rules", x.Rules)
	o.text("salt", x.Salt)
	o.text("state", x.State)
	o.integer("status", x.Status)
	o.truth("stream", x.Stream)
	if x.Claimed != nil {
		o.key("tok")
		o.b = x.Claimed.append(o.b)
	}
	o.tries("tries", x.Attempts)
	o.integer("ts", x.TS)
	o.integer("ttfb", x.TTFB)
	o.text("uep", x.Spoken)
	o.text("umodel", x.Target)
	o.text("up", x.Upstream)
	o.text("upres", x.Answer)
	o.text("ustat", x.Usage)
	o.text("uwhy", x.Implaus)
	o.integer("v", version)
	return o.end()
}

func (o *object) tries(name string, tries []Try) {
	if len(tries) == 0 {
		return
	}
	o.key(name)
	o.b = append(o.b, '[')
	for i := range tries {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		t := &tries[i]
		e := begin(o.b)
		e.integer("end", t.End)
		e.text("model", t.Model)
		e.integer("n", t.N)
		e.text("state", t.State)
		e.integer("status", t.Status)
		e.integer("ts", t.Start)
		e.text("up", t.Upstream)
		o.b = e.end()
	}
	o.b = append(o.b, ']')
}

// Tokens returns the claimed tokens, or zeros when there is no possible claim.
func (x *Exchange) Tokens() llm.Tokens {
	if x.Claimed == nil {
		return llm.Tokens{}
	}
	return llm.Tokens(*x.Claimed)
}

// Append appends the canonical encoding.
func (a *Attempt) Append(b []byte) []byte {
	o := begin(b)
	o.text("class", a.Class)
	o.integer("hold", a.Hold)
	o.text("k", string(KindAttempt))
	o.text("model", a.Model)
	o.integer("n", a.N)
	o.text("rid", a.RID)
	o.integer("ts", a.TS)
	o.text("up", a.Upstream)
	o.integer("v", version)
	return o.end()
}

// Append appends the canonical encoding.
func (c *Count) Append(b []byte) []byte {
	o := begin(b)
	o.integer("at", c.Arrived)
	o.integer("claimed", c.Claimed)
	o.integer("counted", c.Tokens)
	o.text("k", string(KindCount))
	o.text("key", c.Key)
	o.text("model", c.Model)
	o.text("project", c.Project)
	o.text("rid", c.RID)
	o.text("salt", c.Salt)
	o.integer("ts", c.TS)
	o.text("umodel", c.Target)
	o.text("up", c.Upstream)
	o.integer("v", version)
	o.text("vocab", c.Vocabulary)
	o.text("why", c.Why)
	return o.end()
}

// Append appends the canonical encoding.
func (s *Start) Append(b []byte) []byte {
	o := begin(b)
	o.text("cfg", s.Config)
	o.text("journal", s.Journal)
	o.text("k", string(KindStart))
	o.texts("notes", s.Notes)
	o.text("rid", s.ID)
	o.text("salt", s.Salt)
	o.integer("ts", s.TS)
	o.integer("v", version)
	o.text("version", s.Version)
	return o.end()
}

// Append appends the canonical encoding.
func (a *Admin) Append(b []byte) []byte {
	o := begin(b)
	o.text("act", a.Act)
	o.text("actor", a.Actor)
	if len(a.Detail) > 0 {
		o.key("detail")
		d := begin(o.b)
		for _, name := range slices.Sorted(maps.Keys(a.Detail)) {
			if v := a.Detail[name]; v != "" {
				if !d.empty {
					d.b = append(d.b, ',')
				}
				d.empty = false
				d.b = AppendString(d.b, name)
				d.b = append(d.b, ':')
				d.b = AppendString(d.b, v)
			}
		}
		o.b = d.end()
	}
	o.text("k", string(KindAdmin))
	o.text("rid", a.ID)
	o.text("salt", a.Salt)
	o.text("target", a.Target)
	o.integer("ts", a.TS)
	o.integer("v", version)
	return o.end()
}

// Append appends the canonical encoding.
func (c *Card) Append(b []byte) []byte {
	o := begin(b)
	o.text("card", c.Card)
	o.text("hash", c.Hash)
	o.text("k", string(KindCard))
	o.text("rid", c.ID)
	o.text("salt", c.Salt)
	o.text("text", c.Text)
	o.integer("ts", c.TS)
	o.integer("v", version)
	return o.end()
}

// Append appends the canonical encoding.
func (s *Strangers) Append(b []byte) []byte {
	o := begin(b)
	o.integer("count", s.Count)
	o.text("k", string(KindStrangers))
	o.text("rid", s.ID)
	o.text("salt", s.Salt)
	o.integer("ts", s.TS)
	o.integer("v", version)
	return o.end()
}

// Append appends the canonical encoding.
func (h *Head) Append(b []byte) []byte {
	o := begin(b)
	o.text("k", string(KindHead))
	o.text("note", h.Note)
	o.text("origin", h.Origin)
	o.integer("size", h.Size)
	o.integer("ts", h.TS)
	o.integer("v", version)
	return o.end()
}
