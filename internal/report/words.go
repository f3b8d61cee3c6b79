package report

import (
	"fmt"
	"strings"

	"sallyport/internal/verdict"
)

// words are what a label says to somebody who does not know the method.
type words struct {
	Title string
	Tag   string // in a word or two, what kind of result it is; never left to colour alone
	Tone  string // class of the page: finding, note, plain or open
	Means string
	Not   string // what it does not mean
}

// headlines covers the closed list of labels.
var headlines = map[verdict.Label]words{
	verdict.IdentityFailed: {
		"Identity check failed", "Finding", "finding",
		"A check that the claimed model passes was failed here, and failed again when it was repeated.",
		"It does not show which model answered, nor that anybody meant to deceive.",
	},
	verdict.Differs: {
		"Differs from the reference", "Finding", "finding",
		"The answers are statistically inconsistent with those recorded from the reference. The chance of saying so of an endpoint that does not differ is at most alpha.",
		"It does not show why: another model, precision, engine, prompt or setting can each be the cause. It says nothing about intent.",
	},
	verdict.WithinHonest: {
		"Differs within the honest range", "Note", "note",
		"The answers differ from the reference, but not by more than recorded honest deployments of the same model differ.",
		"It is not an accusation: another engine or precision explains it. Nor does it show that the model is the claimed one.",
	},
	verdict.ModifiedPrompt: {
		"Prompt is modified", "Finding", "finding",
		"The model was given more, or other, text than was sent to the endpoint.",
		"It does not show that another model answers: added text changes answers too. Platforms add prompts for ordinary reasons.",
	},
	verdict.SettingsChanged: {
		"Settings are changed", "Finding", "finding",
		"The model answers as if with other settings than were asked for: sampling, length or effort.",
		"It does not show that another model answers, nor that the change is deliberate.",
	},
	verdict.BillingInconsistent: {
		"Billing is inconsistent", "Finding", "finding",
		"The tokens that are reported do not agree with the tokens that were counted.",
		"It says nothing about which model answers. Another tokenizer or hidden reasoning can explain a difference.",
	},
	verdict.IntegrityFailed: {
		"Integrity check failed", "Finding", "finding",
		"Something was added, cut, replayed or rewritten between the model and the client.",
		"It does not show who did it: a proxy, a filter or a cache on any part of the way can.",
	},
	verdict.Unusable: {
		"Endpoint could not be audited", "No verdict", "open",
		"Too few questions were answered to conclude anything.",
		"It is neither a pass nor a finding.",
	},
	verdict.NotTested: {
		"Identity not tested", "No verdict", "open",
		"Nothing was there to compare the answers with, so whether the claimed model answers was not tested. Other checks may have run; see the table.",
		"It is not a pass. It says nothing for or against the endpoint's identity.",
	},
	verdict.NoDifference: {
		"No difference found", "No finding", "plain",
		"The checks that ran, with the number of questions they asked, found no difference.",
		"It does not show that the endpoint is faithful: a finite number of questions cannot. See what was covered, and the smallest share that would have been found.",
	},
}

// unknownLabel stands for a label that this version does not know.
var unknownLabel = words{
	"Unknown result", "No verdict", "open",
	"The report holds a label that this version of the program does not know.",
	"It is neither a pass nor a finding.",
}

func wordsOf(l verdict.Label) words {
	if w, ok := headlines[l]; ok {
		return w
	}
	return unknownLabel
}

// level is the strongest level of all verdicts.
func level(r *verdict.Report) verdict.Level {
	strongest := verdict.LevelNone
	for _, v := range r.Verdicts {
		if v.Level.AtLeast(strongest) {
			strongest = v.Level
		}
	}
	return strongest
}

// levelWords says what reaches a level.
func levelWords(l verdict.Level) string {
	switch l {
	case verdict.LevelNone:
		return "the evidence reaches no alarm level"
	case verdict.LevelNotice:
		return "E reached 20, or a check found something that repeats"
	case verdict.LevelWarning:
		return "E reached 100"
	case verdict.LevelQuarantine:
		return "E reached 1,000, or a fact decides alone"
	}
	return "unknown level"
}

// detectableWords says how little cheating the audit would have found.
func detectableWords(d *verdict.Detectable) string {
	switch {
	case d == nil:
		return "Not computed: what share of swapped answers this audit would have found is unknown."
	case d.Eps > 1 || d.Eps <= 0:
		return fmt.Sprintf("None: even with every answer from %s, an audit of %s queries would not find it reliably (power %s, %s simulated audits).",
			d.Against, count(d.Queries), percent(d.Power), count(d.Runs))
	}
	return fmt.Sprintf("%s of requests: if that share were answered by %s, an audit of %s queries would find it with probability %s (%s simulated audits). A smaller share may go unseen.",
		percent(d.Eps), d.Against, count(d.Queries), percent(d.Power), count(d.Runs))
}

// camouflageWords says how well the audit's questions could be told from traffic.
func camouflageWords(c *verdict.Camouflage) string {
	text := fmt.Sprintf("A classifier tells the audit's %s questions from %s requests of traffic with AUC %s (95 %% interval %.2f to %.2f; 0.50 is chance, 1.00 is certain), by their form alone with %s, measured against %s. %s",
		count(c.Probes), count(c.Traffic), area(c.AUC), c.Low, c.High, area(c.Form.AUC), c.Against, c.Note)
	var parts []string
	for _, p := range c.Parts {
		parts = append(parts, fmt.Sprintf("%s %s (%.2f to %.2f, %s questions)", p.By, area(p.AUC), p.Low, p.High, count(p.Probes)))
	}
	if parts != nil {
		text += " AUC by detector: " + strings.Join(parts, ", ") + "."
	}
	return text
}

// area is an AUC; one that is rounded to certainty is certain.
func area(auc float64) string {
	if auc < 1 {
		auc = min(auc, .99)
	}
	return fmt.Sprintf("%.2f", auc)
}

// referenceWords says what answers were compared with.
func referenceWords(r *verdict.Reference) string {
	if r == nil {
		return "none: answers were compared with nothing"
	}
	text := fmt.Sprintf("%s at %s (%s), recorded %s, expires %s, id %s", r.Model, r.Host, r.Class, day(r.Recorded), day(r.Expires), short(r.ID))
	if len(r.Variants) > 0 {
		text += "; honest deployments: " + strings.Join(r.Variants, ", ")
	}
	if r.Imported {
		text += "; imported, so it can raise a warning at most"
	}
	if r.Public {
		text += "; public, so it weighs nothing"
	}
	if r.Reason != "" {
		text += "; accepted because: " + r.Reason
	}
	return text
}

// idle reports whether a detector asked nothing, so that it has no figures.
func idle(d verdict.Result) bool {
	return d.Queries == 0 && (d.State == verdict.NotRun || d.State == verdict.NotApplicable)
}

// detectorCost is what a detector cost, or that there is nothing to tell.
func detectorCost(d verdict.Result) string {
	if idle(d) {
		return none
	}
	return dollars(d.Cost)
}
