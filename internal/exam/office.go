package exam

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// formula is a calculation that is given in the question: a product of some inputs over a product of
// others, plus and minus more inputs.
type formula struct {
	title, unit, text string
	decimals          int
	inputs            []input
	exact             func(x []int) *big.Rat    // by fractions
	float             func(x []float64) float64 // by floating point
}

// input is a named quantity; it is shown divided by scale.
type input struct {
	name   string
	lo, hi int
	scale  int
}

func frac(a, b int) *big.Rat { return big.NewRat(int64(a), int64(b)) }

var formulas = []formula{
	{
		"injection volume", "ml", "volume in ml = dose in mg per kg x weight in kg / strength in mg per ml", 1,
		[]input{{"dose (mg/kg)", 2, 12, 1}, {"weight (kg)", 12, 98, 1}, {"strength (mg/ml)", 10, 80, 1}},
		func(x []int) *big.Rat { return frac(x[0]*x[1], x[2]) }, func(x []float64) float64 { return x[0] * x[1] / x[2] },
	},
	{
		"drip rate", "drops/min", "drops per minute = volume in ml x drops per ml / (hours x 60)", 0,
		[]input{{"volume (ml)", 250, 1500, 1}, {"drops per ml", 10, 60, 1}, {"hours", 2, 12, 1}},
		func(x []int) *big.Rat { return frac(x[0]*x[1], x[2]*60) }, func(x []float64) float64 { return x[0] * x[1] / (x[2] * 60) },
	},
	{
		"body mass index", "kg/m2", "BMI = weight in kg / (height in m x height in m)", 1,
		[]input{{"weight (kg)", 45, 120, 1}, {"height (m)", 150, 199, 100}},
		func(x []int) *big.Rat { return frac(x[0]*10000, x[1]*x[1]) }, func(x []float64) float64 { return x[0] / (x[1] * x[1]) },
	},
	{
		"anion gap", "mmol/l", "anion gap = sodium - chloride - bicarbonate", 0,
		[]input{{"sodium (mmol/l)", 131, 149, 1}, {"chloride (mmol/l)", 94, 108, 1}, {"bicarbonate (mmol/l)", 12, 22, 1}},
		func(x []int) *big.Rat { return rat(x[0] - x[1] - x[2]) }, func(x []float64) float64 { return x[0] - x[1] - x[2] },
	},
	{
		"creatinine clearance", "ml/min", "clearance = (140 - age) x weight in kg / (72 x serum creatinine in mg/dl)", 1,
		[]input{{"age", 25, 90, 1}, {"weight (kg)", 48, 110, 1}, {"serum creatinine (mg/dl)", 6, 38, 10}},
		func(x []int) *big.Rat { return frac((140-x[0])*x[1]*10, 72*x[2]) }, func(x []float64) float64 { return (140 - x[0]) * x[1] / (72 * x[2]) },
	},
}

// buildClinical applies a given formula to several invented cases and adds the rounded values up.
func buildClinical(d draw, _ string, level int) (problem, bool) {
	f, n := pick(d, formulas), 1+level/2
	sum, check := new(big.Rat), 0.0
	scale := 1.0
	for range f.decimals {
		scale *= 10
	}
	var lines []string
	for i, ref := range d.codes(n) {
		x, y, cells := make([]int, len(f.inputs)), make([]float64, len(f.inputs)), make([]string, len(f.inputs))
		for k, in := range f.inputs {
			x[k] = d.between(in.lo, in.hi)
			y[k] = float64(x[k]) / float64(in.scale)
			cells[k] = in.name + " " + decimal(frac(x[k], in.scale), 2)
		}
		value, safe := rounded(f.exact(x), f.decimals)
		if !safe || strings.HasPrefix(value, "-") || value == "0" {
			return problem{}, false
		}
		part, _ := new(big.Rat).SetString(value)
		sum.Add(sum, part)
		check += float64(int(f.float(y)*scale+0.5)) / scale
		lines = append(lines, fmt.Sprintf("case %d (%s): %s", i+1, ref, strings.Join(cells, ", ")))
	}
	digits := "to whole numbers"
	if f.decimals > 0 {
		digits = "to one decimal"
	}
	ask := fmt.Sprintf("Compute the %s in %s for every case, round each value %s, and give the sum of the rounded values.", f.title, f.unit, digits)
	if n == 1 {
		ask = fmt.Sprintf("Compute the %s in %s and round it %s.", f.title, f.unit, digits)
	}
	return problem{
		size: n, body: strings.Join(lines, "\n"), fields: []string{"formula", f.text, "ask", ask}, kind: Number, answer: decimal(sum, 1), unit: f.unit,
		solve: func() []string { return one(decimal(new(big.Rat).SetFloat64(float64(int(check*10+0.5))/10), 1)) },
	}, true
}

// terms are the numbers in the clauses of an invented contract; 0 leaves a clause out. Money is in euro,
// rates are in percent.
type terms struct {
	price, units              int
	bulkFrom, bulk            int // discount on all units from so many
	grace, late               int // late fee a day after the grace days
	lateCap                   int // at most so many percent of the value
	express, loyalty, minimum int
	days, years               int // facts: days late, years of custom
	expressed, waived         bool
}

// buildContract applies the clauses of an invented contract to a case.
func buildContract(d draw, _ string, level int) (problem, bool) {
	t := terms{
		price: d.between(4, 40) * 10, units: d.between(5, 60), bulkFrom: d.between(10, 50), bulk: d.between(1, 4) * 5,
		days: d.between(0, 40), years: d.between(0, 12), expressed: d.even(), waived: d.IntN(3) == 0,
	}
	clauses := []string{
		fmt.Sprintf("Each unit costs %d EUR.", t.price),
		fmt.Sprintf("An order of %d units or more is reduced by %d percent as a whole. What remains is called the value.", t.bulkFrom, t.bulk),
	}
	if level >= 2 {
		t.grace, t.late = d.between(3, 14), d.between(2, 25)
		clauses = append(clauses, fmt.Sprintf("Payment is due within %d days of the invoice. Every day beyond these costs a late fee of %d EUR.", t.grace, t.late))
	}
	if level >= 4 {
		t.lateCap = d.between(1, 6) * 5
		clauses = append(clauses, fmt.Sprintf("The late fee is never more than %d percent of the value.", t.lateCap))
	}
	if level >= 5 {
		t.express = d.between(3, 20) * 5
		clauses = append(clauses, fmt.Sprintf("Express delivery costs %d EUR and is free of charge where the value exceeds 3000 EUR.", t.express))
	}
	if level >= 7 {
		t.loyalty = d.between(3, 9)
		clauses = append(clauses, fmt.Sprintf("A buyer of at least %d years' standing does not pay the late fee, unless the delivery was express.", t.loyalty))
	}
	if level >= 9 {
		t.minimum = d.between(5, 30) * 100
		clauses = append(clauses, fmt.Sprintf("If the total of all this is below %d EUR, %d EUR are charged instead. This does not apply where the parties have waived it in writing.", t.minimum, t.minimum))
	}
	for i, c := range clauses {
		clauses[i] = fmt.Sprintf("§ %d. %s", i+1, c)
	}
	buyer := d.people(1)[0]
	facts := []string{fmt.Sprintf("%s ordered %d units.", buyer, t.units)}
	more := []string{
		fmt.Sprintf("%s paid %d days after the invoice.", buyer, t.days),
		fmt.Sprintf("%s has been a buyer for %d years.", buyer, t.years),
		map[bool]string{true: "The delivery was express.", false: "The delivery was ordinary."}[t.expressed],
		map[bool]string{true: "The parties waived the minimum charge in writing.", false: "Nothing was waived."}[t.waived],
	}
	facts = append(facts, shuffled(d, more)...)
	return problem{
		size: len(clauses), story: facts, body: strings.Join(clauses, "\n"), kind: Number, unit: "EUR", answer: decimal(t.due(), 2),
		solve: func() []string { return one(decimal(cents(t.dueInCents()), 2)) },
	}, true
}

// due applies the clauses in order, with fractions.
func (t terms) due() *big.Rat {
	value := rat(t.price * t.units)
	if t.units >= t.bulkFrom {
		value.Mul(value, frac(100-t.bulk, 100))
	}
	fee := new(big.Rat)
	if t.days > t.grace && t.late > 0 {
		fee = rat((t.days - t.grace) * t.late)
	}
	if ceiling := new(big.Rat).Mul(value, frac(t.lateCap, 100)); t.lateCap > 0 && fee.Cmp(ceiling) > 0 {
		fee = ceiling
	}
	if t.loyalty > 0 && t.years >= t.loyalty && !t.expressed {
		fee = new(big.Rat)
	}
	total := new(big.Rat).Add(value, fee)
	if t.expressed && value.Cmp(rat(3000)) <= 0 {
		total.Add(total, rat(t.express))
	}
	if !t.waived && total.Cmp(rat(t.minimum)) < 0 {
		return rat(t.minimum)
	}
	return total
}

// dueInCents is the same sum as a case analysis over whole cents.
func (t terms) dueInCents() int {
	share := 100
	if t.units >= t.bulkFrom {
		share -= t.bulk
	}
	value := t.price * t.units * share
	total := value
	exempt := t.loyalty != 0 && t.years >= t.loyalty && !t.expressed
	if !exempt {
		fee := 100 * t.late * max(0, t.days-t.grace)
		if t.lateCap != 0 {
			fee = min(fee, value*t.lateCap/100)
		}
		total += fee
	}
	if t.expressed && value <= 300_000 {
		total += 100 * t.express
	}
	if t.waived {
		return total
	}
	return max(total, 100*t.minimum)
}

var fillerSubjects = []string{"The committee", "The harbour office", "A visiting engineer", "The archive", "The night shift", "The gardener", "The choir", "The ferry company", "The school board", "An old neighbour"}

var fillerVerbs = []string{"discussed", "postponed", "welcomed", "described", "praised", "questioned", "repaired", "catalogued", "painted", "inspected"}

var fillerObjects = []string{"the plan for the northern pier", "a set of worn benches", "the colour of the shutters", "a long letter about birds", "the order of the procession", "the roof of the market hall", "three crates of glass", "the rules of the swimming pool", "the broken bell", "a map of the footpaths"}

var fillerEnds = []string{"before the rain came.", "and nobody objected.", "for most of the afternoon.", "as in earlier years.", "without much hurry.", "while the kettle boiled.", "to the surprise of the clerk.", "and wrote it down.", "under the chestnut trees.", "until the lamps were lit."}

// buildNeedle hides numbers in a long text and asks for a calculation with some of them.
func buildNeedle(d draw, _ string, level int) (problem, bool) {
	n := 2 + level/3
	depots := d.places(n + 3)
	values := make([]int, len(depots))
	sentences := make([]string, 0, 140*level)
	for range 60 + 150*level {
		sentences = append(sentences, pick(d, fillerSubjects)+" "+pick(d, fillerVerbs)+" "+pick(d, fillerObjects)+" "+pick(d, fillerEnds))
	}
	for i, depot := range depots {
		values[i] = d.between(100, 999)
		at := d.IntN(len(sentences))
		sentences[at] += fmt.Sprintf(" The depot at %s reported a reserve of %d barrels.", depot, values[i])
	}
	sum := values[0]
	var ask strings.Builder
	ask.WriteString("the reserve of " + depots[0])
	for i := 1; i < n; i++ {
		sign, word := 1, " plus the reserve of "
		if d.IntN(3) == 0 && sum > 999 {
			sign, word = -1, " minus the reserve of "
		}
		sum += sign * values[i]
		ask.WriteString(word + depots[i])
	}
	var paragraphs []string
	for part := range slices.Chunk(sentences, 12) {
		paragraphs = append(paragraphs, strings.Join(part, " "))
	}
	body := strings.Join(paragraphs, "\n\n")
	return problem{
		size: len(sentences), body: body, fields: []string{"ask", ask.String()}, kind: Number, answer: itoa(sum),
		solve: func() []string { return one(itoa(needles(body, ask.String()))) },
	}, sum > 0
}

// needles reads the numbers back from the long text, and the calculation from the question.
func needles(body, ask string) int {
	sum, sign := 0, 1
	for part := range strings.SplitSeq(strings.ReplaceAll(ask, "minus ", "minus -"), "the reserve of ") {
		depot, _, _ := strings.Cut(part, " ")
		if _, rest, found := strings.Cut(body, "The depot at "+depot+" reported a reserve of "); depot != "" && found {
			digits, _, _ := strings.Cut(rest, " ")
			sum += sign * number(digits)
		}
		sign = 1
		if strings.HasSuffix(part, "minus -") {
			sign = -1
		}
	}
	return sum
}
