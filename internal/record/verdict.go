package record

// Act says what a verdict does.
type Act string

// The acts. Lower and Quarantine act on routing until Release or Override ends it;
// the others tell and do nothing.
const (
	ActNotice     Act = "notice"     // nothing but to tell
	ActLower      Act = "lower"      // the model of the upstream is tried after all others
	ActQuarantine Act = "quarantine" // the model of the upstream is out of routing
	ActRelease    Act = "release"    // what an earlier verdict did is over: its reason is gone
	ActOverride   Act = "override"   // it is over although its reason stands: an operator decided so
	ActBegin      Act = "begin"      // an audit by hand is about to ask its first question, by the plan that it commits to
	ActAudit      Act = "audit"      // an audit by hand ended, or was registered: the hash of its bundle
)

// ProfileReference is what ActBegin and ActAudit have in the place of an audit's profile
// where a reference is recorded: the bundle is the reference, if one came of it.
const ProfileReference = "reference"

// Bounds of a verdict's texts, in bytes.
const (
	MaxWording = 1000
	MaxReason  = 500
)

// Verdict is what an audit concluded of one model of one upstream, or what was
// decided about such a conclusion. It holds no text of a prompt or an answer.
type Verdict struct {
	TS        int64  `json:"ts"`
	ID        string `json:"rid"`
	Upstream  string `json:"up"`     // its name; of an audit of an address its host
	Target    string `json:"umodel"` // the upstream's name of the model
	Null      string `json:"null"`   // the hypothesis (verdict.Null)
	Label     string `json:"label"`  // verdict.Label
	Level     string `json:"level"`  // verdict.Level
	Act       Act    `json:"act"`
	EMilli    int64  `json:"e"`       // 1000 times the decimal logarithm of the largest E
	N         int64  `json:"n"`       // observations
	Reference string `json:"ref"`     // id of the reference
	Bundle    string `json:"bundle"`  // hex SHA-256 of the sealed evidence; the leaf shows it
	Wording   string `json:"wording"` // the sentence that may be quoted, at most MaxWording bytes
	Actor     string `json:"actor"`   // "watch", an administrator's id, or "local"
	Reason    string `json:"reason"`  // an operator's, at most MaxReason bytes
	Salt      string `json:"salt"`

	// Of an audit by hand, at its beginning and its end.
	Commitment string `json:"commitment"` // hex SHA-256 of its plan; the leaf shows it
	Profile    string `json:"profile"`
	Cap        int64  `json:"cap"`   // the most that it may spend in nano-USD; 0 for no bound
	Asked      int64  `json:"asked"` // questions
	Money      string `json:"mstat"` // status of what it spent, as of an exchange
	Nano       int64  `json:"nano"`  // what it spent in nano-USD
}

// Append appends the canonical encoding.
func (v *Verdict) Append(b []byte) []byte {
	o := begin(b)
	o.text("act", string(v.Act))
	o.text("actor", v.Actor)
	o.integer("asked", v.Asked)
	o.text("bundle", v.Bundle)
	o.integer("cap", v.Cap)
	o.text("commitment", v.Commitment)
	o.integer("e", v.EMilli)
	o.text("k", string(KindVerdict))
	o.text("label", v.Label)
	o.text("level", v.Level)
	o.text("mstat", v.Money)
	o.integer("n", v.N)
	o.integer("nano", v.Nano)
	o.text("null", v.Null)
	o.text("profile", v.Profile)
	o.text("reason", v.Reason)
	o.text("ref", v.Reference)
	o.text("rid", v.ID)
	o.text("salt", v.Salt)
	o.integer("ts", v.TS)
	o.text("umodel", v.Target)
	o.text("up", v.Upstream)
	o.integer("v", version)
	o.text("wording", v.Wording)
	return o.end()
}
