package exam

import (
	"fmt"
	"strings"
)

// statement is one of a small language; block is the body of a loop or a condition.
type statement struct {
	op     string // add, mul, mod, swap, loop, if
	a, b   int    // variables
	n      int
	nested []statement
}

var variables = []string{"a", "b", "c"}

// buildTrace asks what a short program prints.
func buildTrace(d draw, _ string, level int) (problem, bool) {
	start := []int{d.between(1, 9), d.between(1, 9), d.between(1, 9)}
	program := drawBlock(d, 2+level/2, 1+level/4)
	result := d.IntN(3)
	depth, step := 0, d.between(2, 5)
	if level > 4 {
		depth = d.between(2, level-1)
	}
	state := machine{vars: [3]int{start[0], start[1], start[2]}}
	for _, run := range compile(program) {
		run(&state)
	}
	value := state.vars[result]
	if depth > 0 { // f(n) = f(n-1) + step*n, f(0) = value: as a sum
		value += step * depth * (depth + 1) / 2
	}
	return problem{
		size: 2 + level/2 + level, kind: Number, answer: itoa(value),
		body: source(start, program, variables[result], depth, step),
		solve: func() []string {
			vars := map[string]int{"a": start[0], "b": start[1], "c": start[2]}
			interpret(program, vars)
			return one(itoa(recurse(depth, step, vars[variables[result]])))
		},
	}, state.vars[result] != start[result] && !state.large
}

// recurse is the function f of a program.
func recurse(n, step, base int) int {
	if n == 0 {
		return base
	}
	return recurse(n-1, step, base) + step*n
}

// drawBlock draws n statements that nest at most depth deep.
func drawBlock(d draw, n, depth int) []statement {
	var list []statement
	for i := range n {
		pair := d.Perm(3)
		s := statement{op: pick(d, []string{"add", "mul", "mod", "swap"}), a: pair[0], b: pair[1], n: d.between(2, 4)}
		if s.op == "mod" {
			s.n = d.between(7, 40)
		}
		if depth > 0 && (i == 0 || d.IntN(3) == 0) {
			s.op, s.n = pick(d, []string{"loop", "loop", "if"}), d.between(2, 4)
			s.nested = drawBlock(d, 2, depth-1)
		}
		list = append(list, s)
	}
	return list
}

// machine is the state of a compiled program.
type machine struct {
	vars  [3]int
	large bool // a value went beyond maxValue: no question, and integers of 64 bits would overflow later
}

const maxValue = 1_000_000

// compile makes closures over a machine.
func compile(program []statement) []func(*machine) {
	var list []func(*machine)
	for _, s := range program {
		inner := compile(s.nested)
		list = append(list, func(m *machine) {
			v, rounds := &m.vars, 0
			switch s.op {
			case "add":
				v[s.a] += v[s.b]
			case "mul":
				v[s.a] = v[s.a]*s.n + 1
			case "mod":
				v[s.a] %= s.n
			case "swap":
				v[s.a], v[s.b] = v[s.b], v[s.a]
			case "loop":
				rounds = s.n
			case "if":
				if v[s.a] > v[s.b] {
					rounds = 1
				}
			}
			for range rounds {
				for _, run := range inner {
					run(m)
				}
			}
			if v[s.a] > maxValue {
				v[s.a], m.large = 0, true
			}
		})
	}
	return list
}

// interpret walks the statements over named variables.
func interpret(program []statement, vars map[string]int) {
	for _, s := range program {
		a, b := variables[s.a], variables[s.b]
		switch s.op {
		case "add":
			vars[a] = vars[a] + vars[b]
		case "mul":
			vars[a] = 1 + s.n*vars[a]
		case "mod":
			vars[a] = vars[a] - vars[a]/s.n*s.n
		case "swap":
			kept := vars[a]
			vars[a] = vars[b]
			vars[b] = kept
		case "loop":
			for i := 0; i < s.n; i++ {
				interpret(s.nested, vars)
			}
		case "if":
			if vars[a] > vars[b] {
				interpret(s.nested, vars)
			}
		}
	}
}

// source writes the program in Python.
func source(start []int, program []statement, result string, depth, step int) string {
	var b strings.Builder
	if depth > 0 {
		fmt.Fprintf(&b, "def f(n, base):\n    if n == 0:\n        return base\n    return f(n - 1, base) + %d * n\n\n", step)
	}
	fmt.Fprintf(&b, "a, b, c = %d, %d, %d\n", start[0], start[1], start[2])
	writeBlock(&b, program, "")
	if depth > 0 {
		result = fmt.Sprintf("f(%d, %s)", depth, result)
	}
	fmt.Fprintf(&b, "print(%s)", result)
	return b.String()
}

func writeBlock(b *strings.Builder, program []statement, margin string) {
	for _, s := range program {
		x, y := variables[s.a], variables[s.b]
		switch s.op {
		case "add":
			fmt.Fprintf(b, "%s%s = %s + %s\n", margin, x, x, y)
		case "mul":
			fmt.Fprintf(b, "%s%s = %s * %d + 1\n", margin, x, x, s.n)
		case "mod":
			fmt.Fprintf(b, "%s%s = %s %% %d\n", margin, x, x, s.n)
		case "swap":
			fmt.Fprintf(b, "%s%s, %s = %s, %s\n", margin, x, y, y, x)
		case "loop":
			fmt.Fprintf(b, "%sfor _ in range(%d):\n", margin, s.n)
			writeBlock(b, s.nested, margin+"    ")
		case "if":
			fmt.Fprintf(b, "%sif %s > %s:\n", margin, x, y)
			writeBlock(b, s.nested, margin+"    ")
		}
	}
}

// condition is one comparison of a query.
type condition struct {
	column string // qty or price
	above  bool
	n      int
}

// buildSQL asks for the result of an aggregate over a small table.
func buildSQL(d draw, _ string, level int) (problem, bool) {
	n := 5 + level
	var rows [][]string
	for i := range n {
		rows = append(rows, []string{itoa(i + 1), pick(d, regions[:3]), itoa(d.between(1, 40)), itoa(d.between(5, 30+20*level))})
	}
	var conds []condition
	joint := pick(d, []string{" AND ", " OR "})
	var texts []string
	for range 1 + level/4 {
		c := condition{pick(d, []string{"qty", "price"}), d.even(), 0}
		c.n = map[string]int{"qty": d.between(8, 30), "price": d.between(10, 20+15*level)}[c.column]
		texts = append(texts, fmt.Sprintf("%s %s %d", c.column, map[bool]string{true: ">", false: "<="}[c.above], c.n))
		conds = append(conds, c)
	}
	area := pick(d, regions[:3])
	aggregate := pick(d, []string{"SUM(qty)", "SUM(qty * price)", "COUNT(*)", "MAX(price)"})
	sums := newAggregate()
	for _, r := range rows {
		held := joint == " AND "
		for _, c := range conds {
			if h := c.holds(r); joint == " AND " {
				held = held && h
			} else {
				held = held || h
			}
		}
		if held && r[1] != area {
			sums.take(r)
		}
	}
	body := table("id,region,qty,price", rows) + fmt.Sprintf("\n\nSELECT %s FROM orders WHERE region <> '%s' AND (%s);", aggregate, area, strings.Join(texts, joint))
	return problem{
		size: n + len(conds), body: body, kind: Number, answer: itoa(sums[aggregate]),
		solve: func() []string { return one(itoa(selectSets(rows, conds, joint, area)[aggregate])) },
	}, sums["COUNT(*)"] > 1
}

func (c condition) holds(row []string) bool {
	value := number(row[map[string]int{"qty": 2, "price": 3}[c.column]])
	return value > c.n == c.above
}

// aggregates holds the result of every aggregate.
type aggregates map[string]int

func newAggregate() aggregates { return aggregates{} }

func (a aggregates) take(row []string) {
	qty, price := number(row[2]), number(row[3])
	a["SUM(qty)"] += qty
	a["SUM(qty * price)"] += qty * price
	a["COUNT(*)"]++
	a["MAX(price)"] = max(a["MAX(price)"], price)
}

// selectSets finds the rows by intersection and union of sets of rows.
func selectSets(rows [][]string, conds []condition, joint, area string) aggregates {
	hits := make([]int, len(rows)) // how many conditions hold
	for _, c := range conds {
		for i, r := range rows {
			if c.holds(r) {
				hits[i]++
			}
		}
	}
	need := 1
	if joint == " AND " {
		need = len(conds)
	}
	sums := newAggregate()
	for i, r := range rows {
		if hits[i] >= need && r[1] != area {
			sums.take(r)
		}
	}
	return sums
}
