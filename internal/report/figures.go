package report

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/verdict"
)

const (
	unknown = "unknown"
	none    = "-" // there is no such figure
)

// count is a whole number with its thousands apart.
func count[T int | int64](n T) string {
	digits := strconv.FormatInt(int64(n), 10)
	sign := ""
	if digits[0] == '-' {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// dollars is an amount of nano-dollars; below zero it is not known, which is not nothing.
func dollars(nano int64) string {
	switch {
	case nano < 0:
		return unknown
	case nano == 0:
		return "0"
	case nano < 1e5:
		return "<0.0001"
	case nano < 999_950_000: // what rounds to less than a dollar
		return fmt.Sprintf("%.4f", float64(nano)/1e9)
	}
	cents := nano / 1e7
	if nano%1e7 >= 5e6 {
		cents++
	}
	return fmt.Sprintf("%s.%02d", count(cents/100), cents%100)
}

// amount is dollars with the currency.
func amount(nano int64) string {
	if nano < 0 {
		return unknown
	}
	return "USD " + dollars(nano)
}

// eValue is an e-value of which the decimal logarithm is given. It is rounded down,
// so that a threshold never looks reached when it is not.
func eValue(log10 float64) string {
	switch {
	case math.IsNaN(log10):
		return unknown
	case math.IsInf(log10, 1):
		return "infinite"
	case log10 < -3:
		return "<0.001"
	case log10 < 4:
		return smallE(math.Pow(10, log10))
	}
	exponent := math.Floor(log10)
	mantissa := floor(math.Pow(10, log10-exponent), 1)
	if exponent > 1e6 { // beyond anything that a sum of logarithms of bets reaches
		return ">10^1000000"
	}
	return fmt.Sprintf("%.1f×10%s", mantissa, superscript(int(exponent)))
}

func smallE(e float64) string {
	switch {
	case e >= 100:
		return count(int(floor(e, 0)))
	case e >= 10:
		return fmt.Sprintf("%.1f", floor(e, 1))
	case e >= .1:
		return fmt.Sprintf("%.2f", floor(e, 2))
	}
	return fmt.Sprintf("%.3f", floor(e, 3))
}

// floor rounds down to some decimals, forgiving the error of a logarithm.
func floor(v float64, decimals int) float64 {
	scale := math.Pow10(decimals)
	return math.Floor(v*scale*(1+1e-9)) / scale
}

func superscript(n int) string {
	digits := []rune("⁰¹²³⁴⁵⁶⁷⁸⁹")
	var b strings.Builder
	for _, d := range strconv.Itoa(n) {
		b.WriteRune(digits[d-'0'])
	}
	return b.String()
}

// percent is a share of one.
func percent(share float64) string {
	if math.IsNaN(share) || math.IsInf(share, 0) {
		return unknown
	}
	return strconv.FormatFloat(share*100, 'g', 3, 64) + " %"
}

// number is a figure for a table.
func number(v float64) string {
	if math.IsNaN(v) {
		return "not a number"
	}
	return strconv.FormatFloat(v, 'g', 6, 64)
}

// date is an instant to the minute.
func date(t time.Time) string {
	if t.IsZero() {
		return unknown
	}
	return t.UTC().Format("2006-01-02 15:04 UTC")
}

func day(t time.Time) string {
	if t.IsZero() {
		return unknown
	}
	return t.UTC().Format(time.DateOnly)
}

// span is a duration with two units at most.
func span(d time.Duration) string {
	switch {
	case d < 0:
		return unknown
	case d < 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d < time.Minute:
		return d.Round(time.Second).String()
	case d < time.Hour:
		d = d.Round(time.Second)
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	d = d.Round(time.Minute)
	return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
}

// short is the beginning of a hash, enough to tell two apart.
func short(hash string) string {
	if len(hash) > 16 && !strings.Contains(hash[:16], `\`) {
		return hash[:12] + "…"
	}
	return hash
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:@%+=-]+$`)

// verifyCommand is what a reader runs to check the bundle, safe to paste into a shell.
func verifyCommand(b *verdict.Bundle) string {
	path := b.Path
	if !plainWord.MatchString(path) {
		path = "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
	}
	if strings.HasPrefix(path, "-") || strings.HasPrefix(path, "'-") {
		path = "-- " + path
	}
	return "sallyport audit verify " + path
}

// targetName is what the report is about, in a few words.
func targetName(t verdict.Target) string { return cmp.Or(t.Name, t.Host, t.URL) }
