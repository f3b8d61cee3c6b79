package price

import (
	"slices"
	"strings"
	"time"
)

// Book finds the card of a model at a time. It is immutable after NewBook and
// safe for concurrent use.
type Book struct {
	lists []index // in the order given; the last one that knows a price wins
	cards int
}

// index holds one list of cards by provider.
type index map[string]*shelf

// shelf holds one provider's models in the order they were listed.
type shelf struct {
	models []*model
	exact  map[string]int // the first model of each exact name, folded
	loose  []int          // models that have rules beyond exact names, ascending
}

// model is one priced model: its names and its dated cards.
type model struct {
	names []Rule
	cards []Card // the newest first; at one date, those for part of the day first
}

// NewBook indexes cards. Lists are given in rising order of authority: where a
// later list has a valid card for a model, earlier lists are not asked, so
// operator overrides are passed last. A card hides every earlier card of its id.
// Within a list, models are tried in the order in which they first appear.
func NewBook(lists ...[]Card) *Book {
	last := map[string][2]int{}
	for i, list := range lists {
		for j, c := range list {
			last[c.ID] = [2]int{i, j}
		}
	}
	b := &Book{cards: len(last)}
	for i, list := range lists {
		x := index{}
		for j, c := range list {
			if last[c.ID] == [2]int{i, j} {
				x.add(c)
			}
		}
		for _, s := range x {
			s.finish()
		}
		b.lists = append(b.lists, x)
	}
	return b
}

// add puts a card on its provider's shelf; cards of one model follow each other.
func (x index) add(c Card) {
	s := x[c.Provider]
	if s == nil {
		s = &shelf{exact: map[string]int{}}
		x[c.Provider] = s
	}
	if n := len(s.models); n > 0 && s.models[n-1].cards[0].Model == c.Model {
		s.models[n-1].cards = append(s.models[n-1].cards, c)
		return
	}
	if c.Names == nil {
		if at, ok := s.exact[fold(c.Model)]; ok && s.models[at].cards[0].Model == c.Model {
			s.models[at].cards = append(s.models[at].cards, c)
			return
		}
	}
	names := c.Names
	if names == nil {
		names = []Rule{{Op: Equals, Text: c.Model}}
	}
	s.models = append(s.models, &model{names: names, cards: []Card{c}})
	s.note(len(s.models)-1, names)
}

// note makes a model findable by its names.
func (s *shelf) note(at int, names []Rule) {
	loose := false
	for _, r := range names {
		if !r.plain() {
			loose = true
			continue
		}
		name := fold(r.Text)
		if _, taken := s.exact[name]; !taken {
			s.exact[name] = at
		}
	}
	if loose {
		s.loose = append(s.loose, at)
	}
}

func (s *shelf) finish() {
	for _, m := range s.models {
		slices.SortStableFunc(m.cards, func(a, c Card) int {
			switch {
			case a.From != c.From:
				if a.From > c.From {
					return -1
				}
				return 1
			case a.Daily == c.Daily, a.Daily != (Window{}) && c.Daily != (Window{}):
				return 0
			case a.Daily != (Window{}):
				return -1
			}
			return 1
		})
	}
}

// find returns the first listed model that the folded name means.
func (s *shelf) find(name string) *model {
	at, ok := s.exact[name]
	for _, i := range s.loose {
		if ok && i > at {
			break
		}
		if slices.ContainsFunc(s.models[i].names, func(r Rule) bool { return r.matches(name) }) {
			return s.models[i]
		}
	}
	if !ok {
		return nil
	}
	return s.models[at]
}

// at returns the card that is valid at a time.
func (m *model) at(micros int64) (Card, bool) {
	for _, c := range m.cards {
		if c.From <= micros && (c.Until == 0 || micros < c.Until) && c.Daily.Holds(micros) {
			return c, true
		}
	}
	return Card{}, false
}

// billedAs names the providers whose list prices a host charges for models that
// its own shelf does not hold. The source of the built-in cards says so; its
// generator fails when the source says otherwise.
func billedAs(provider string) []string {
	switch provider {
	case "azure":
		return []string{"openai", "anthropic", "deepseek", "xai", "moonshotai"}
	case "google":
		return []string{"anthropic"}
	}
	return nil
}

// At returns the card that was valid for the provider's model at a time in
// microseconds. Names are compared without regard to case. No card is not a
// price of 0: the caller records "unpriced". The card's Provider differs from
// the one asked for where a host charges the maker's list price.
func (b *Book) At(provider, name string, micros int64) (Card, bool) {
	if provider == Local {
		return Declared(), true
	}
	name = fold(name)
	names := []string{name}
	if spaced := spaceDates(name); spaced != name {
		names = append(names, spaced)
	}
	for _, n := range names {
		for _, p := range append([]string{provider}, billedAs(provider)...) {
			if c, known := b.on(p, n, micros); known {
				return c, len(c.Rates) > 0
			}
		}
	}
	return Card{}, false
}

// on asks one provider's shelves. A model that is known but has no valid card is
// known all the same: no other provider's price may stand in for it.
func (b *Book) on(provider, name string, micros int64) (c Card, known bool) {
	for _, list := range slices.Backward(b.lists) {
		s := list[provider]
		if s == nil {
			continue
		}
		if m := s.find(name); m != nil {
			known = true
			if c, ok := m.at(micros); ok {
				return c, true
			}
		}
	}
	return Card{}, known
}

// Len is the number of cards in the book.
func (b *Book) Len() int { return b.cards }

func fold(name string) string { return strings.ToLower(strings.TrimSpace(name)) }

// spaceDates writes every calendar date of the form -20250807 in a folded name
// as -2025-08-07, because hosts spell one snapshot both ways.
func spaceDates(name string) string {
	const width = len("-20250807")
	for i := 0; i+width <= len(name); i++ {
		end := i + width
		if name[i] != '-' || end < len(name) && name[end] != '-' && name[end] != ':' {
			continue
		}
		d, err := time.Parse("-20060102", name[i:end])
		if err != nil || d.Year() < 2000 || d.Year() > 2099 {
			continue
		}
		spaced := d.Format("-2006-01-02")
		name = name[:i] + spaced + name[end:]
		i += len(spaced) - 1
	}
	return name
}
