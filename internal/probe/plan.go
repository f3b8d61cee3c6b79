package probe

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"sallyport/internal/exam"
	"sallyport/internal/reference"
	"sallyport/internal/tokens"
	"sallyport/internal/verdict"
)

// Profile says which detectors run, and with how many questions at most.
type Profile struct {
	Name    string             `json:"name"`
	Budgets map[verdict.ID]int `json:"budgets"` // 0 leaves a detector out
}

// The profiles. Quick takes under a minute and cents; Vet is for an endpoint that one
// means to use.
var (
	Quick = Profile{"quick", map[verdict.ID]int{"D1": 80, "D2": 24, "D10": 12, "D3": 60, "Q": 50}}
	Vet   = Profile{"vet", map[verdict.ID]int{
		"D1": 160, "D2": 40, "D10": 30, "D3": 600, "D5": 60, "D6": 120, "D7": 100, "D8": 16, "D9": 30, "D11": 100, "D12": 100, "D13": 250, "D14": 50, "D15": 120, "Q": 200,
	}}
)

// ParseProfile finds a profile by its name.
func ParseProfile(name string) (Profile, bool) {
	for _, p := range []Profile{Quick, Vet} {
		if p.Name == name {
			return p, true
		}
	}
	return Profile{}, false
}

// Plan is everything that an audit fixes before it asks anything. Its hash is
// committed to before the randomness is drawn that decides the questions.
type Plan struct {
	Program   string            `json:"program"`
	Facts     Facts             `json:"target"`
	Profile   Profile           `json:"profile"`
	Started   time.Time         `json:"started"`
	Alpha     float64           `json:"alpha"`
	Tolerance float64           `json:"tolerance"` // of H_same, in total variation; an operator's setting
	Parallel  int               `json:"parallel"`
	Cap       int64             `json:"cap_nano_usd"`
	Questions string            `json:"questions"`
	ItemKey   string            `json:"item_key"` // hex; generated items follow from it
	RefID     string            `json:"reference,omitempty"`
	Quality   []exam.PublicItem `json:"quality,omitempty"` // published questions, shown without weight
	FactsDate string            `json:"facts_date"`        // of the vendors' facts that challenges rest on

	Detectable bool   `json:"detectable,omitempty"` // the detectable share is told at the end
	Rival      *rival `json:"rival,omitempty"`      // the other model that it is told against; a made-up one when nil

	Camouflage bool           `json:"camouflage,omitempty"` // how well questions can be told from traffic is told at the end
	Traffic    *trafficSample `json:"traffic,omitempty"`    // that they are compared with; built-in requests when nil
	Pace       time.Duration  `json:"pace_ns,omitempty"`    // mean time between questions; none is kept when 0

	Tokenizer  *Tokenizer         `json:"tokenizer,omitempty"` // that the operator named; by it, and no other, the model's tokens are counted
	vocabulary *tokens.Vocabulary // what it is

	Reference *baseline `json:"-"`
	Trusted   *Facts    `json:"trusted,omitempty"` // of the live reference
	Why       string    `json:"trusted_why,omitempty"`
	Live      bool      `json:"live"`             // a trusted endpoint answers beside the audited one
	Second    bool      `json:"second,omitempty"` // the audited endpoint is asked under a second key as well

	refused unwanted // settings that were refused so far; no part of what is fixed before
}

// baseline is the reference of a plan.
type baseline struct {
	*reference.Opened
	sample string // of the items that this version makes; see itemSample
}

func newBaseline(o *reference.Opened) *baseline {
	b := &baseline{Opened: o}
	if o.Accuracy != nil {
		b.sample, _ = itemSample(o.Accuracy.Mixture, o.Accuracy.Choice) // empty, so no recording's, where it makes none
	}
	return b
}

// Alpha is the chance that an audit rejects a hypothesis that holds, for each
// hypothesis.
const Alpha = .01

// comparable says why the audited endpoint cannot be compared with the reference;
// empty when it can.
func (b *baseline) comparable(p *Plan) string {
	if why := b.Stale(p.Started); why != "" {
		return why
	}
	return b.foreign()
}

// foreign says why this version cannot ask what the reference was recorded with; empty
// when it can.
func (b *baseline) foreign() string {
	if v := versionOf(b.Protocol.Dress); b.Protocol.Questions != v {
		return fmt.Sprintf("the reference was recorded with the questions %q, and this version asks %q", b.Protocol.Questions, v)
	}
	if d := b.Protocol.Dress; d != "" && d != PlainDress && !atWork(d) { // empty before there were dresses
		return fmt.Sprintf("the reference was recorded with the dress %q, which this version does not know", b.Protocol.Dress)
	}
	known := cellsIn(b.Protocol.Dress)
	for _, c := range b.Words {
		if !slices.Contains(known, c.ID) {
			return fmt.Sprintf("the reference has a cell %q that this version does not know", c.ID)
		}
	}
	return ""
}

// dressed reports whether questions look like ordinary work, as the reference's did.
func (p *Plan) dressed() bool { return atWork(p.dress()) }

// dress is how the plan's questions look, as the reference's did.
func (p *Plan) dress() string {
	if p.Reference == nil {
		return PlainDress
	}
	return p.Reference.Protocol.Dress
}

// commit is the SHA-256 over the plan, in hex.
func (p *Plan) commit() string {
	b, err := json.Marshal(p)
	if err != nil {
		panic("probe: a plan without a JSON form: " + err.Error()) // plain values only
	}
	return hashOf(b)
}

// runSeed is the seed that a commitment and the randomness drawn after it give.
func runSeed(commit, beacon string) [32]byte {
	return sha256.Sum256([]byte("sallyport audit v1\n" + commit + "\n" + beacon + "\n"))
}

// detectors are all of them, in the order in which they run: what explains other
// findings goes before what it explains.
var detectors = []detector{
	accountingDetector, causalDetector, replayDetector, tamperDetector, needleDetector, billingDetector, wordsDetector, itemsDetector, toolsDetector, textsDetector,
	numbersDetector, ranksDetector, trafficDetector, changeDetector, timingDetector, qualityDetector,
}

// trafficDetector stands in reports for the comparison that a Watch makes.
var trafficDetector = detector{
	id: "D4", name: "Real traffic", layer: verdict.Distribution, nulls: []verdict.Null{verdict.Same, verdict.Honest},
	null: "answers to real requests are exchangeable with those of a trusted deployment",
	applies: func(*Plan) string {
		return "it compares answers to real traffic, behind a gateway that watches the upstream"
	},
}

// state is what becomes of a detector in this plan: to run, or why not.
func (p *Plan) state(d *detector) (verdict.State, string) {
	if d.run == nil {
		return verdict.NotApplicable, d.applies(p)
	}
	if p.Profile.Budgets[d.id] == 0 {
		return verdict.NotRun, fmt.Sprintf("the profile %s leaves it out", p.Profile.Name)
	}
	if why := d.applies(p); why != "" {
		return verdict.NotApplicable, why
	}
	if d.compares && p.Reference != nil {
		if why := p.otherwise(); why != "" {
			return verdict.NotApplicable, why
		}
	}
	return verdict.Ran, ""
}

// applicable are the detectors whose evidence each hypothesis will be judged by.
func (p *Plan) applicable() map[verdict.Null][]verdict.ID {
	by := map[verdict.Null][]verdict.ID{}
	for i := range detectors {
		if s, _ := p.state(&detectors[i]); s != verdict.Ran {
			continue
		}
		for _, n := range detectors[i].nulls {
			if n == verdict.Honest && (p.Reference == nil || len(p.Reference.Variants) < 2) {
				continue
			}
			if silent := detectors[i].silent; silent != nil && silent(p, n) {
				continue
			}
			by[n] = append(by[n], detectors[i].id)
		}
	}
	return by
}

// hashOf is the SHA-256 of some bytes, in hex.
func hashOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
