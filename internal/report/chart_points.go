package report

import (
	"cmp"
	"math"
	"slices"

	"sallyport/internal/verdict"
)

// Place of the plot inside the drawing of points.
const (
	plotLeft   = 70.0
	plotRight  = drawWidth - 26
	plotTop    = 22.0
	plotBottom = drawHeight - 30
	fewPoints  = 12 // a line of no more has its points marked
)

// drawPoints lays out a chart of lines or of a cloud.
func drawPoints(d *drawing, c verdict.Chart) {
	d.Height = drawHeight
	data := make([][]verdict.Point, len(c.Series))
	xs, ys := noExtent(), noExtent()
	for i, s := range c.Series {
		kept := finite(s.Points)
		if lost := len(s.Points) - len(kept); lost > 0 {
			d.note("%s: %s points without a finite value are left out.", s.Name, count(lost))
		}
		data[i] = thin(kept, c.Kind)
		if len(data[i]) < len(kept) {
			d.note("%s: %s of %s points are shown.", s.Name, count(len(data[i])), count(len(kept)))
		}
		for _, p := range data[i] {
			xs.add(p.X)
			ys.add(p.Y)
		}
	}
	if d.Empty = xs.empty(); d.Empty {
		return
	}
	ys = withLevels(d, c, ys)
	x := scale{xs.padded(), plotLeft, plotRight}
	y := scale{ys.padded(), plotBottom, plotTop}.rounded(5)
	d.axes(x, y)
	d.levels(c.Levels, y)
	for i, points := range data {
		d.Shapes = append(d.Shapes, pointShapes(c.Kind, i, points, x, y)...)
	}
	d.pointTable(c, data)
}

// withLevels widens the extent to the levels. A line that falls far below them, as
// evidence does when nothing is wrong, would make everything else flat: such a chart
// ends twice as far below the lowest level as the levels and the data go above it.
func withLevels(d *drawing, c verdict.Chart, ys extent) extent {
	if len(c.Levels) == 0 {
		return ys
	}
	lowest := math.Inf(1)
	for _, l := range c.Levels {
		ys.add(l.Y)
		if usable(l.Y) {
			lowest = min(lowest, l.Y)
		}
	}
	if floor := lowest - 2*max(ys.high-lowest, 1); c.Kind == verdict.Lines && ys.low < floor {
		ys.low = floor
		d.note("Lines that reach the bottom go on below it; the table has their values.")
	}
	return ys
}

// thin keeps at most maxPoints points: of a line the ends, and the lowest and highest of
// each part, so that no peak is lost; of a cloud every so manieth.
func thin(points []verdict.Point, kind verdict.ChartKind) []verdict.Point {
	n := len(points)
	if n <= maxPoints {
		return points
	}
	kept := make([]verdict.Point, 0, maxPoints)
	if kind == verdict.Scatter {
		for i := range maxPoints {
			kept = append(kept, points[i*n/maxPoints])
		}
		return kept
	}
	byY := func(a, b int) int { return cmp.Compare(points[a].Y, points[b].Y) }
	const parts = (maxPoints - 2) / 2
	indices := make([]int, 0, n)
	for i := range n {
		indices = append(indices, i)
	}
	kept = append(kept, points[0])
	for i := range parts {
		part := indices[1+i*(n-2)/parts : 1+(i+1)*(n-2)/parts]
		low, high := slices.MinFunc(part, byY), slices.MaxFunc(part, byY)
		kept = append(kept, points[min(low, high)])
		if low != high {
			kept = append(kept, points[max(low, high)])
		}
	}
	return append(kept, points[n-1])
}

// axes draws the grid and the ticks.
func (d *drawing) axes(x, y scale) {
	var grid path
	for _, t := range y.ticks(5) {
		grid.line(plotLeft, t.at, plotRight, t.at)
		d.Texts = append(d.Texts, caption{plotLeft - 8, t.at + 5, "end", t.text})
	}
	for _, t := range x.ticks(6) {
		grid.line(t.at, plotBottom, t.at, plotBottom+5)
		d.Texts = append(d.Texts, caption{t.at, plotBottom + 22, "middle", t.text})
	}
	d.Grid = grid.String()
}

// levels draws horizontal lines with their names above their right ends. Lines that are
// too close for that share a text above the highest.
func (d *drawing) levels(marks []verdict.Mark, y scale) {
	marks = slices.DeleteFunc(slices.Clone(marks), func(m verdict.Mark) bool { return !usable(m.Y) })
	slices.SortStableFunc(marks, func(a, b verdict.Mark) int { return cmp.Compare(a.Y, b.Y) })
	var lines path
	names, below := "", math.Inf(1)
	for i, m := range marks {
		at := y.at(m.Y)
		lines.line(plotLeft, at, plotRight, at)
		if name := ellipsis(m.Name, 24); i > 0 && below-at < lineHeight {
			names += ", " + name
			d.Texts[len(d.Texts)-1] = caption{plotRight - 4, at - 5, "level end", ellipsis(names, 56)}
		} else {
			names = name
			d.Texts = append(d.Texts, caption{plotRight - 4, at - 5, "level end", names})
		}
		below = at
	}
	d.Levels = lines.String()
}

func pointShapes(kind verdict.ChartKind, series int, points []verdict.Point, x, y scale) []shape {
	var line, marks path
	command := byte('M')
	for _, p := range points {
		px, py := x.at(p.X), min(y.at(p.Y), y.from)
		line.add(command, px, py)
		command = 'L'
		if kind == verdict.Scatter || len(points) <= fewPoints {
			marks.mark(series, px, py, 3.5)
		}
	}
	var shapes []shape
	if kind == verdict.Lines && len(points) > 1 {
		shapes = append(shapes, shape{class("line", series), line.String()})
	}
	if len(marks.b) > 0 {
		shapes = append(shapes, shape{class("mark", series), marks.String()})
	}
	return shapes
}

func (d *drawing) pointTable(c verdict.Chart, data [][]verdict.Point) {
	d.Head = []string{c.X, c.Y}
	if len(data) > 1 {
		d.Head = []string{"series", c.X, c.Y}
	}
	for i, points := range data {
		for _, p := range points {
			row := []string{number(p.X), number(p.Y)}
			if len(data) > 1 {
				row = append([]string{c.Series[i].Name}, row...)
			}
			d.Rows = append(d.Rows, row)
		}
	}
}
