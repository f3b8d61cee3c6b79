package exam

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// family is a row of the table of families.
type family struct {
	name, about, language string
	skeletons             []string
	build                 func(d draw, language string, level int) (problem, bool)
}

// problem is a question before it has words around it. build gives answer by the way it was made; solve
// gives every answer that fits what will be shown.
type problem struct {
	size   int
	fields []string // pairs of mark and text
	story  []string // sentences among which asides are strewn; the mark «story»
	body   string   // set as it is; the mark «body»
	kind   Kind
	answer string
	unit   string
	others []string // wrong answers of the right form, for multiple choice
	rules  []Rule
	solve  func() []string
}

const letters = "ABCDEFGHIJ"

// errFewChoices means that this draw has no wrong answer to offer.
var errFewChoices = errors.New("no wrong answer")

func itoa(n int) string { return strconv.Itoa(n) }

// one is what a solver returns that can only find one answer.
func one(answer string) []string { return []string{answer} }

// fill replaces the marks «key» of a text by the given pairs.
func fill(text string, pairs ...string) string {
	marked := slices.Clone(pairs)
	for i := 0; i < len(marked); i += 2 {
		marked[i] = "«" + marked[i] + "»"
	}
	return strings.NewReplacer(marked...).Replace(text)
}

// compose dresses a problem: a paraphrase, asides, an instruction how to answer, a wrapper.
func compose(d draw, f family, p problem, level int, opts Options) (Item, error) {
	item := Item{
		Family: f.name, Difficulty: level, Answer: p.answer, Kind: p.kind, Language: f.language, Unit: p.unit,
		Rules: p.rules, Size: p.size, Skeleton: d.IntN(len(f.skeletons)), MaxTokens: min(1024+64*p.size, 4096),
	}
	separator := " "
	if f.language == "zh" {
		separator = ""
	}
	noise := distractors(d, f.language, 1+level/3)
	preamble := ""
	if p.story != nil {
		p.story = strew(d, p.story, noise)
	} else {
		preamble = strings.Join(noise, separator) + "\n\n"
	}
	fields := append(slices.Clone(p.fields), "story", strings.Join(p.story, separator), "body", p.body)
	text := preamble + fill(f.skeletons[item.Skeleton], fields...)
	if opts.Choices > 0 {
		options, err := permute(d, &item, p, opts.Choices)
		if err != nil {
			return Item{}, err
		}
		text += "\n\n" + options
	}
	if item.Kind != Format {
		text += "\n\n" + instruction(d, item, opts.Brief)
		if opts.Brief {
			item.MaxTokens = 24 + 4*len(item.Answer)
		}
	}
	w := pick(d, wrappers[f.language])
	who := sample(d, colleagues, 2)
	item.Wrapper = w.name
	item.Prompt = fill(w.text, "from", who[0], "to", who[1], "code", d.code(), "n", itoa(d.between(2, 90)), "prompt", text)
	if d.IntN(4) == 0 {
		item.System = pick(d, systems[f.language])
	}
	return item, nil
}

// distractors is n different sentences that do not matter.
func distractors(d draw, language string, n int) []string {
	list := sample(d, asides[language], n)
	for i, who := range sample(d, colleagues, n) {
		list[i] = fill(list[i], "who", who, "n", itoa(d.between(3, 480)))
	}
	return list
}

// strew puts the second list at random places of the first, never before its first sentence, which
// opens the story.
func strew(d draw, story, noise []string) []string {
	story = slices.Clone(story)
	for _, sentence := range noise {
		story = slices.Insert(story, d.between(1, len(story)), sentence)
	}
	return story
}

// permute turns the item into multiple choice and returns its options as text. The letter of the right
// one is uniform.
func permute(d draw, item *Item, p problem, n int) (string, error) {
	if p.kind == Format {
		return "", ErrNoChoices
	}
	wrong := decoys(d, p, n-1)
	if len(wrong) == 0 {
		return "", errFewChoices
	}
	at := d.IntN(len(wrong) + 1)
	item.Choices = slices.Insert(wrong, at, p.answer)
	item.Answer, item.Kind = letters[at:at+1], Choice
	return optionLines(item.Choices), nil
}

func optionLines(choices []string) string {
	lines := make([]string, len(choices))
	for i, choice := range choices {
		lines[i] = fmt.Sprintf("%c) %s", letters[i], choice)
	}
	return strings.Join(lines, "\n")
}

// instruction says how to answer.
func instruction(d draw, item Item, brief bool) string {
	t := instructions[item.Language]
	form := t.forms[item.Kind]
	if item.Unit != "" && item.Kind == Number {
		form = fill(t.inUnit, "unit", item.Unit)
	}
	if brief {
		return fill(pick(d, t.brief), "form", form)
	}
	return fill(pick(d, t.final), "form", form)
}
