package exam

import (
	"math/big"
	"strings"
)

// unitsText is the language of the stock family.
type unitsText struct{ start, add, remove, times, share []string }

// system of units: the large one is a thousand, or a hundred, small ones.
type unitSystem struct {
	large, small string
	ratio        int
}

var unitSystems = []unitSystem{{"kg", "g", 1000}, {"l", "ml", 1000}, {"m", "cm", 100}, {"km", "m", 1000}}

// stockStep is one change of a stock; amounts are in small units.
type stockStep struct {
	op     string // add, remove, times or share
	n      int
	shown  string // the amount as the text has it
	factor int    // small units per unit shown
}

// buildUnits is arithmetic in several steps on a stock that is told in two units.
func buildUnits(d draw, language string, level int) (problem, bool) {
	t, u := unitsTexts[language], pick(d, unitSystems)
	total := d.between(20, 60) * u.ratio
	start := amount(d, u, total, language)
	who := d.people(1)[0]
	story := []string{fill(pick(d, t.start), "who", who, "amount", start.shown)}
	var steps []stockStep
	now := total
	for range level + 1 {
		step := nextStock(d, u, now, language)
		now = applyStock(now, step)
		steps = append(steps, step)
		phrase := map[string][]string{"add": t.add, "remove": t.remove, "times": t.times, "share": t.share}[step.op]
		story = append(story, fill(pick(d, phrase), "who", who, "amount", step.shown, "n", itoa(step.n)))
	}
	unit, answer := u.small, itoa(now)
	if d.even() {
		unit, answer = u.large, decimal(big.NewRat(int64(now), int64(u.ratio)), 3)
	}
	return problem{
		size: len(steps), story: story, fields: []string{"unit", unit}, kind: Number, answer: answer, unit: unit,
		solve: func() []string {
			sum := big.NewRat(int64(total), int64(u.ratio)) // in large units
			for _, s := range steps {
				solveStock(sum, s, u)
			}
			if unit == u.small {
				sum.Mul(sum, big.NewRat(int64(u.ratio), 1))
			}
			return one(decimal(sum, 3))
		},
	}, now > 0
}

// amount writes an amount of small units in one of the two units.
func amount(d draw, u unitSystem, small int, language string) stockStep {
	if d.even() {
		return stockStep{n: small, shown: itoa(small) + " " + u.small, factor: 1}
	}
	text := localDecimal(decimal(big.NewRat(int64(small), int64(u.ratio)), 3), language)
	return stockStep{n: small, shown: text + " " + u.large, factor: u.ratio}
}

// nextStock draws a step that keeps the stock whole and positive.
func nextStock(d draw, u unitSystem, now int, language string) stockStep {
	switch r := d.IntN(10); {
	case r < 2 && now < 200*u.ratio:
		return stockStep{op: "times", n: d.between(2, 3)}
	case r < 4:
		for _, n := range shuffled(d, []int{2, 3, 4, 5}) {
			if now%n == 0 && now/n > 5*u.ratio {
				return stockStep{op: "share", n: n}
			}
		}
	case r < 7 && now > 10*u.ratio:
		step := amount(d, u, d.between(1, now/u.ratio-5)*u.ratio/2+d.between(1, 9)*u.ratio/20, language)
		step.op = "remove"
		return step
	}
	step := amount(d, u, d.between(2, 30)*u.ratio+d.between(1, 19)*u.ratio/20, language)
	step.op = "add"
	return step
}

func applyStock(now int, s stockStep) int {
	switch s.op {
	case "add":
		return now + s.n
	case "remove":
		return now - s.n
	case "times":
		return now * s.n
	}
	return now / s.n
}

// solveStock reads the amount back from the text it was shown as.
func solveStock(sum *big.Rat, s stockStep, u unitSystem) {
	switch s.op {
	case "times":
		sum.Mul(sum, big.NewRat(int64(s.n), 1))
		return
	case "share":
		sum.Quo(sum, big.NewRat(int64(s.n), 1))
		return
	}
	digits, _, _ := strings.Cut(s.shown, " ")
	x, _ := new(big.Rat).SetString(strings.Replace(digits, ",", ".", 1))
	if s.factor == 1 {
		x.Quo(x, big.NewRat(int64(u.ratio), 1))
	}
	if s.op == "remove" {
		x.Neg(x)
	}
	sum.Add(sum, x)
}
