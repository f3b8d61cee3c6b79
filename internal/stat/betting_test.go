package stat

import (
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// model has a distribution of answers to each cell.
type model []distribution

// newModel has a mean entropy of about 1.6 bit at concentration .057, 2.3 bit at .12.
func newModel(r *rand.Rand, concentration float64) model {
	m := make(model, 40)
	for i := range m {
		m[i] = dirichlet(r, len(answers), concentration)
	}
	return m
}

func (m model) toward(other model, weight float64) model {
	mixed := make(model, len(m))
	for i := range m {
		mixed[i] = m[i].toward(other[i], weight)
	}
	return mixed
}

func (m model) draws(r *rand.Rand, cell, n int) []string {
	drawn := make([]string, n)
	m.fill(drawn, r, cell)
	return drawn
}

func (m model) fill(drawn []string, r *rand.Rand, cell int) {
	for i := range drawn {
		drawn[i] = answers[m[cell].draw(r)]
	}
}

// cells are enrolled with 60 train answers each.
func (m model) cells(r *rand.Rand) []*Cell {
	cells := make([]*Cell, len(m))
	for i := range m {
		train := map[string]int{}
		for range 60 {
			train[answers[m[i].draw(r)]]++
		}
		cells[i], _ = NewCell(train)
	}
	return cells
}

// bettingAudit audits a suspect that changes with time against variants.
type bettingAudit struct {
	variants []model
	suspect  func(t int) model
	draws, n int
	delta    float64
	decide   bool
	honest   bool
}

func (a bettingAudit) run(r *rand.Rand) audit {
	b, err := NewBetting(a.variants[0].cells(r), len(a.variants), a.delta)
	if err != nil {
		panic(err)
	}
	e := b.Same()
	if a.honest {
		e = b.Honest()
	}
	answer, draws := make([]string, 1), make([][]string, len(a.variants))
	for i := range draws {
		draws[i] = make([]string, a.draws)
	}
	return follow(a.n, e, a.decide, func(t int) error {
		cell := t % len(a.variants[0])
		for i, v := range a.variants {
			v.fill(draws[i], r, cell)
		}
		a.suspect(t).fill(answer, r, cell)
		_, err := b.Observe(cell, answer[0], draws...)
		return err
	})
}

func always(m model) func(int) model { return func(int) model { return m } }

// The reference, an unrelated model (TV .88), a sibling (.41) and an honest variant
// (.11), of one fixed draw.
func models() (reference, unrelated, sibling, variant model) {
	r := Rand(Seed([32]byte{}, "models"))
	reference, unrelated = newModel(r, .057), newModel(r, .057)
	return reference, unrelated, reference.toward(unrelated, .466), reference.toward(newModel(r, .057), .125)
}

func TestBettingSame(t *testing.T) {
	t.Parallel()
	reference, unrelated, sibling, variant := models()
	for _, delta := range []float64{0, .05} {
		audits := simulate(2000, "same", bettingAudit{
			variants: []model{reference}, suspect: always(reference), draws: 4, n: 300, delta: delta,
		}.run)
		wantCalibrated(t, "honest", audits)
	}
	for _, c := range []struct {
		name    string
		suspect model
		delta   float64
		n       int
		power   float64
		median  int
	}{
		{"unrelated", unrelated, 0, 100, .99, 50},
		{"unrelated, delta .05", unrelated, .05, 300, .99, 70},
		{"unrelated, half", reference.toward(unrelated, .5), 0, 300, .99, 90},
		{"unrelated, .3", reference.toward(unrelated, .3), 0, 300, .95, 140},
		{"unrelated, .1", reference.toward(unrelated, .1), 0, 1500, .95, 450},
		{"sibling", sibling, 0, 300, .99, 95},
		{"sibling, .3", reference.toward(sibling, .3), 0, 1500, .95, 320},
		{"variant", variant, 0, 2400, .95, 400},
	} {
		audits := simulate(200, "same, power", bettingAudit{
			variants: []model{reference}, suspect: always(c.suspect), draws: 4, n: c.n, delta: c.delta, decide: true,
		}.run)
		wantPower(t, c.name, audits, c.power, c.median)
	}
}

// The bars hold in cells of higher entropy, where answers are harder to tell apart.
func TestBettingHighEntropy(t *testing.T) {
	t.Parallel()
	r := Rand(Seed([32]byte{}, "high entropy"))
	reference, unrelated := newModel(r, .12), newModel(r, .12)
	for _, c := range []struct {
		share  float64
		n      int
		power  float64
		median int
	}{{1, 100, .99, 65}, {.3, 300, .95, 200}, {.1, 1500, .8, 950}} {
		audits := simulate(200, "high entropy", bettingAudit{
			variants: []model{reference}, suspect: always(reference.toward(unrelated, c.share)),
			draws: 4, n: c.n, decide: true,
		}.run)
		wantPower(t, "high entropy", audits, c.power, c.median)
	}
}

// An honest variant at TV .11 is rejected as different and not as dishonest, nor is
// failover between two of them.
func TestBettingHonest(t *testing.T) {
	t.Parallel()
	reference, unrelated, _, variant := models()
	base := bettingAudit{variants: []model{reference, variant}, draws: 16, n: 120, honest: true}
	failover := func(t int) model {
		if t%60 < 30 {
			return reference
		}
		return variant
	}
	for name, suspect := range map[string]func(int) model{
		"reference": always(reference), "variant": always(variant), "failover": failover,
	} {
		honest := base
		honest.suspect = suspect
		wantCalibrated(t, "honest "+name, simulate(2000, "honest "+name, honest.run))
	}
	cheat := base
	cheat.n, cheat.decide = 1500, true
	cheat.suspect = always(unrelated)
	wantPower(t, "full swap", simulate(200, "swap", cheat.run), .99, 52)
	cheat.suspect = always(reference.toward(unrelated, .3))
	wantPower(t, "dilution .3", simulate(200, "dilution", cheat.run), .99, 230)
}

// Renaming answers changes not a bit of E.
func TestBettingRenamed(t *testing.T) {
	t.Parallel()
	reference, unrelated, _, variant := models()
	run := func(rename func(string) string) (logs []float64) {
		r := Rand(Seed([32]byte{}, "renaming"))
		cells := make([]*Cell, len(reference))
		for i := range cells {
			train := map[string]int{}
			for _, answer := range reference.draws(r, i, 60) {
				train[rename(answer)]++
			}
			cells[i], _ = NewCell(train, rename("empty"))
		}
		b, err := NewBetting(cells, 2, 0)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 400 {
			var sides [][]string
			for _, m := range []model{unrelated.toward(reference, .7), reference, variant} {
				drawn := m.draws(r, i%len(cells), 4)
				for j := range drawn {
					drawn[j] = rename(drawn[j])
				}
				sides = append(sides, drawn)
			}
			if _, err := b.Observe(i%len(cells), sides[0][0], sides[1], sides[2]); err != nil {
				t.Fatal(err)
			}
			logs = append(logs, b.Same().LogE(), b.Honest().LogE())
		}
		return logs
	}
	plain := run(func(s string) string { return s })
	reversed := run(func(s string) string {
		letters := strings.Split(s, "")
		slices.Reverse(letters)
		return "renamed " + strings.Join(letters, "")
	})
	if !slices.Equal(plain, reversed) {
		t.Error("renamed answers give another E")
	}
}

// The order in which cells are asked does not matter: after whole rounds E is the same.
func TestBettingShuffledCells(t *testing.T) {
	t.Parallel()
	reference, unrelated, _, variant := models()
	run := func(shuffle bool) (same, honest float64) {
		cells := reference.cells(Rand(Seed([32]byte{}, "train")))
		order := Rand(Seed([32]byte{}, "order"))
		b, err := NewBetting(cells, 2, 0)
		if err != nil {
			t.Fatal(err)
		}
		for round := range 10 {
			asked := order.Perm(len(cells))
			if !shuffle {
				slices.Sort(asked)
			}
			for _, i := range asked {
				r := Rand(Seed([32]byte{}, "answer", strconv.Itoa(round), strconv.Itoa(i)))
				answer := unrelated.draws(r, i, 1)[0]
				if _, err := b.Observe(i, answer, reference.draws(r, i, 4), variant.draws(r, i, 4)); err != nil {
					t.Fatal(err)
				}
			}
		}
		return b.Same().LogE(), b.Honest().LogE()
	}
	same, honest := run(false)
	shuffledSame, shuffledHonest := run(true)
	if math.Abs(same-shuffledSame) > 1e-9 || math.Abs(honest-shuffledHonest) > 1e-9 {
		t.Errorf("log E %v and %v, with shuffled cells %v and %v", same, honest, shuffledSame, shuffledHonest)
	}
}

func TestBettingRefuses(t *testing.T) {
	t.Parallel()
	cell, err := NewCell(map[string]int{"a": 3})
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewBetting([]*Cell{cell}, 2, 0)
	if err != nil {
		t.Fatal(err)
	}
	drawn := []string{"a"}
	for name, observe := range map[string]func() (Payoffs, error){
		"cell":           func() (Payoffs, error) { return b.Observe(1, "a", drawn, drawn) },
		"one variant":    func() (Payoffs, error) { return b.Observe(0, "a", drawn) },
		"an empty draw":  func() (Payoffs, error) { return b.Observe(0, "a", drawn, nil) },
		"three variants": func() (Payoffs, error) { return b.Observe(0, "a", drawn, drawn, drawn) },
	} {
		if _, err := observe(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if b.Same().N() != 0 || b.Honest().N() != 0 || cell.N() != 0 {
		t.Error("what was refused was counted")
	}
	for _, delta := range []float64{-.1, 1, math.NaN()} {
		if _, err := NewBetting([]*Cell{cell}, 1, delta); err == nil {
			t.Errorf("delta %v: no error", delta)
		}
	}
	if _, err := NewCell(map[string]int{"a": 0}); err == nil {
		t.Error("a cell without train answers: no error")
	}
	if _, err := NewCell(map[string]int{"a": 3, "b": -1}); err == nil {
		t.Error("a negative count: no error")
	}
}

func TestCell(t *testing.T) {
	t.Parallel()
	c, err := NewCell(map[string]int{"a": 6, "b": 2, "c": 1, "d": 1}, "refused")
	if err != nil {
		t.Fatal(err)
	}
	if c.Letters() != 4 { // a, b, refused, and all others
		t.Errorf("%d letters, want 4", c.Letters())
	}
	pays := func(answer string, want float64) {
		t.Helper()
		if got := c.payoff(answer); math.Abs(got-want) > 1e-15 {
			t.Errorf("%q pays %v, want %v", answer, got, want)
		}
	}
	pays("a", 0)
	pays("c", 0) // others have a share of .2 in train: no floor
	pays("refused", rarePayoff)
	for range 4 {
		c.observe("a")
	}
	q, p := (4+6*.6)/10, .6 // four of four answers beside a prior of six that has .6
	pays("a", (q-p)/(q+p))
	pays("refused", rarePayoff)
}
