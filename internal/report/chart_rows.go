package report

import (
	"cmp"
	"math"
	"slices"

	"sallyport/internal/verdict"
)

// Measures of a chart by category, which goes down the page so that names have room.
const (
	rowsLeft  = 180.0
	rowsRight = drawWidth - 34
	rowThick  = 14.0 // one series in a row
	rowGap    = 10.0
	maxName   = 15 // characters of a category's name beside its row
)

// drawCategories lays out bars or intervals, one row a category.
func drawCategories(d *drawing, c verdict.Chart) {
	names, more := first(c.Labels, maxRows)
	if more > 0 {
		d.note("%s more categories are in the table only.", count(more))
	}
	values := noExtent()
	for _, s := range c.Series {
		for i := range names {
			for _, list := range [][]float64{s.Y, s.Low, s.High} {
				values.add(of(list, i))
			}
		}
	}
	d.categoryTable(c)
	if d.Empty = values.empty(); d.Empty {
		return
	}
	if c.Kind == verdict.Bars {
		values.add(0)
	}
	for _, l := range c.Levels {
		values.add(l.Y)
	}
	thick := max(rowThick*float64(len(c.Series)), lineHeight-rowGap)
	top := plotTop + lineHeight*float64(len(c.Levels))
	bottom := top + float64(len(names))*(thick+rowGap)
	d.Height = bottom + 30
	x := scale{values.padded(), rowsLeft, rowsRight}.rounded(5)
	var grid path
	for _, t := range x.ticks(5) {
		grid.line(t.at, top, t.at, bottom)
		d.Texts = append(d.Texts, caption{t.at, bottom + 22, "middle", t.text})
	}
	d.Grid = grid.String()
	d.levelsAcross(c.Levels, x, bottom)
	for i, name := range names {
		y := top + float64(i)*(thick+rowGap) + rowGap/2
		d.Texts = append(d.Texts, caption{rowsLeft - 8, y + thick/2 + 5, "end", ellipsis(name, maxName)})
	}
	for i, s := range c.Series {
		d.Shapes = append(d.Shapes, rowShapes(c.Kind, s, i, len(names), x, top, thick)...)
	}
}

// levelsAcross draws vertical lines, each with its name on a line of text of its own.
func (d *drawing) levelsAcross(marks []verdict.Mark, x scale, bottom float64) {
	marks = slices.DeleteFunc(slices.Clone(marks), func(m verdict.Mark) bool { return !usable(m.Y) })
	slices.SortStableFunc(marks, func(a, b verdict.Mark) int { return cmp.Compare(a.Y, b.Y) })
	var lines path
	for i, m := range marks {
		at, y := x.at(m.Y), plotTop+lineHeight*float64(i)
		lines.line(at, y, at, bottom)
		side, gap := "level start", 5.0
		if at > (rowsLeft+rowsRight)/2 {
			side, gap = "level end", -5
		}
		d.Texts = append(d.Texts, caption{at + gap, y + 5, side, ellipsis(m.Name, 30)})
	}
	d.Levels = lines.String()
}

func rowShapes(kind verdict.ChartKind, s verdict.Series, series, rows int, x scale, top, thick float64) []shape {
	var bars, whiskers, marks path
	for i := range rows {
		y := top + float64(i)*(thick+rowGap) + rowGap/2 + rowThick*float64(series)
		v := of(s.Y, i)
		if kind == verdict.Bars {
			if usable(v) {
				from, to := x.at(min(v, 0)), x.at(max(v, 0))
				bars.box(from, y+1, to-from, rowThick-2)
			}
			continue
		}
		middle := y + rowThick/2
		if low, high := of(s.Low, i), of(s.High, i); usable(low) && usable(high) {
			whiskers.line(x.at(low), middle, x.at(high), middle)
			whiskers.line(x.at(low), middle-4, x.at(low), middle+4).line(x.at(high), middle-4, x.at(high), middle+4)
		}
		if usable(v) {
			marks.mark(series, x.at(v), middle, 4)
		}
	}
	var shapes []shape
	for _, p := range []struct {
		kind string
		path path
	}{{"bar", bars}, {"whisker", whiskers}, {"mark", marks}} {
		if len(p.path.b) > 0 {
			shapes = append(shapes, shape{class(p.kind, series), p.path.String()})
		}
	}
	return shapes
}

func (d *drawing) categoryTable(c verdict.Chart) {
	d.Head = []string{cmp.Or(c.X, "category")}
	for _, s := range c.Series {
		name := cmp.Or(s.Name, c.Y)
		d.Head = append(d.Head, name)
		if c.Kind == verdict.Intervals {
			d.Head = append(d.Head, name+", low", name+", high")
		}
	}
	for i, label := range c.Labels {
		row := []string{label}
		for _, s := range c.Series {
			row = append(row, optional(s.Y, i))
			if c.Kind == verdict.Intervals {
				row = append(row, optional(s.Low, i), optional(s.High, i))
			}
		}
		d.Rows = append(d.Rows, row)
	}
}

// of is the i-th value, or none.
func of(list []float64, i int) float64 {
	if i < len(list) {
		return list[i]
	}
	return math.NaN()
}

func optional(list []float64, i int) string {
	if i < len(list) {
		return number(list[i])
	}
	return none
}

// ellipsis cuts a text that was made visible to a number of characters.
func ellipsis(s string, limit int) string {
	if cut := cutAt(s, limit); cut < len(s) {
		return s[:cutAt(s, limit-1)] + "…"
	}
	return s
}
