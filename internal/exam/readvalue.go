package exam

import (
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"time"
)

var (
	numeral  = regexp.MustCompile(`(^|[^\pL\pN.,])([-+]?\d+(?:[.,' _]\d+)*)`)
	square   = strings.NewReplacer("m^2", "m²", "m2", "m²", "m^{2}", "m²")
	unitWord = regexp.MustCompile(`^\s*([\pL%€$£µ²]+(?:/[\pL²]+)?)`)
	prefix   = regexp.MustCompile(`([€$£]|\bEUR|\bUSD)\s*$`)
	bullet   = regexp.MustCompile(`^[-*•]\s+`)
)

// units maps spellings to the unit an item names. What is here and not the item's unit makes a reply
// wrong; a word that is not here is ignored.
var units = map[string]string{
	"kg": "kg", "kilogram": "kg", "kilograms": "kg", "kilo": "kg", "kilos": "kg", "kilogramm": "kg", "kilogramos": "kg", "千克": "kg", "公斤": "kg",
	"g": "g", "gram": "g", "grams": "g", "gramm": "g", "gramos": "g", "克": "g", "t": "t", "tonnes": "t", "tons": "t", "吨": "t", "mg": "mg",
	"l": "l", "liter": "l", "liters": "l", "litre": "l", "litres": "l", "litros": "l", "升": "l", "ml": "ml", "milliliters": "ml", "millilitres": "ml", "milliliter": "ml", "mililitros": "ml", "毫升": "ml",
	"m": "m", "meter": "m", "meters": "m", "metre": "m", "metres": "m", "metros": "m", "米": "m", "cm": "cm", "centimeters": "cm", "centimetres": "cm", "zentimeter": "cm", "centímetros": "cm", "厘米": "cm",
	"mm": "mm", "km": "km", "kilometers": "km", "kilometres": "km", "kilometer": "km", "kilómetros": "km", "公里": "km", "千米": "km", "miles": "mi",
	"eur": "EUR", "euro": "EUR", "euros": "EUR", "€": "EUR", "欧元": "EUR", "$": "USD", "usd": "USD", "dollars": "USD", "£": "GBP", "元": "CNY",
	"kg/m²": "kg/m2", "mmol/l": "mmol/l", "ml/min": "ml/min", "drops": "drops/min", "drops/min": "drops/min", "drops/minute": "drops/min",
	"%": "%", "percent": "%", "prozent": "%", "h": "h", "hours": "h", "minutes": "min", "min": "min", "s": "s", "seconds": "s",
}

// scales are words that change the number before them.
var scales = []string{"k", "thousand", "tausend", "tsd", "mil", "million", "millions", "millionen", "millones", "mio", "billion", "dozen", "hundred", "万", "亿", "千", "百"}

// readNumber finds the one number of a line, in the item's unit.
func readNumber(line string, item Item) (string, bool) {
	line = square.Replace(bullet.ReplaceAllString(line, ""))
	if _, after, found := lastCut(line, "="); found {
		line = after
	}
	found := numeral.FindAllStringSubmatchIndex(line, -1)
	if len(found) != 1 {
		return "", false
	}
	before, text, after := line[:found[0][4]], line[found[0][4]:found[0][5]], line[found[0][5]:]
	value, ok := parseNumber(text, item.Language)
	if !ok || strings.ContainsAny(after, "0123456789") || strings.ContainsAny(before, "0123456789") {
		return "", false
	}
	for _, s := range []string{submatch(unitWord, after), submatch(prefix, before)} {
		word := strings.ToLower(s)
		if slices.Contains(scales, word) || word == "%" && item.Unit == "" {
			return "", false
		}
		if unit := units[word]; unit != "" && item.Unit != "" && unit != item.Unit {
			return decimal(value, 6) + " " + unit, true
		}
	}
	if exact := decimal(value, 12); new(big.Rat).Sub(value, mustRat(exact)).Sign() == 0 {
		return exact, true
	}
	return "", false
}

func submatch(re *regexp.Regexp, s string) string {
	if m := re.FindStringSubmatch(s); m != nil {
		return m[1]
	}
	return ""
}

func mustRat(s string) *big.Rat {
	x, ok := new(big.Rat).SetString(s)
	if !ok {
		return new(big.Rat)
	}
	return x
}

// parseNumber reads digits with separators by the custom of a language. The other custom is understood
// where it cannot be mistaken.
func parseNumber(s, language string) (*big.Rat, bool) {
	const limit = 40
	sign := ""
	if s[0] == '-' || s[0] == '+' {
		sign, s = strings.TrimPrefix(s[:1], "+"), s[1:]
	}
	point, comma := strings.Count(s, "."), strings.Count(s, ",")
	own, other := ".", ","
	if language == "de" || language == "es" {
		own, other = ",", "."
	}
	mark := "" // the decimal separator
	switch last := strings.LastIndexAny(s, ".,"); {
	case point > 0 && comma > 0:
		mark = s[last : last+1]
	case point+comma == 0 || point+comma > 1:
	case s[last:last+1] == own:
		mark = own
	case grouped(s[:last], " '_") && len(s)-last == 4 && last <= 3 && s[0] != '0': // 1,234
	case own == ",":
		mark = other // 12.5 in a language with decimal commas
	default:
		return nil, false
	}
	whole, fraction := s, ""
	if mark != "" {
		if strings.Count(s, mark) > 1 {
			return nil, false
		}
		whole, fraction, _ = strings.Cut(s, mark)
	}
	if !grouped(whole, ".,' _") || strings.Trim(fraction, "0123456789") != "" || len(s) > limit {
		return nil, false
	}
	digits := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, whole)
	x, ok := new(big.Rat).SetString(sign + digits + "." + fraction + "0")
	return x, ok
}

// grouped says whether digits stand alone or in groups of three with one kind of separator.
func grouped(s, separators string) bool {
	at := strings.IndexAny(s, separators)
	if at < 0 {
		return true
	}
	groups := strings.Split(s, s[at:at+1])
	for i, g := range groups {
		if strings.Trim(g, "0123456789") != "" || i > 0 && len(g) != 3 || len(g) > 3 || g == "" {
			return false
		}
	}
	return true
}

var (
	dateISO     = regexp.MustCompile(`\b(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})\b`)
	dateHan     = regexp.MustCompile(`(\d{4})\s*年\s*(\d{1,2})\s*月\s*(\d{1,2})\s*日`)
	dateNumeric = regexp.MustCompile(`\b(\d{1,2})([./-])(\d{1,2})[./-](\d{4})\b`)
	dateDay     = regexp.MustCompile(`\b(\d{1,2})(?:st|nd|rd|th)?\.?\s+(?:of\s+|de\s+)?(\pL{3,})\.?,?\s+(?:de\s+)?(\d{4})\b`)
	dateMonth   = regexp.MustCompile(`\b(\pL{3,})\.?\s+(\d{1,2})(?:st|nd|rd|th)?,?\s+(\d{4})\b`)
)

// readDate finds the one date of a line.
func readDate(line, language string) (string, bool) {
	var found []string
	ok := true
	add := func(y, m, d string) {
		date := fmt.Sprintf("%s-%02s-%02s", y, m, d)
		if _, err := time.Parse(time.DateOnly, date); err != nil {
			ok = false
		}
		found = append(found, date)
	}
	for _, re := range []*regexp.Regexp{dateISO, dateHan} {
		for _, m := range re.FindAllStringSubmatch(line, -1) {
			add(m[1], m[2], m[3])
		}
	}
	for _, m := range dateNumeric.FindAllStringSubmatch(line, -1) {
		day, month := m[1], m[3]
		american := language == "en" && m[2] != "."
		if american && number(day) <= 12 && number(month) <= 12 && day != month {
			return "", false // nobody can tell
		}
		if american && number(month) > 12 {
			day, month = month, day
		}
		add(m[4], month, day)
	}
	for _, m := range dateDay.FindAllStringSubmatch(line, -1) {
		add(m[3], monthNumber(m[2]), m[1])
	}
	for _, m := range dateMonth.FindAllStringSubmatch(line, -1) {
		add(m[3], monthNumber(m[1]), m[2])
	}
	found = slices.Compact(found)
	if !ok || len(found) != 1 {
		return "", false
	}
	return found[0], true
}

// monthNumber is the number of a month by its name or the first three letters of it, or 0.
func monthNumber(name string) string {
	name = strings.ToLower(name)
	for _, language := range []string{"en", "de", "es"} {
		for i, month := range datesTexts[language].months {
			month = strings.ToLower(month)
			if name == month || name == string([]rune(month)[:3]) || name == "sept" && i == 8 {
				return itoa(i + 1)
			}
		}
	}
	return "0"
}

var clockTime = regexp.MustCompile(`(?i)(?:^|[^\d:.,])(\d{1,2})\s*(?:[:.h]|点|时|點)\s*(\d{1,2})(?:\s*分|:00)?(?:\s*([ap])\.?m\b)?(?:[^\d:]|$)`)

// clockZone is an offset or a count of days beside a time.
var clockZone = regexp.MustCompile(`(?:UTC|GMT)\s*[-+]\d{1,2}(?::\d\d)?|\(\+\d(?: days?)?\)`)

// readClock finds the one time of day of a line.
func readClock(line string) (string, bool) {
	line = clockZone.ReplaceAllString(line, "")
	m := clockTime.FindStringSubmatch(line)
	if m == nil || strings.ContainsAny(strings.Replace(line, m[0], "", 1), "0123456789") {
		return "", false
	}
	hour, minute := number(m[1]), number(m[2])
	if half := strings.ToLower(m[3]); half != "" {
		if hour < 1 || hour > 12 {
			return "", false
		}
		hour %= 12
		if half == "p" {
			hour += 12
		}
	}
	if hour > 23 || minute > 59 || len(m[2]) == 1 && !strings.ContainsAny(m[0], "点时點") {
		return "", false
	}
	return clock(60*hour + minute), true
}
