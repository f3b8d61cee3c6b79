package price

import (
	"fmt"
	"strings"
	"time"
)

// Op is how a rule compares a model name.
type Op byte

// The comparisons, written in data files as the byte itself.
const (
	Equals   Op = '='
	Prefix   Op = '^'
	Suffix   Op = '$'
	Contains Op = '*'
)

// Rule says which model names a card is for. In Text, '#' stands for any one
// digit. Case does not matter.
type Rule struct {
	Op     Op
	Text   string
	Unless string // when set, a name with this dash-led segment, such as "-tts", is not meant
}

// plain reports whether the rule names exactly one name.
func (r Rule) plain() bool {
	return r.Op == Equals && r.Unless == "" && !strings.Contains(r.Text, "#")
}

// matches reports whether the rule means a folded name.
func (r Rule) matches(name string) bool {
	if r.Unless != "" && hasSegment(name, r.Unless) {
		return false
	}
	text := strings.ToLower(r.Text)
	extra := len(name) - len(text)
	if extra < 0 || text == "" {
		return false
	}
	switch r.Op {
	case Equals:
		return extra == 0 && alike(name, text)
	case Prefix:
		return alike(name[:len(text)], text)
	case Suffix:
		return alike(name[extra:], text)
	case Contains:
		for i := range extra + 1 {
			if alike(name[i:i+len(text)], text) {
				return true
			}
		}
	}
	return false
}

// alike compares texts of equal length; '#' in the pattern is any digit.
func alike(s, pattern string) bool {
	for i := range len(pattern) {
		if s[i] != pattern[i] && (pattern[i] != '#' || s[i] < '0' || s[i] > '9') {
			return false
		}
	}
	return true
}

// hasSegment reports whether the segment occurs in name followed by a dash or the end.
func hasSegment(name, segment string) bool {
	for rest := name; ; {
		i := strings.Index(rest, segment)
		if i < 0 {
			return false
		}
		rest = rest[i+len(segment):]
		if rest == "" || rest[0] == '-' {
			return true
		}
	}
}

// Window is a part of every UTC day, in seconds after midnight, from inclusive
// to exclusive; it may run over midnight. The zero Window is the whole day.
type Window struct{ From, To int32 }

const secondsPerDay = 24 * 60 * 60

// Holds reports whether a time in microseconds since the epoch is in the window.
func (w Window) Holds(micros int64) bool {
	if w == (Window{}) {
		return true
	}
	s := int32(time.UnixMicro(micros).Unix() % secondsPerDay)
	if s < 0 {
		s += secondsPerDay
	}
	if w.To < w.From {
		return s >= w.From || s < w.To
	}
	return w.From <= s && s < w.To
}

// String writes the window as "01:00:00-04:00:00".
func (w Window) String() string {
	clock := func(s int32) string { return fmt.Sprintf("%02d:%02d:%02d", s/3600, s/60%60, s%60) }
	return clock(w.From) + "-" + clock(w.To)
}

// ParseWindow reads what String writes.
func ParseWindow(text string) (Window, error) {
	from, to, ok := strings.Cut(text, "-")
	a, errA := time.Parse(time.TimeOnly, from)
	z, errZ := time.Parse(time.TimeOnly, to)
	w := Window{secondOf(a), secondOf(z)}
	if !ok || errA != nil || errZ != nil || w.From == w.To {
		return Window{}, fmt.Errorf("window %q is not of the form 01:00:00-04:00:00", text)
	}
	return w, nil
}

func secondOf(t time.Time) int32 {
	return int32(t.Hour()*3600 + t.Minute()*60 + t.Second())
}
