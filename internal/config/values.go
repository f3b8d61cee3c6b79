package config

import (
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/llm"
	"sallyport/internal/price"
	"sallyport/internal/secret"
)

// Duration is a length of time, written with a unit: 90s, 5m, 1h30m, 7d.
type Duration time.Duration

// String writes the duration as a configuration file would.
func (d Duration) String() string {
	t := time.Duration(d)
	if t > 0 && t%(24*time.Hour) == 0 {
		return strconv.FormatInt(int64(t/(24*time.Hour)), 10) + "d"
	}
	s := t.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

const maxDays = 100 * 366

// parseDuration reads a positive duration.
func parseDuration(text string) (Duration, error) {
	days, rest, hasDays := strings.Cut(text, "d")
	var d time.Duration
	if hasDays {
		n, err := strconv.ParseUint(days, 10, 32)
		if err != nil || n > maxDays {
			return 0, fmt.Errorf("is not a duration")
		}
		d = time.Duration(n) * 24 * time.Hour
	} else {
		rest = text
	}
	if rest != "" {
		t, err := time.ParseDuration(rest)
		if err != nil || strings.ContainsAny(rest, "+-") || t > maxDays*24*time.Hour {
			return 0, fmt.Errorf("is not a duration")
		}
		d += t
	}
	if d <= 0 {
		return 0, fmt.Errorf("is not a positive duration")
	}
	return Duration(d), nil
}

// Size is a number of bytes, written with a unit: 64KiB, 32MiB, 1GiB, or the
// decimal KB, MB, GB.
type Size int64

// The binary units of Size.
const (
	KiB Size = 1 << 10
	MiB Size = 1 << 20
	GiB Size = 1 << 30
)

var units = []struct {
	name string
	size Size
}{{"GiB", GiB}, {"MiB", MiB}, {"KiB", KiB}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"B", 1}}

// String writes the size with the largest binary unit that leaves it whole.
func (s Size) String() string {
	for _, u := range units[:3] {
		if s >= u.size && s%u.size == 0 {
			return strconv.FormatInt(int64(s/u.size), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}

// MarshalText implements encoding.TextMarshaler.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

const maxSize = 64 * GiB

// parseSize reads a positive size.
func parseSize(text string) (Size, error) {
	for _, u := range units {
		if digits, ok := strings.CutSuffix(text, u.name); ok {
			n, err := strconv.ParseUint(digits, 10, 64)
			if err != nil || n == 0 || n > uint64(maxSize/u.size) {
				return 0, fmt.Errorf("is not a size")
			}
			return Size(n) * u.size, nil
		}
	}
	return 0, fmt.Errorf("is not a size")
}

// Share is a part of a whole, from 0 to 1. The zero Share says nothing, which is
// not 0.
type Share struct {
	said      bool
	millionth int64
}

// NewShare returns a share of so many millionths.
func NewShare(millionths int64) Share { return Share{true, millionths} }

// IsZero reports whether nothing is said.
func (s Share) IsZero() bool { return !s.said }

// Float is the share as a number, and 0 when nothing is said.
func (s Share) Float() float64 { return float64(s.millionth) / 1_000_000 }

// String writes the share as a decimal number.
func (s Share) String() string { return strconv.FormatFloat(s.Float(), 'f', -1, 64) }

// MarshalJSON implements json.Marshaler with a number.
func (s Share) MarshalJSON() ([]byte, error) { return []byte(s.String()), nil }

var shareRule = regexp.MustCompile(`^(0|1|0?\.[0-9]{1,6}|1\.0{1,6})$`)

// parseShare reads a decimal number from 0 to 1 with at most six decimals.
func parseShare(text string) (Share, error) {
	if !shareRule.MatchString(text) {
		return Share{}, fmt.Errorf("is not a number from 0 to 1 with at most six decimals")
	}
	f, err := strconv.ParseFloat(text, 64)
	return NewShare(int64(math.Round(f * 1_000_000))), err
}

// Money is an amount of USD in nano-USD. The zero Money says nothing.
type Money price.Nano

// String writes the amount exactly.
func (m Money) String() string {
	s := fmt.Sprintf("%d.%09d", m/1_000_000_000, m%1_000_000_000)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// MarshalJSON implements json.Marshaler with a number.
func (m Money) MarshalJSON() ([]byte, error) { return []byte(m.String()), nil }

// parseMoney reads a decimal number of USD without passing through floating point.
func parseMoney(text string) (Money, error) {
	if !decimal.MatchString(text) {
		return 0, fmt.Errorf("is not a decimal number")
	}
	r, _ := new(big.Rat).SetString(text)
	r.Mul(r, big.NewRat(1_000_000_000, 1))
	if !r.IsInt() || r.Sign() == 0 {
		return 0, fmt.Errorf("is not an amount above 0 with at most nine decimals")
	}
	return Money(r.Num().Int64()), nil
}

// Date is a day in UTC. The zero Date is no date.
type Date struct{ t time.Time }

// IsZero reports whether there is no date.
func (d Date) IsZero() bool { return d.t.IsZero() }

// String writes the date as 2006-01-02, and no date as nothing.
func (d Date) String() string {
	if d.IsZero() {
		return ""
	}
	return d.t.Format(time.DateOnly)
}

// MarshalText implements encoding.TextMarshaler.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// Micros is the midnight that begins the day, in microseconds since the Unix
// epoch, or 0 for no date.
func (d Date) Micros() int64 {
	if d.IsZero() {
		return 0
	}
	return d.t.UnixMicro()
}

func parseDate(text string) (Date, error) {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil || t.Year() < 1971 || t.Year() > 9000 {
		return Date{}, fmt.Errorf("is not a date")
	}
	return Date{t}, nil
}

// Rates are prices by token class.
type Rates map[llm.Class]price.Pico

// MarshalJSON writes the prices in USD per million tokens under the names of
// their classes.
func (r Rates) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for class := range llm.NumClasses {
		if p, ok := r[class]; ok {
			if len(b) > 1 {
				b = append(b, ',')
			}
			b = fmt.Appendf(b, "%q:%q", class, usd(p))
		}
	}
	return append(b, '}'), nil
}

// usd writes a price in USD per million tokens, exactly.
func usd(p price.Pico) string {
	s := fmt.Sprintf("%d.%06d", p/1_000_000, p%1_000_000)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

var decimal = regexp.MustCompile(`^[0-9]{1,9}(\.[0-9]{1,12})?$`)

// ParseUSD reads USD per million tokens without passing through floating point.
func ParseUSD(text string) (price.Pico, error) {
	if !decimal.MatchString(text) {
		return 0, fmt.Errorf("is not a decimal number")
	}
	r, _ := new(big.Rat).SetString(text)
	r.Mul(r, big.NewRat(1_000_000, 1))
	if !r.IsInt() || r.Cmp(big.NewRat(int64(price.MaxPico), 1)) > 0 {
		return 0, fmt.Errorf("is not a price of at most %s with at most six decimals", usd(price.MaxPico))
	}
	return price.Pico(r.Num().Int64()), nil
}

// Ref is a reference to a secret: env:NAME or file:PATH. It shows the reference
// and never the secret, whatever verb or encoder meets it.
type Ref struct {
	text  string
	value func() secret.String // a closure, which no formatter or encoder looks into
}

// NewRef returns a resolved reference; text is what is shown, such as env:NAME.
func NewRef(text string, value secret.String) Ref {
	return Ref{text: text, value: func() secret.String { return value }}
}

// IsZero reports whether there is no reference.
func (r Ref) IsZero() bool { return r.text == "" }

// Secret is what the reference leads to; empty when there is none.
func (r Ref) Secret() secret.String {
	if r.value == nil {
		return secret.String{}
	}
	return r.value()
}

// String is the reference as written.
func (r Ref) String() string { return r.text }

// MarshalText implements encoding.TextMarshaler with the reference.
func (r Ref) MarshalText() ([]byte, error) { return []byte(r.text), nil }

// Value is a text or a reference to a secret. Both are kept from being shown by
// accident; a text is not a secret and appears in the hash and in JSON.
type Value struct {
	Ref
	plain bool
}

// NewValue returns a value that is a plain text.
func NewValue(text string) Value { return Value{NewRef(text, secret.New(text)), true} }

// Plain reports whether the value was written in clear.
func (v Value) Plain() bool { return v.plain }
