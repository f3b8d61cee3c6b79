package main

import (
	"bytes"
	"fmt"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strings"

	"sallyport/internal/llm"
	"sallyport/internal/price"
)

// providers are the ones whose cards are kept, by the source's id: makers, and
// hosts that publish prices in USD per token. The value is the id used here.
var providers = map[string]string{
	"anthropic": "anthropic", "aws": "aws", "azure": "azure", "cerebras": "cerebras", "cohere": "cohere",
	"deepseek": "deepseek", "fireworks": "fireworks", "google": "google", "groq": "groq", "minimax": "minimax",
	"mistral": "mistral", "moonshotai": "moonshotai", "openai": "openai", "openrouter": "openrouter",
	"together": "together", "voyageai": "voyageai", "x-ai": "xai", "zai": "zai",
}

// fallbacks is what the source must say about hosts that charge the maker's
// price; price.Book knows the same by heart.
var fallbacks = map[string]string{
	"azure":  "[openai anthropic deepseek x-ai moonshotai]",
	"google": "[anthropic]",
}

// classes maps the source's price names to token classes.
var classes = map[string]llm.Class{
	"input_mtok":            llm.Input,
	"cache_read_mtok":       llm.CacheRead,
	"cache_write_mtok":      llm.CacheWrite5m,
	"cache_write_1h_mtok":   llm.CacheWrite1h,
	"output_mtok":           llm.Output,
	"output_reasoning_mtok": llm.Reasoning,
	"input_audio_mtok":      llm.AudioIn,
	"output_audio_mtok":     llm.AudioOut,
	"input_image_mtok":      llm.ImageIn,
}

// hides lists price names that no class carries, with the class that would be
// wrong because of it; NumClasses where nothing is.
var hides = map[string]llm.Class{
	"output_image_mtok": llm.Output,
	"output_video_mtok": llm.Output,
	"input_video_mtok":  llm.Input,

	"cache_audio_read_mtok": llm.NumClasses, "cache_image_read_mtok": llm.NumClasses,
	"web_searches_kcount": llm.NumClasses, "storage_searches_kcount": llm.NumClasses,
	"audio_hours": llm.NumClasses, "input_audio_hours": llm.NumClasses,
	"input_document_kpages": llm.NumClasses, "input_annotated_document_kpages": llm.NumClasses,
	"input_text_messages_kcount": llm.NumClasses,
}

// spoilt are prices of the source that binary floating point has spoilt; the
// class goes without a price.
var spoilt = map[string]bool{"openrouter cache_write_mtok 0.08333333333333334": true}

// stats counts what a run did, for the one who reads the difference.
type stats struct {
	models, cards, bare, hidden, spoilt int
}

func convert(data list, version, date string) (text []byte, report string, err error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Price cards, written by gen; do not edit. Prices are pico-USD per token, which is\n")
	fmt.Fprintf(&b, "# micro-USD per million tokens. The form is that of price.ParseCards. Licence of the\n")
	fmt.Fprintf(&b, "# source: cards.LICENSE.\nsource %s %s %s\n", packageName, version, date)
	found := map[string]*object{}
	for _, v := range data {
		p, ok := v.(*object)
		if !ok {
			return nil, "", fmt.Errorf("a provider is not an object")
		}
		id, err := p.text("id")
		if err != nil {
			return nil, "", err
		}
		if name, kept := providers[id]; kept {
			found[name] = p
		}
	}
	if len(found) != len(providers) {
		return nil, "", fmt.Errorf("the source has %d of %d providers", len(found), len(providers))
	}
	var s stats
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if err := s.provider(&b, name, found[name]); err != nil {
			return nil, "", fmt.Errorf("provider %s: %w", name, err)
		}
	}
	cards, err := price.ParseCards(b.String())
	if err != nil {
		return nil, "", fmt.Errorf("the result does not parse: %w", err)
	}
	if len(cards) != s.cards {
		return nil, "", fmt.Errorf("the result has %d cards, not %d", len(cards), s.cards)
	}
	report = fmt.Sprintf("%d providers, %d models, %d cards (%d without a price per token), %d prices left out as not separable, %d as spoilt\n",
		len(found), s.models, s.cards, s.bare, s.hidden, s.spoilt)
	return b.Bytes(), report, nil
}

func (s *stats) provider(b *bytes.Buffer, name string, p *object) error {
	fallback := ""
	if v, ok := p.values["fallback_model_providers"]; ok {
		fallback = fmt.Sprint(v)
	}
	if fallback != fallbacks[name] {
		return fmt.Errorf("falls back on %q, want %q", fallback, fallbacks[name])
	}
	models, ok := p.values["models"].(list)
	if !ok {
		return fmt.Errorf("no models")
	}
	fmt.Fprintf(b, "\nprovider %s\n", name)
	for _, v := range models {
		m, ok := v.(*object)
		if !ok {
			return fmt.Errorf("a model is not an object")
		}
		id, err := m.text("id")
		if err != nil {
			return err
		}
		s.models++
		fmt.Fprintf(b, "model %s\n", id)
		rules, err := ruleLines(m.values["match"])
		if err != nil {
			return fmt.Errorf("model %s: %w", id, err)
		}
		for _, r := range rules {
			fmt.Fprintf(b, "match %s\n", r)
		}
		if err := s.prices(b, name, m.values["prices"]); err != nil {
			return fmt.Errorf("model %s: %w", id, err)
		}
	}
	return nil
}

func (o *object) text(key string) (string, error) {
	t, ok := o.values[key].(string)
	if !ok || t == "" {
		return "", fmt.Errorf("no %s", key)
	}
	return t, nil
}

// notSpeech is the one condition of the source that is not a plain comparison:
// any name but those with a segment "-tts".
const notSpeech = `^(?!.*-[tT][tT][sS](?:$|-))`

// ruleLines writes match logic as rules, any of which suffices.
func ruleLines(v any) ([]string, error) {
	o, ok := v.(*object)
	if !ok || len(o.keys) != 1 {
		return nil, fmt.Errorf("match is not one condition")
	}
	op, arg := o.keys[0], o.values[o.keys[0]]
	switch arg := arg.(type) {
	case string:
		return plainRule(op, arg)
	case list:
		if op == "and" {
			return speechless(arg)
		}
		if op != "or" {
			return nil, fmt.Errorf("unknown condition %s", op)
		}
		var lines []string
		for _, e := range arg {
			more, err := ruleLines(e)
			if err != nil {
				return nil, err
			}
			lines = append(lines, more...)
		}
		return lines, nil
	}
	return nil, fmt.Errorf("unknown condition %s", op)
}

func plainRule(op, text string) ([]string, error) {
	ops := map[string]price.Op{
		"equals": price.Equals, "starts_with": price.Prefix, "ends_with": price.Suffix, "contains": price.Contains,
	}
	if op == "regex" {
		return digits(text)
	}
	o, ok := ops[op]
	if !ok || strings.ContainsAny(text, "# ") {
		return nil, fmt.Errorf("condition %s %q cannot be carried over", op, text)
	}
	return []string{string(rune(o)) + text}, nil
}

// speechless writes "begins with X and is not speech".
func speechless(both list) ([]string, error) {
	if len(both) == 2 {
		first, okA := both[0].(*object)
		second, okB := both[1].(*object)
		if okA && okB && second.values["regex"] == notSpeech {
			if lines, err := ruleLines(first); err == nil && len(lines) == 1 {
				return []string{lines[0] + " unless -tts"}, nil
			}
		}
	}
	return nil, fmt.Errorf("an and that is not known here")
}

var repeated = regexp.MustCompile(`^\\d\{([1-9])\}`)

// digits writes a regular expression that is literal but for digits.
func digits(re string) ([]string, error) {
	rest, anchored := strings.CutPrefix(re, "^")
	rest, whole := strings.CutSuffix(rest, "$")
	var b strings.Builder
	b.WriteByte(byte(price.Prefix))
	if whole {
		b.Reset()
		b.WriteByte(byte(price.Equals))
	}
	for rest != "" {
		c := rest[0]
		switch m := repeated.FindStringSubmatch(rest); {
		case m != nil:
			b.WriteString(strings.Repeat("#", int(m[1][0]-'0')))
			rest = rest[len(m[0]):]
		case strings.HasPrefix(rest, `\d`):
			b.WriteByte('#')
			rest = rest[2:]
		case strings.HasPrefix(rest, `\.`):
			b.WriteByte('.')
			rest = rest[2:]
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '/':
			b.WriteByte(c)
			rest = rest[1:]
		default:
			return nil, fmt.Errorf("regular expression %q cannot be carried over", re)
		}
	}
	if !anchored {
		return nil, fmt.Errorf("regular expression %q is not anchored", re)
	}
	return []string{b.String()}, nil
}

// dated is one entry of a model's price list.
type dated struct {
	from, until, daily string
	prices             *object
}

// prices writes the cards of one model.
func (s *stats) prices(b *bytes.Buffer, provider string, v any) error {
	entries, err := schedule(v)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := s.card(b, provider, e); err != nil {
			return err
		}
	}
	return nil
}

// schedule turns the source's price list, whose last fitting entry holds, into
// validity intervals.
func schedule(v any) ([]dated, error) {
	if o, ok := v.(*object); ok {
		return []dated{{prices: o}}, nil
	}
	items, ok := v.(list)
	if !ok || len(items) == 0 {
		return nil, fmt.Errorf("no prices")
	}
	var entries []dated
	open := -1 // the entry for the whole day that the next start date ends
	for i, item := range items {
		o, ok := item.(*object)
		if !ok {
			return nil, fmt.Errorf("a price is not an object")
		}
		e := dated{}
		if e.prices, ok = o.values["prices"].(*object); !ok {
			return nil, fmt.Errorf("a price list entry without prices")
		}
		c, constrained := o.values["constraint"].(*object)
		if constrained != (i > 0) {
			return nil, fmt.Errorf("the first price alone may and must be unconditional")
		}
		if !constrained {
			entries, open = append(entries, e), 0
			continue
		}
		switch c.values["type"] {
		case "start_date":
			e.from, _ = c.values["start_date"].(string)
			if open != len(entries)-1 || e.from <= entries[open].from {
				return nil, fmt.Errorf("start dates do not rise, or follow a time of day")
			}
			entries[open].until, open = e.from, len(entries)
		case "time_of_date":
			from, _ := c.values["start_time"].(string)
			to, _ := c.values["end_time"].(string)
			if !strings.HasSuffix(from, "Z") || !strings.HasSuffix(to, "Z") {
				return nil, fmt.Errorf("a time of day is not in UTC")
			}
			e.from = entries[open].from
			e.daily = strings.TrimSuffix(from, "Z") + "-" + strings.TrimSuffix(to, "Z")
		default:
			return nil, fmt.Errorf("unknown constraint %v", c.values["type"])
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// card writes one card.
func (s *stats) card(b *bytes.Buffer, provider string, e dated) error {
	rates, tiers := price.Rates{}, map[int64]price.Rates{}
	var omits []string
	dropped := map[llm.Class]bool{}
	for _, key := range slices.Sorted(slices.Values(e.prices.keys)) {
		class, ok := classes[key]
		if !ok {
			hidden, known := hides[key]
			if !known {
				return fmt.Errorf("unknown price %s", key)
			}
			dropped[hidden] = true
			omits = append(omits, key)
			continue
		}
		if n, ok := e.prices.values[key].(number); ok && spoilt[provider+" "+key+" "+string(n)] {
			s.spoilt++
			omits = append(omits, key)
			continue
		}
		if err := split(class, e.prices.values[key], rates, tiers); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	for class := range dropped {
		if _, priced := rates[class]; priced {
			s.hidden++
			delete(rates, class)
			for _, t := range tiers {
				delete(t, class)
			}
		}
	}
	s.cards++
	if len(rates) == 0 {
		s.bare++
	}
	b.WriteString("card")
	for _, f := range [][2]string{{"from", e.from}, {"until", e.until}, {"daily", e.daily}} {
		if f[1] != "" {
			b.WriteString(" " + f[0] + " " + f[1])
		}
	}
	writeRates(b, rates)
	for _, above := range slices.Sorted(maps.Keys(tiers)) {
		if len(tiers[above]) > 0 {
			fmt.Fprintf(b, "above %d", above)
			writeRates(b, tiers[above])
		}
	}
	if len(omits) > 0 {
		b.WriteString("omits " + strings.Join(omits, " ") + "\n")
	}
	return nil
}

func writeRates(b *bytes.Buffer, r price.Rates) {
	for class := range llm.NumClasses {
		if p, ok := r[class]; ok {
			fmt.Fprintf(b, " %s %d", class, p)
		}
	}
	b.WriteByte('\n')
}

// split adds a price, plain or tiered, to a card's rates and tiers.
func split(class llm.Class, v any, rates price.Rates, tiers map[int64]price.Rates) error {
	if n, ok := v.(number); ok {
		p, err := pico(n)
		rates[class] = p
		return err
	}
	o, ok := v.(*object)
	if !ok || len(o.keys) != 2 {
		return fmt.Errorf("neither a number nor a tiered price")
	}
	base, okBase := o.values["base"].(number)
	steps, okSteps := o.values["tiers"].(list)
	if !okBase || !okSteps || len(steps) == 0 {
		return fmt.Errorf("not a tiered price")
	}
	p, err := pico(base)
	if err != nil {
		return err
	}
	rates[class] = p
	for _, step := range steps {
		t, ok := step.(*object)
		if !ok || len(t.keys) != 2 {
			return fmt.Errorf("not a tier")
		}
		start, okStart := t.values["start"].(number)
		cost, okCost := t.values["price"].(number)
		if !okStart || !okCost {
			return fmt.Errorf("not a tier")
		}
		above, err := whole(start, 1)
		if err != nil {
			return err
		}
		if p, err = pico(cost); err != nil {
			return err
		}
		if tiers[above] == nil {
			tiers[above] = price.Rates{}
		}
		tiers[above][class] = p
	}
	return nil
}

// pico turns USD per million tokens into pico-USD per token, exactly.
func pico(n number) (price.Pico, error) {
	p, err := whole(n, 1_000_000)
	return price.Pico(p), err
}

func whole(n number, times int64) (int64, error) {
	r, ok := new(big.Rat).SetString(string(n))
	if !ok {
		return 0, fmt.Errorf("%s is not a number", n)
	}
	r.Mul(r, new(big.Rat).SetInt64(times))
	if !r.IsInt() || r.Sign() < 0 || !r.Num().IsInt64() {
		return 0, fmt.Errorf("%s is not a whole number of units, or not in range", n)
	}
	return r.Num().Int64(), nil
}
