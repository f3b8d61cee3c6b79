package probe

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"sallyport/internal/stat"
	"sallyport/internal/verdict"
)

// causalDetector asks for what only the claimed backend can do, and for what its
// vendor documents that it refuses (causal challenges, as in the public relay audit
// asale-ai/llm-verify). What it concludes stands on the facts of facts.json, each with
// a source and an expiry: to an endpoint that claims another model they do not apply,
// and after the expiry nothing is held against anybody.
//
// It assumes, and has not measured, that an honest endpoint deviates reproducibly from
// a documented fact with a chance of at most FactPrior. That a layer rebuilds requests
// or drops members of them is told and is no evidence: gateways do so, and a rebuilt
// request is not another model. Nor is it evidence that a wrong key is taken: so does
// a gateway that holds the vendor's key itself.
var causalDetector = detector{
	id: "D2", name: "Protocol and causal challenges", layer: verdict.Causal, nulls: []verdict.Null{verdict.Same, verdict.Integrity},
	null:    "the endpoint behaves as the vendor of the claimed model documents",
	applies: func(*Plan) string { return "" },
	run:     runCausal,
}

// causal asks the challenges of one endpoint. All that it asks and concludes follows
// from the random numbers and the replies.
type causal struct {
	Facts
	send   func([]Ask) []*Reply
	lose   func(*Reply)
	random *rand.Rand
	left   int // questions that may still be asked

	own  []*Reply // to questions for the claimed model under the own key
	rest []*Reply // to the others
}

// ask sends questions.
func (c *causal) ask(asks ...Ask) []*Reply {
	c.left -= len(asks)
	replies := c.send(asks)
	for i, r := range replies {
		if asks[i].Model == "" && asks[i].Credential == OwnKey {
			c.own = append(c.own, r)
		} else {
			c.rest = append(c.rest, r)
		}
	}
	return replies
}

// must sends questions that any endpoint has to answer, and reports whether it did.
func (c *causal) must(asks ...Ask) ([]*Reply, bool) {
	replies, all := c.ask(asks...), true
	for _, r := range replies {
		if !r.OK() {
			c.lose(r)
			all = false
		}
	}
	return replies, all
}

// came is what a challenge came to. References record it, so the words are fixed.
type came string

// What challenges come to. What is unclear is never recorded and never evidence.
const (
	unclear    came = "unclear"
	asClaimed  came = "as documented"
	refused    came = "refused"
	accepted   came = "accepted"
	missing    came = "missing"     // the system prompt did not reach the model
	foreign    came = "foreign"     // another family is named, or another vocabulary used
	notApplied came = "not applied" // a member of the request had no effect
)

// challenge is one way to test a fact.
type challenge struct {
	what    string // that it tells of, after the axis: platform, translation, identity, consistency
	cost    int    // questions at most
	against came   // what is held against the endpoint; empty when nothing is
	finding verdict.Finding
	run     func(c *causal, members json.RawMessage) (came, string)
}

// challenges are all of them, by the name that facts use. A finding comes of what was
// seen twice at least.
var challenges = map[string]challenge{
	"system-prompt": {
		"consistency: system prompt", 3 * codeTimes, missing,
		verdict.Finding{Label: verdict.ModifiedPrompt, Null: verdict.Integrity, Text: "The model did not know what the system prompt said, and knew the same when a message said it"},
		systemPrompt,
	},
	// What was asked for is replaced without a word. Which model serves the claimed
	// name is another question, so this speaks to integrity and not to identity.
	"unknown-model": {
		"consistency: unknown model", 2, accepted,
		verdict.Finding{Label: verdict.IntegrityFailed, Null: verdict.Integrity, Text: "Requests for models that do not exist were answered"},
		unknownModel,
	},
	"credential":     {"platform: wrong key and no key", 4, "", verdict.Finding{}, credentials},
	"unknown-member": {"translation: unknown member", 1, "", verdict.Finding{}, unknownMember},
	"refused-member": {"translation: refused member", 1, "", verdict.Finding{}, refusedMember},
	"strict-schema":  {"translation: strict schema", 1, "", verdict.Finding{}, strictSchema},
	"logit-bias": {
		"identity: logit bias", 2, foreign,
		verdict.Finding{Label: verdict.Differs, Null: verdict.Same, Text: "Numbers of tokens stand for other texts than in the vocabulary of the claimed model"},
		logitBias,
	},
	"logprobs": {
		"identity: tokens of answers", 2, foreign,
		verdict.Finding{Label: verdict.Differs, Null: verdict.Same, Text: "Answers consist of other tokens than the vocabulary of the claimed model gives"},
		tokensOfAnswers,
	},
	"thinking-signature": {
		"identity: signature of thinking", 8, accepted,
		verdict.Finding{Label: verdict.IdentityFailed, Null: verdict.Same, Veto: true, Text: "Thinking with a changed signature, which the vendor refuses, was accepted and counted"},
		thinkingSignature,
	},
	"model-echo": {
		"identity: declared model", 0, foreign,
		verdict.Finding{Label: verdict.Differs, Null: verdict.Same, Text: "Answers name a model of another family than the one that was asked for"},
		modelEcho,
	},
}

// referenceFact stands for what the reference does where no vendor documents it.
var referenceFact = vendorFact{ID: "reference.system-prompt", Challenge: "system-prompt", Statement: "The reference knows what the system prompt says."}

// factsAbout are the facts to test an endpoint by. known is what the reference came
// to; nil when one is being recorded.
func factsAbout(e Facts, known map[string]string) []vendorFact {
	var about []vendorFact
	documented := false
	for _, f := range theFacts().Facts {
		if f.about(e) {
			about = append(about, f)
			documented = documented || f.Challenge == referenceFact.Challenge
		}
	}
	if !documented && (known == nil || known[referenceFact.ID] == string(asClaimed)) {
		about = append(about, referenceFact)
	}
	return about
}

// expired reports whether a fact holds no more.
func (f *vendorFact) expired(at time.Time) bool {
	return !f.Expires.IsZero() && !at.Before(f.Expires.Time)
}

// runCausal looks at one stream and runs the challenges.
func runCausal(ctx context.Context, t *Trial) {
	c := &causal{
		Facts: t.Plan.Facts, random: stat.Rand(stat.Seed(t.Seed, "challenges")), left: t.Budget, lose: t.Lose,
		send: func(asks []Ask) []*Reply { return t.AskAll(ctx, asks) },
	}
	t.look(c)
	known := map[string]string{}
	if ref := t.Reference; ref != nil && ref.Stale(t.Started) == "" && ref.Causal != nil {
		known = ref.Causal
	}
	tally := map[verdict.Null]*[2]int{verdict.Same: {}, verdict.Integrity: {}} // mismatches, and facts checked
	for _, fact := range factsAbout(t.Plan.Facts, known) {
		ch := challenges[fact.Challenge]
		switch {
		case fact.expired(t.Started):
			t.Fact(ch.what, "inconclusive: what was known of it expired on %s", fact.Expires.Format(time.DateOnly))
			continue
		case c.left < ch.cost || t.Over():
			t.Fact(ch.what, "inconclusive: no questions were left for it")
			continue
		}
		end, saw := ch.run(c, fact.Members)
		t.Fact(ch.what, "%s: %s", end, saw)
		switch {
		case ch.against == "" || end == unclear:
		case end == ch.against && known[fact.ID] == string(end):
			t.Fact(ch.what, "not held against it: the reference came to the same")
		default:
			n := tally[ch.finding.Null]
			n[1]++
			if end == ch.against {
				n[0]++
				f := ch.finding
				f.Text, f.Source = f.Text+": "+saw+".", fact.Source
				t.Find(f)
			}
		}
	}
	t.recognise(c)
	for _, n := range []verdict.Null{verdict.Same, verdict.Integrity} {
		t.ObserveFacts(n, tally[n][0], tally[n][1])
	}
}

// causal records what the challenges come to at the reference proper.
func (r *recorder) causal(ctx context.Context) map[string]string {
	source := r.Variants[0].Subject
	c := &causal{
		Facts: source.Facts(), random: stat.Rand(stat.Seed(r.Seed, "challenges")), left: math.MaxInt, lose: func(*Reply) {},
		send: func(asks []Ask) []*Reply {
			return askAll(r.Parallel, len(asks), func(i int) *Reply { return r.meter.ask(ctx, source, &asks[i]) })
		},
	}
	ends := map[string]string{}
	for _, fact := range factsAbout(Facts{Kind: c.Kind, Model: r.Model}, nil) {
		if end, _ := challenges[fact.Challenge].run(c, fact.Members); end != unclear {
			ends[fact.ID] = string(end)
		}
	}
	return ends
}

// nonce is a number that no other question has.
func (c *causal) nonce() string { return nonce(c.random) }

// plain is a question that costs little, different each time.
func (c *causal) plain() Ask {
	return Ask{Turns: User(fmt.Sprintf("Say hello to reader %s in one short sentence.", c.nonce())), MaxTokens: 64}
}
