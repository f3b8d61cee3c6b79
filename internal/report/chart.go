package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"sallyport/internal/verdict"
)

// Limits of one chart.
const (
	maxPoints = 500 // of a series
	maxSeries = 6   // as many as can be told apart by dashes and marks
	maxRows   = 40  // categories
	maxMarks  = 6
	maxTable  = 3000 // rows of the table of the data
)

// Measures of a drawing in units of its view box. A line of text has more room than
// it takes, because narrow screens enlarge it.
const (
	drawWidth  = 720.0
	drawHeight = 300.0
	lineHeight = 22.0
)

// drawing is a chart laid out: what the page's template draws, as texts, places and
// paths. Shapes carry classes, since the page's policy allows no style attributes.
type drawing struct {
	ID            string
	Title, Desc   string
	Above, Below  string // names of the axes
	Width, Height float64
	Empty         bool
	Grid          string // path
	Levels        string // path
	Shapes        []shape
	Texts         []caption
	Keys          []key
	Notes         []string
	Head          []string // the data as a table
	Rows          [][]string
}

// shape is one path.
type shape struct{ Class, D string }

// caption is a text at a place.
type caption struct {
	X, Y        float64
	Class, Text string
}

// key is an entry of the legend.
type key struct {
	Name   string
	Shapes []shape
}

// draw lays a chart out. The id makes the names of its parts unique in the page.
func draw(c verdict.Chart, id string) *drawing {
	d := &drawing{ID: id, Title: c.Title, Width: drawWidth}
	var more int
	c.Series, more = first(c.Series, maxSeries)
	if more > 0 {
		d.note("%s more series are not drawn.", count(more))
	}
	c.Levels, _ = first(c.Levels, maxMarks)
	d.Above, d.Below = c.Y, c.X
	switch c.Kind {
	case verdict.Lines, verdict.Scatter:
		drawPoints(d, c)
	case verdict.Bars, verdict.Intervals:
		d.Above, d.Below = c.X, c.Y // categories go down, values go across
		drawCategories(d, c)
	default:
		d.Empty = true
		d.note("This version cannot draw a chart of the kind %q.", c.Kind)
	}
	if more := len(d.Rows) - maxTable; more > 0 {
		d.Rows = d.Rows[:maxTable]
		d.note("%s more rows are not in the table.", count(more))
	}
	for i, s := range c.Series {
		if len(c.Series) > 1 {
			d.Keys = append(d.Keys, key{s.Name, swatch(c.Kind, i)})
		}
	}
	d.Desc = describe(c)
	return d
}

func (d *drawing) note(format string, args ...any) {
	d.Notes = append(d.Notes, fmt.Sprintf(format, args...))
}

// describe says what a chart shows to somebody who cannot see it.
func describe(c verdict.Chart) string {
	var b strings.Builder
	fmt.Fprintf(&b, "A chart of the kind %s: %s by %s.", c.Kind, c.Y, c.X)
	for _, s := range c.Series {
		fmt.Fprintf(&b, " %s: ", s.Name)
		switch points := finite(s.Points); {
		case len(points) > 0:
			fmt.Fprintf(&b, "%s points, the last at %s.", count(len(points)), number(points[len(points)-1].Y))
		case len(s.Y) > 0:
			fmt.Fprintf(&b, "%s values.", count(len(s.Y)))
		default:
			b.WriteString("no data.")
		}
	}
	for _, l := range c.Levels {
		fmt.Fprintf(&b, " %s is at %s.", l.Name, number(l.Y))
	}
	return b.String() + " The data are in the table below."
}

// usable reports whether a value has a place in a chart.
func usable(v float64) bool { return math.Abs(v) <= 1e300 } // so not NaN either

// finite leaves out the points that have no place in a chart.
func finite(points []verdict.Point) []verdict.Point {
	kept := make([]verdict.Point, 0, len(points))
	for _, p := range points {
		if usable(p.X) && usable(p.Y) {
			kept = append(kept, p)
		}
	}
	return kept
}

// extent is the range of some values.
type extent struct{ low, high float64 }

func noExtent() extent { return extent{math.Inf(1), math.Inf(-1)} }

func (e *extent) add(v float64) {
	if usable(v) {
		e.low, e.high = min(e.low, v), max(e.high, v)
	}
}

func (e extent) empty() bool { return e.low > e.high }

// padded is the extent with room for a value that never changes, or none at all.
func (e extent) padded() extent {
	if e.empty() {
		return extent{0, 1}
	}
	size := max(math.Abs(e.low), math.Abs(e.high))
	if span := e.high - e.low; span > size*1e-9 && span > 1e-300 {
		return e
	}
	room := size / 10
	if room < 1e-290 {
		room = 1
	}
	return extent{e.low - room, e.high + room}
}

// scale maps an extent of values to places.
type scale struct {
	extent
	from, to float64
}

func (s scale) at(v float64) float64 {
	return s.from + (v-s.low)/(s.high-s.low)*(s.to-s.from)
}

// rounded widens a scale to whole steps of its ticks.
func (s scale) rounded(ticks int) scale {
	step := tickStep(s.extent, ticks)
	s.low, s.high = math.Floor(s.low/step+1e-9)*step, math.Ceil(s.high/step-1e-9)*step
	return s
}

// tickStep is the 1, 2 or 5 times a power of ten that makes at most so many steps.
func tickStep(e extent, ticks int) float64 {
	rough := (e.high - e.low) / float64(ticks)
	power := math.Pow(10, math.Floor(math.Log10(rough)))
	for _, times := range []float64{1, 2, 5} {
		if times*power >= rough*(1-1e-9) {
			return times * power
		}
	}
	return 10 * power
}

// tick is a value of an axis.
type tick struct {
	at   float64 // place
	text string
}

// ticks are at most ticks+1 round values inside the scale.
func (s scale) ticks(ticks int) []tick {
	step := tickStep(s.extent, ticks)
	begin := math.Ceil(s.low/step - 1e-9)
	var all []tick
	for i := range ticks + 2 {
		v := (begin + float64(i)) * step
		if v > s.high+step*1e-9 {
			break
		}
		all = append(all, tick{s.at(v), tickText(v, step)})
	}
	return all
}

func tickText(v, step float64) string {
	switch {
	case math.Abs(v) < step*1e-6:
		return "0"
	case math.Abs(v) >= 1e6 || step < 1e-4:
		return strconv.FormatFloat(v, 'g', 4, 64)
	}
	return strconv.FormatFloat(v, 'f', max(0, int(-math.Floor(math.Log10(step)+1e-9))), 64)
}

// path collects the commands of an SVG path, to a tenth of a unit.
type path struct{ b []byte }

func (p *path) add(command byte, places ...float64) *path {
	p.b = append(p.b, command)
	for i, v := range places {
		if i > 0 {
			p.b = append(p.b, ' ')
		}
		p.b = strconv.AppendFloat(p.b, math.Round(v*10)/10, 'f', -1, 64)
	}
	return p
}

func (p *path) line(x1, y1, x2, y2 float64) *path { return p.add('M', x1, y1).add('L', x2, y2) }

func (p *path) box(x, y, width, height float64) *path {
	return p.add('M', x, y).add('h', width).add('v', height).add('h', -width).add('z')
}

// mark adds the mark of a series around a point: series differ by shape, not by colour alone.
func (p *path) mark(series int, x, y, r float64) *path {
	switch series % maxSeries {
	case 0: // disc
		return p.add('M', x-r, y).add('a', r, r, 0, 1, 0, 2*r, 0).add('a', r, r, 0, 1, 0, -2*r, 0).add('z')
	case 1: // square
		return p.box(x-r, y-r, 2*r, 2*r)
	case 2: // triangle
		return p.add('M', x, y-r).add('l', r, 2*r).add('h', -2*r).add('z')
	case 3: // diamond
		return p.add('M', x, y-1.3*r).add('l', 1.3*r, 1.3*r).add('l', -1.3*r, 1.3*r).add('l', -1.3*r, -1.3*r).add('z')
	case 4: // plus
		return p.box(x-r, y-r/3, 2*r, r/1.5).box(x-r/3, y-r, r/1.5, 2*r)
	}
	return p.add('M', x, y+r).add('l', r, -2*r).add('h', -2*r).add('z') // triangle on its tip
}

func (p *path) String() string { return string(p.b) }

// class names a shape's kind and series in the stylesheet.
func class(kind string, series int) string { return fmt.Sprintf("%s s%d", kind, series%maxSeries) }

// swatch is a series in the legend, in a box of 28 by 12.
func swatch(kind verdict.ChartKind, series int) []shape {
	mark := shape{class("mark", series), new(path).mark(series, 14, 6, 4).String()}
	line := shape{class("line", series), new(path).line(0, 6, 28, 6).String()}
	switch kind {
	case verdict.Lines:
		return []shape{line}
	case verdict.Bars:
		return []shape{{class("bar", series), new(path).box(1, 1, 26, 10).String()}}
	case verdict.Intervals:
		return []shape{line, mark}
	}
	return []shape{mark}
}
