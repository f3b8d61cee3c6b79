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
)

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
	if dress == WorkDress {
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
	if dress == WorkDress {
		return questions{ask: workAsk, read: func(_ string, r *Reply) string { return chosen(r) }, always: wordSpecials}
	}
	return wordQuestions
}

// workAsk is one question of a cell as a part of ordinary work. Everything about it is
// drawn from r.
func workAsk(cell string, r *rand.Rand) Ask {
	name, language, _ := strings.Cut(cell, ".")
	o := offices[language]
	if o == nil || o.things[name][0] == "" {
		panic("probe: no word question is called " + cell) // cells of references are checked before
	}
	d := newDesk(o, r)
	d.fixed["one"], d.fixed["thing"] = o.things[name][0], o.things[name][1]
	a := d.write(d.fill(pick(r, o.frames)), d.fill(pick(r, o.forms)))
	sendAsWork(&a, 0, r)
	return a
}

// desk writes one piece of work of an office.
type desk struct {
	*office
	r     *rand.Rand
	fixed map[string]string // what stays the same through a text
}

func newDesk(o *office, r *rand.Rand) *desk { return &desk{o, r, map[string]string{}} }

// minWork is the least length of a piece of work, in bytes: what is shorter stands out
// where traffic is longer.
const minWork = 320

// Shares of requests that have what not all have.
const (
	withSystem  = .65
	withEarlier = .2
)

// write embeds a task.
func (d *desk) write(task, form string) Ask {
	var a Ask
	if d.r.Float64() < withSystem {
		a.System = d.fill(pick(d.r, d.systems))
	}
	if d.r.Float64() < withEarlier {
		before := pick(d.r, d.earlier)
		a.Turns = []Turn{{"user", before[0]}, {"assistant", before[1]}}
	}
	d.fixed["task"], d.fixed["form"] = task, form
	text := d.fill(pick(d.r, d.skeletons))
	for len(text) < minWork {
		text = pick(d.r, d.more) + " " + text
	}
	a.Turns = append(a.Turns, Turn{"user", text})
	return a
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
		return fmt.Sprintf("%d.%02d EUR", 20+d.r.IntN(9800), d.r.IntN(100))
	case "count":
		return fmt.Sprint(8 + d.r.IntN(200))
	case "ref":
		return fmt.Sprintf("%s-%d", pick(d.r, []string{"OPS", "HR", "CS", "REQ", "WEB", "FIN"}), 1000+d.r.IntN(99000))
	}
	v := pick(d.r, d.slots[name])
	if name == "company" || name == "product" || name == "event" {
		d.fixed[name] = v
	}
	return v
}

// sentences are a few of those that say nothing in particular: mostly two to five, now
// and then many.
func (d *desk) sentences() string {
	n := 2
	for n < 3*len(d.more) && d.r.Float64() < .68 {
		n++
	}
	var said []string
	for len(said) < n {
		for _, i := range d.r.Perm(len(d.more))[:min(n-len(said), len(d.more))] {
			said = append(said, d.more[i])
		}
	}
	return strings.Join(said, " ")
}

func pick[T any](r *rand.Rand, of []T) T { return of[r.IntN(len(of))] }

// workLimits are limits of answers as programs set them.
var workLimits = []int64{256, 300, 400, 500, 512, 600, 800, 1000, 1000, 1024, 1024, 1500, 2000, 2048, 4096}

// clients are programs by the headers that they send, whatever API they speak.
var clients = []http.Header{
	{"User-Agent": {"python-httpx/0.28.1"}, "Accept": {"*/*"}},
	{"User-Agent": {"python-requests/2.32.5"}, "Accept": {"*/*"}},
	{"User-Agent": {"axios/1.12.2"}, "Accept": {"application/json, text/plain, */*"}},
	{"User-Agent": {"node"}, "Accept": {"*/*"}},
	{"User-Agent": {"sallyport"}, "Accept": {"application/json"}},
}

// sendAsWork has a question sent as programs send theirs: mostly without sampling
// parameters, half of them streamed. The only temperature is 1, which reasoning models
// accept as well. least is what the answer must have room for.
func sendAsWork(a *Ask, least int64, r *rand.Rand) {
	a.Stream = r.IntN(2) == 0
	a.MaxTokens, a.Temperature, a.TopP = 0, nil, nil
	if r.Float64() < .65 {
		if a.MaxTokens = pick(r, workLimits); a.MaxTokens < least {
			a.MaxTokens = least
		}
	}
	if r.Float64() < .25 {
		a.Temperature = new(1.0)
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
