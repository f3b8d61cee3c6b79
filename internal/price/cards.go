package price

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/llm"
)

// cardsText is the snapshot that gen wrote; cards.LICENSE is its source's licence.
//
//go:embed cards.txt
var cardsText string

// Builtin returns the price cards that come with the program: a dated snapshot
// of public list prices, made by the generator in gen from the npm package
// @pydantic/genai-prices (MIT). Each call parses anew; the caller owns the cards.
func Builtin() ([]Card, error) { return ParseCards(cardsText) }

// Providers returns the ids of the providers that Builtin has cards for, in the
// order of the snapshot.
func Providers() []string {
	var ids []string
	for line := range strings.Lines(cardsText) {
		if id, ok := strings.CutPrefix(line, "provider "); ok {
			ids = append(ids, strings.TrimSuffix(id, "\n"))
		}
	}
	return ids
}

// ParseCards reads the text form of price cards, one fact a line:
//
//	source NAME VERSION DATE      where the figures come from, once, first
//	provider ID                   the lines until the next provider are its
//	model ID                      the lines until the next model are its
//	match RULE                    a name it goes by: an Op byte and a text
//	match RULE unless SEGMENT     but not with this segment
//	card [from DATE] [until DATE] [daily CLOCK-CLOCK] [CLASS PICO]...
//	above TOKENS CLASS PICO...    a tier of the card before it
//	omits NAME...                 prices of the source that no class carries
//
// Dates are UTC midnights. Lines that begin with # and empty lines are skipped;
// anything else is an error that names its line.
func ParseCards(text string) ([]Card, error) {
	p := parser{cards: make([]Card, 0, strings.Count(text, "\ncard")), seen: map[string]bool{}}
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSuffix(line, "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		if err := p.line(line); err != nil {
			return nil, fmt.Errorf("price cards, line %d: %w", n, err)
		}
	}
	for _, c := range p.cards {
		if err := c.Check(); err != nil {
			return nil, fmt.Errorf("price cards: %w", err)
		}
	}
	return p.cards, nil
}

type parser struct {
	cards    []Card
	seen     map[string]bool // card ids
	source   string
	version  string
	provider string
	model    string
	names    []Rule
	carded   bool // a card of the model has been read
}

func (p *parser) line(line string) error {
	verb, rest, _ := strings.Cut(line, " ")
	switch verb {
	case "source":
		f := strings.Fields(rest)
		if p.source != "" || len(f) != 3 {
			return fmt.Errorf("want one source line with a name, a version and a date")
		}
		p.source, p.version = f[0]+" "+f[1]+" ("+f[2]+")", f[1]
		return nil
	case "provider":
		p.provider, p.model = rest, ""
		return word(rest)
	case "model":
		p.model, p.names, p.carded = rest, nil, false
		return word(rest)
	case "match":
		return p.match(rest)
	case "card":
		return p.card(rest)
	case "above", "omits":
		if !p.carded {
			return fmt.Errorf("%s without a card", verb)
		}
		c := &p.cards[len(p.cards)-1]
		if verb == "omits" {
			c.Omits = strings.Fields(rest)
			return nil
		}
		return c.tier(rest)
	}
	return fmt.Errorf("unknown word %q", verb)
}

func word(s string) error {
	if s == "" || strings.ContainsAny(s, " \t\r") {
		return fmt.Errorf("%q is not one word", s)
	}
	return nil
}

func (p *parser) match(rest string) error {
	text, unless, _ := strings.Cut(rest, " unless ")
	if p.model == "" || p.carded || len(text) < 2 {
		return fmt.Errorf("misplaced or empty match")
	}
	r := Rule{Op: Op(text[0]), Text: text[1:], Unless: unless}
	switch r.Op {
	case Equals, Prefix, Suffix, Contains:
		p.names = append(p.names, r)
		return word(r.Text)
	}
	return fmt.Errorf("unknown comparison %q", text[0])
}

func (p *parser) card(rest string) error {
	if p.source == "" || p.provider == "" || len(p.names) == 0 {
		return fmt.Errorf("card before its source, provider, model and match lines")
	}
	c := Card{Provider: p.provider, Model: p.model, Names: p.names, Source: p.source}
	var id strings.Builder
	id.WriteString(p.provider + "/" + p.model)
	f := strings.Fields(rest)
	if len(f)%2 != 0 {
		return fmt.Errorf("a word without its value")
	}
	for i := 0; i < len(f); i += 2 {
		var err error
		switch value := f[i+1]; f[i] {
		case "from":
			c.From, err = midnight(value)
			id.WriteString("@" + value)
		case "until":
			c.Until, err = midnight(value)
		case "daily":
			c.Daily, err = ParseWindow(value)
			id.WriteString("@" + value)
		default:
			err = c.Rates.set(f[i], value)
		}
		if err != nil {
			return err
		}
	}
	c.ID = id.String() + "#" + p.version
	if p.seen[c.ID] {
		return fmt.Errorf("second card %s", c.ID)
	}
	p.seen[c.ID], p.carded = true, true
	p.cards = append(p.cards, c)
	return nil
}

func midnight(date string) (int64, error) {
	t, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return 0, fmt.Errorf("%q is not a date of the form 2006-01-02", date)
	}
	return t.UnixMicro(), nil
}

// MaxPico is the highest price per token that a card may hold: 10,000 USD per
// million tokens, far above any list price.
const MaxPico Pico = 10_000 * 1_000_000

// set adds one price in its text form.
func (r *Rates) set(class, value string) error {
	c, ok := llm.ParseClass(class)
	if !ok {
		return fmt.Errorf("unknown token class %q", class)
	}
	n, err := strconv.ParseUint(value, 10, 63)
	if err != nil || Pico(n) > MaxPico {
		return fmt.Errorf("price of %s is not between 0 and %d", class, MaxPico)
	}
	if *r == nil {
		*r = Rates{}
	}
	if _, has := (*r)[c]; has {
		return fmt.Errorf("second price of %s", class)
	}
	(*r)[c] = Pico(n)
	return nil
}

func (c *Card) tier(rest string) error {
	f := strings.Fields(rest)
	if len(f) < 3 || len(f)%2 == 0 {
		return fmt.Errorf("want a size and prices")
	}
	above, err := strconv.ParseInt(f[0], 10, 64)
	if err != nil {
		return fmt.Errorf("size %q is not a number", f[0])
	}
	t := Tier{Above: above}
	for i := 1; i < len(f); i += 2 {
		if err := t.Rates.set(f[i], f[i+1]); err != nil {
			return err
		}
	}
	c.Tiers = append(c.Tiers, t)
	return nil
}

// Check says what is wrong with a card, or nothing: its validity must not be
// empty, its tiers must rise and refine only classes that the card prices.
func (c Card) Check() error {
	if c.ID == "" || c.Provider == "" || c.Model == "" {
		return fmt.Errorf("card %q has no id, provider or model", c.ID)
	}
	if c.Until != 0 && c.Until <= c.From {
		return fmt.Errorf("card %s ends before it begins", c.ID)
	}
	rates := []Rates{c.Rates}
	for i, t := range c.Tiers {
		if t.Above < 0 || i > 0 && t.Above <= c.Tiers[i-1].Above {
			return fmt.Errorf("card %s: tiers do not rise", c.ID)
		}
		for class := range t.Rates {
			if _, ok := c.Rates[class]; !ok {
				return fmt.Errorf("card %s: the tier above %d prices %s, the card does not", c.ID, t.Above, class)
			}
		}
		rates = append(rates, t.Rates)
	}
	for _, r := range rates {
		for class, p := range r {
			if p < 0 || p > MaxPico || class >= llm.NumClasses {
				return fmt.Errorf("card %s: the price of %s is not between 0 and %d", c.ID, class, MaxPico)
			}
		}
	}
	return nil
}
