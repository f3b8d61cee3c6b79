package report

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sallyport/internal/verdict"
)

var (
	kinds    = []verdict.ChartKind{verdict.Lines, verdict.Scatter, verdict.Bars, verdict.Intervals}
	commands = regexp.MustCompile(`^([MLhvlaz](-?[0-9.]+( -?[0-9.]+)*)?)*$`)
	moves    = regexp.MustCompile(`[ML](-?[0-9.]+) (-?[0-9.]+)`)
)

// check demands that a drawing has finite places inside its view box.
func check(t *testing.T, name string, d *drawing) {
	t.Helper()
	inside := func(x, y float64) bool { return x >= -10 && x <= d.Width+10 && y >= -10 && y <= d.Height+10 }
	for _, s := range append([]shape{{"grid", d.Grid}, {"levels", d.Levels}}, d.Shapes...) {
		if !commands.MatchString(s.D) {
			t.Errorf("%s: %s is no path: %.80s", name, s.Class, s.D)
		}
		for _, m := range moves.FindAllStringSubmatch(s.D, -1) {
			x, _ := strconv.ParseFloat(m[1], 64)
			y, _ := strconv.ParseFloat(m[2], 64)
			if !inside(x, y) {
				t.Errorf("%s: %s leaves the drawing at %v, %v", name, s.Class, x, y)
			}
		}
	}
	for _, c := range d.Texts {
		if !inside(c.X, c.Y) || strings.Contains(c.Text, "NaN") || strings.Contains(c.Text, "Inf") {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

func xy(values ...float64) []verdict.Point {
	points := make([]verdict.Point, len(values))
	for i, v := range values {
		points[i] = verdict.Point{X: float64(i), Y: v}
	}
	return points
}

func TestDrawOddCharts(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	marks := []verdict.Mark{{Name: "a", Y: 3}, {Name: "b", Y: 2}, {Name: "c", Y: 1.3}, {Name: "bad", Y: nan}}
	for name, values := range map[string][]float64{
		"empty": nil, "one": {3}, "constant": {5, 5, 5}, "zero": {0, 0}, "not finite": {nan, inf, -inf}, "some finite": {1, nan, 2, inf},
		"huge": {-1e300, 1e300}, "beyond": {math.MaxFloat64, -math.MaxFloat64, 1}, "tiny": {1e-310, 2e-310}, "close": {1e15, 1e15 + .125},
		"subnormal": {5e-324}, "negative": {-3, -1, -2}, "falling": {0, -50, -400},
	} {
		for _, kind := range kinds {
			for _, levels := range [][]verdict.Mark{nil, marks} {
				s := verdict.Series{Name: "s", Points: xy(values...), Y: values, Low: values, High: values}
				d := draw(verdict.Chart{Kind: kind, Labels: make([]string, len(values)), Series: []verdict.Series{s, {Name: "none"}}, Levels: levels}, "x")
				check(t, name+" "+string(kind), d)
				if empty := name == "empty" || name == "not finite"; d.Empty != empty {
					t.Errorf("%s %s: empty is %v", name, kind, d.Empty)
				}
				if !d.Empty && len(d.Shapes) == 0 {
					t.Errorf("%s %s: nothing is drawn", name, kind)
				}
			}
		}
	}
	for _, c := range []verdict.Chart{{}, {Kind: "pie", Series: []verdict.Series{{Points: xy(1)}}}, {Kind: verdict.Bars, Labels: []string{"a"}}} {
		if d := draw(c, "x"); !d.Empty {
			t.Errorf("%+v is drawn", c)
		}
	}
}

// TestDrawBounds: no drawing grows with its data, and what is left out is told.
func TestDrawBounds(t *testing.T) {
	values := make([]float64, 20_000)
	for i := range values {
		values[i] = math.Sin(float64(i) / 500)
	}
	values[7_001] = 40 // a peak
	for _, kind := range kinds {
		c := verdict.Chart{Kind: kind, Labels: make([]string, len(values)), Levels: make([]verdict.Mark, 50)}
		for range 20 {
			c.Series = append(c.Series, verdict.Series{Points: xy(values...), Y: values, Low: values, High: values})
		}
		d := draw(c, "x")
		check(t, string(kind), d)
		size := 0
		for _, s := range d.Shapes {
			size += len(s.D)
			if n := strings.Count(s.D, "L"); kind == verdict.Lines && n > maxPoints {
				t.Errorf("%s: %d points in a line", kind, n)
			}
		}
		if size > 400_000 || len(d.Rows) > maxTable || len(d.Keys) > maxSeries || d.Height > 5_000 {
			t.Errorf("%s: %d bytes, %d rows, %d keys, %v high", kind, size, len(d.Rows), len(d.Keys), d.Height)
		}
		if notes := strings.Join(d.Notes, " "); !strings.Contains(notes, "14 more series") || len(d.Notes) < 2 {
			t.Errorf("%s: what is left out is not told: %q", kind, d.Notes)
		}
	}
	thinned := thin(xy(values...), verdict.Lines)
	if len(thinned) > maxPoints || !slices.Contains(thinned, verdict.Point{X: 7_001, Y: 40}) || thinned[0].X != 0 || thinned[len(thinned)-1].X != 19_999 {
		t.Errorf("%d points are kept, or without the peak or an end", len(thinned))
	}
	if !slices.IsSortedFunc(thinned, func(a, b verdict.Point) int { return int(a.X - b.X) }) {
		t.Error("the points are out of order")
	}
	if n := len(thin(xy(values...), verdict.Scatter)); n != maxPoints {
		t.Errorf("%d points of a cloud are kept", n)
	}
}

// TestLevelsStayReadable: evidence that falls without end does not flatten the levels,
// and the chart says that the line goes on. Far above them they share a line of text.
func TestLevelsStayReadable(t *testing.T) {
	levels := []verdict.Mark{{Name: "high", Y: 3}, {Name: "low", Y: 1.3}}
	d := draw(verdict.Chart{Kind: verdict.Lines, Series: []verdict.Series{{Points: xy(0, -100, -200)}}, Levels: levels}, "x")
	var places []float64
	for _, c := range d.Texts {
		if strings.HasPrefix(c.Class, "level") {
			places = append(places, c.Y)
		}
	}
	if len(places) != 2 || math.Abs(places[0]-places[1]) < lineHeight {
		t.Errorf("the levels' names are at %v", places)
	}
	if !strings.Contains(strings.Join(d.Notes, " "), "go on below") || d.Rows[2][1] != "-200" {
		t.Errorf("notes %q, rows %q", d.Notes, d.Rows)
	}
	d = draw(verdict.Chart{Kind: verdict.Lines, Series: []verdict.Series{{Points: xy(0, 100, 200)}}, Levels: levels}, "x")
	if last := d.Texts[len(d.Texts)-1]; last.Text != "low, high" {
		t.Errorf("the levels' names are %+v", last)
	}
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		low, high float64
		want      string
	}{
		{0, 1, "0 0.2 0.4 0.6 0.8 1.0"},
		{-2, 3, "-2 -1 0 1 2 3"},
		{0, 742, "0 200 400 600"},
		{0, 3e9, "0 1e+09 2e+09 3e+09"},
		{.001, .0013, "0.0010 0.0011 0.0012 0.0013"},
	} {
		var got []string
		for _, tick := range (scale{extent{c.low, c.high}, 0, 100}).ticks(5) {
			got = append(got, tick.text)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%v to %v: %q, want %q", c.low, c.high, got, c.want)
		}
	}
}
