package report

import (
	"cmp"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"sallyport/internal/verdict"
)

// Progress is where an audit stands.
type Progress struct {
	Detector string // at work
	Done     int    // checks that are finished
	Total    int
	Queries  int
	Cost     int64                    // nano-dollars; -1 when no price is known
	LogE     map[verdict.Null]float64 // decimal logarithm of E, of the hypotheses under test
	Elapsed  time.Duration
	Width    int // columns of the terminal; 80 when it is not known
}

// ProgressLine is one line without a line feed, never as wide as the terminal, so that
// a carriage return redraws it. It is padded, so that it covers the line before.
//
// The bars end at E = 1,000; the strokes in them are the levels notice (20), warning
// (100) and quarantine (1,000).
func ProgressLine(p Progress) string {
	width := max(cmp.Or(p.Width, 80), 20) - 1
	cost := amount(p.Cost)
	if p.Cost < 0 {
		cost = "cost " + cost
	}
	head := fmt.Sprintf("%s  %d/%d checks  %s queries  %s  %s", shown(p.Detector, 24), p.Done, p.Total, count(p.Queries), cost, clock(p.Elapsed))
	line := head + nulls(p.LogE, bar)
	if utf8.RuneCountInString(line) > width {
		line = head + nulls(p.LogE, figure)
	}
	return pad(line[:cutAt(line, width)], width)
}

func nulls(logE map[verdict.Null]float64, show func(float64) string) string {
	var b strings.Builder
	for _, n := range verdict.Nulls {
		if e, ok := logE[n]; ok {
			fmt.Fprintf(&b, "  %s %s", n, show(e))
		}
	}
	return b.String()
}

// bar shows how far E is on its way to each alarm level, on a logarithmic scale.
func bar(log10 float64) string {
	var b strings.Builder
	from := 0.0
	for _, part := range []struct {
		cells int
		level verdict.Level
	}{{4, verdict.LevelNotice}, {2, verdict.LevelWarning}, {3, verdict.LevelQuarantine}} {
		to := part.level.Threshold()
		share := (log10 - from) / (to - from)
		full := 0
		for full < part.cells && share >= float64(full+1)/float64(part.cells) {
			full++
		}
		b.WriteString(strings.Repeat("#", full) + strings.Repeat(".", part.cells-full) + "|")
		from = to
	}
	return b.String()
}

// figure is E in place of a bar, with the level that it reaches.
func figure(log10 float64) string {
	if l := verdict.LevelOf(log10); l != verdict.LevelNone {
		return eValue(log10) + " " + string(l)
	}
	return eValue(log10)
}

// clock is a duration as a stopwatch shows it.
func clock(d time.Duration) string {
	s := int(max(d, 0).Seconds())
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}
