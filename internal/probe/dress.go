package probe

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// A relay that serves the claimed model to whatever looks like a probe is only seen by
// questions that do not. A dress is how questions look. It is part of a reference's
// protocol, drawn from one distribution on both sides: then answers are as comparable
// as those to plain questions, whatever a dress does to them.

// The dresses.
const (
	PlainDress = "plain" // the question and nothing else
	WorkDress  = "work"  // a part of ordinary work: mails, tickets, forms, tables, chats, code
	// steadyDress is WorkDress for models that take no temperature but 1, as many that
	// reason do. Recordings find out which of the two it is.
	steadyDress = "work at temperature 1"
)

// workVersion names the texts of WorkDress, beside those of the questions in them.
const workVersion = "work-2"

// versionOf names the questions and the way they are put in a dress.
func versionOf(dress string) string {
	if atWork(dress) {
		return QuestionsVersion + " " + workVersion
	}
	return QuestionsVersion
}

// atWork reports whether a dress is one of work.
func atWork(dress string) bool { return dress == WorkDress || dress == steadyDress }

// workTasks are the word tasks of WorkDress, in the order of cells. Not every language
// has all of them.
var workTasks = []string{
	"number", "letter", "colour", "animal", "city", "fruit", "name", "tool", "verb", "weather",
	"weekday", "instrument", "drink", "country", "flower", "job",
}

// cellsIn are the ids of the word cells that a dress has in some languages; in all of
// them when none is named.
func cellsIn(dress string, languages ...string) []string {
	all := WordCells()
	if atWork(dress) {
		all = nil
		for _, task := range workTasks {
			for _, language := range wordLanguages {
				if _, has := offices[language].things[task]; has {
					all = append(all, task+"."+language)
				}
			}
		}
	}
	if len(languages) == 0 {
		return all
	}
	return slices.DeleteFunc(all, func(id string) bool { return !slices.Contains(languages, languageOf(id)) })
}

// languageOf is the language of a word cell.
func languageOf(cell string) string {
	_, language, _ := strings.Cut(cell, ".")
	return language
}

// CheckDress says what is wrong with a dress, or with the languages that it shall have.
func CheckDress(dress string, languages []string) error {
	if dress != PlainDress && dress != WorkDress {
		return fmt.Errorf("no dress is called %q; there are %s and %s", dress, PlainDress, WorkDress)
	}
	for _, l := range languages {
		if !slices.Contains(wordLanguages, l) {
			return fmt.Errorf("there are no questions in %q; there are some in %s", l, strings.Join(wordLanguages, ", "))
		}
	}
	return nil
}

// wordsIn are how word cells are asked and read in a dress.
func wordsIn(dress string) questions {
	if atWork(dress) {
		ask := func(cell string, r *rand.Rand) Ask { return workAsk(cell, dress, r) }
		return questions{ask: ask, read: func(_ string, r *Reply) string { return chosen(r) }, always: wordSpecials}
	}
	return wordQuestions
}

// workAsk is one question of a cell as a part of ordinary work. Everything about it is
// drawn from r.
func workAsk(cell, dress string, r *rand.Rand) Ask {
	name, language, _ := strings.Cut(cell, ".")
	o := offices[language]
	if o == nil || o.things[name][0] == "" {
		panic("probe: no word question is called " + cell) // cells of references are checked before
	}
	d := newDesk(o, r)
	d.fixed["one"], d.fixed["thing"] = o.things[name][0], o.things[name][1]
	a := d.write(d.fill(pick(r, o.frames)), d.fill(pick(r, o.forms)))
	sendAsWork(&a, 0, dress, r)
	return a
}

// desk writes one piece of work of an office.
type desk struct {
	*office
	r     *rand.Rand
	fixed map[string]string // what stays the same through a text
}

func newDesk(o *office, r *rand.Rand) *desk { return &desk{o, r, map[string]string{}} }

// minWork is the least length of a piece of work, in bytes.
const minWork = 48

// Shares of requests that have what not all have. They are those of no traffic in
// particular: how long requests are, how many turns they have and what programs set
// differs more between programs than any one choice could fit. Short requests and set
// temperatures are rarer than in most traffic on purpose. Relays that spare probes by
// rules of thumb spare just those: with .45 and .6, which is nearest to the built-in
// applications, such a relay is found after 102 questions (median), with these after 52.
const (
	withSystem  = .6
	withRules   = .4 // of those with a system prompt
	withEarlier = .15
	short       = .25
	limited     = .7
	tempered    = .35
)

// write embeds a task.
func (d *desk) write(task, form string) Ask {
	a := Ask{System: d.system(), Turns: d.before()}
	d.fixed["task"], d.fixed["form"] = task, form
	of := d.skeletons
	if len(a.Turns) > 0 || d.r.Float64() < short {
		of = d.notes
	}
	text := d.fill(pick(d.r, of))
	for len(text) < minWork {
		text = pick(d.r, d.more) + " " + text
	}
	a.Turns = append(a.Turns, Turn{"user", text})
	return a
}

// system is a system prompt, with more or fewer rules in it; empty when there is none.
func (d *desk) system() string {
	if d.r.Float64() >= withSystem {
		return ""
	}
	said := []string{d.fill(pick(d.r, d.systems))}
	if d.r.Float64() < withRules {
		for _, i := range d.r.Perm(len(d.rules))[:1+d.r.IntN(min(len(d.rules), maxRules))] {
			said = append(said, d.fill(d.rules[i]))
		}
	}
	return strings.Join(said, pick(d.r, []string{" ", "\n", "\n- "}))
}

// Bounds on what is drawn at random.
const (
	maxRules     = 12
	maxEarlier   = 4
	maxSentences = 48
)

// before is what was said before: mostly nothing.
func (d *desk) before() (turns []Turn) {
	if d.r.Float64() >= withEarlier {
		return nil
	}
	for _, i := range d.r.Perm(len(d.earlier))[:1+d.r.IntN(min(len(d.earlier), maxEarlier))] {
		said := d.earlier[i][0]
		if d.r.IntN(2) == 0 {
			said = d.sentences() + "\n\n" + said
		}
		turns = append(turns, Turn{"user", said}, Turn{"assistant", d.earlier[i][1]})
	}
	return turns
}

var slotForm = regexp.MustCompile(`\{[a-z]+\}`)

// fill fills the slots of a text.
func (d *desk) fill(text string) string {
	return slotForm.ReplaceAllStringFunc(text, func(slot string) string { return d.slot(slot[1 : len(slot)-1]) })
}

// slot draws what stands in a slot.
func (d *desk) slot(name string) string {
	if v, is := d.fixed[name]; is {
		return v
	}
	switch name {
	case "more":
		return d.sentences()
	case "amount":
		return fmt.Sprintf(pick(d.r, []string{"%d EUR", "€ %d", "%d euros", "$%d", "%d CHF", "£%d", "%d"}), 20+d.r.IntN(9800))
	case "count":
		return fmt.Sprint(8 + d.r.IntN(200))
	case "ref":
		return randomOf(d.r, "BCDFGHJKLMNPQRSTVWXZ", 2+d.r.IntN(2)) + "-" + randomOf(d.r, "BCDFGHJKLMNPQRSTVWXZ", 4)
	}
	v := pick(d.r, d.slots[name])
	if name == "company" || name == "product" || name == "event" {
		d.fixed[name] = v
	}
	return v
}

// goesOn is the chance that another sentence follows: of one text it is small, of another
// nearly 1.
var goesOn = []float64{.2, .4, .6, .7, .8, .94}

// sentences are some that say nothing in particular, none twice: one or two, or very many.
func (d *desk) sentences() string {
	whole, more, most := d.r.Perm(len(d.more)), pick(d.r, goesOn), maxSentences
	if d.clauses[0] == nil {
		most = len(whole)
	}
	var said []string
	for len(said) == 0 || len(said) < most && d.r.Float64() < more {
		if len(whole) == 0 || d.clauses[0] != nil && d.r.IntN(4) > 0 {
			said = append(said, d.composed())
			continue
		}
		said, whole = append(said, d.more[whole[0]]), whole[1:]
	}
	return strings.Join(said, " ")
}

// composed is a sentence made of the language's clauses.
func (d *desk) composed() string {
	var parts []string
	for _, c := range d.clauses {
		parts = append(parts, d.fill(pick(d.r, c)))
	}
	return strings.Join(parts, " ") + "."
}

func pick[T any](r *rand.Rand, of []T) T { return of[r.IntN(len(of))] }

// workLimits are limits of answers as programs set them.
var workLimits = []int64{256, 300, 400, 500, 512, 600, 800, 1000, 1000, 1024, 1024, 1500, 2000, 2048, 3000, 4000, 4096, 8000}

// clients are programs by the headers that they send, whatever API they speak.
var clients = []http.Header{
	{"User-Agent": {"python-httpx/0.28.1"}, "Accept": {"*/*"}},
	{"User-Agent": {"python-requests/2.32.5"}, "Accept": {"*/*"}},
	{"User-Agent": {"axios/1.12.2"}, "Accept": {"application/json, text/plain, */*"}},
	{"User-Agent": {"node"}, "Accept": {"*/*"}},
	{"User-Agent": {"sallyport"}, "Accept": {"application/json"}},
}

// workTemperatures are those that programs set, and that models take unless they reason.
var workTemperatures = []float64{0, 0, 0, .1, .2, .2, .3, .5, .7, 1}

// sendAsWork has a question sent as programs send theirs: some with a limit, some with a
// temperature, half of them streamed. least is what the answer must have room for.
func sendAsWork(a *Ask, least int64, dress string, r *rand.Rand) {
	a.Stream = r.IntN(2) == 0
	a.MaxTokens, a.Temperature, a.TopP = 0, nil, nil
	if r.Float64() < limited {
		a.MaxTokens = max(pick(r, workLimits), least)
	}
	if r.Float64() < tempered {
		a.Temperature = new(1.0)
		if dress == WorkDress {
			a.Temperature = new(pick(r, workTemperatures))
		}
	}
	a.Header = pick(r, clients)
}

var (
	choiceMember = regexp.MustCompile(`"(?:choice|answer|value|result|entry)"\s*:\s*"?([^",}\n]+)`)
	choiceLine   = regexp.MustCompile(`(?im)^[^\pL\pN]*(?:choice|answer|value|result|entry|выбор|选择|الاختيار)[^\pL\pN:：]*[:：](.+)$`)
)

// chosen is what an answer to a dressed question chose, as a letter: the member or the
// line that it was asked for, else its first word.
func chosen(r *Reply) string {
	for _, form := range []*regexp.Regexp{choiceMember, choiceLine} {
		if found := form.FindAllStringSubmatch(r.Text, -1); found != nil {
			stripped := *r
			stripped.Text = found[len(found)-1][1]
			return stripped.Word()
		}
	}
	return r.Word()
}
