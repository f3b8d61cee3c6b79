package exam

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"
)

var gridColumns = [][]string{{"tea", "coffee", "milk", "water", "cider"}, {"parrot", "cat", "hamster", "dog", "turtle"}}

// world gives every person, by number, a drink and a pet.
type world [2][]int

// clue is a sentence about a world.
type clue struct {
	text  string
	holds func(world) bool
}

// buildGrid is a logic grid: clues are drawn until one world is left.
func buildGrid(d draw, _ string, level int) (problem, bool) {
	n := 3 + (level+1)/4
	columns := min(2, 1+level/3)
	who := d.people(n)
	truth := world{d.Perm(n), d.Perm(n)}
	worlds := allWorlds(n, columns, truth)
	left := worlds
	var clues []clue
	for draws := 0; len(left) > 1; draws++ {
		if draws > 400 {
			return problem{}, false
		}
		c := drawClue(d, who, truth, columns, level)
		fewer := slices.DeleteFunc(slices.Clone(left), func(w world) bool { return !c.holds(w) })
		if len(fewer) < len(left) {
			left, clues = fewer, append(clues, c)
		}
	}
	asked := d.IntN(columns)
	person := d.IntN(n)
	thing := gridColumns[asked][truth[asked][person]]
	lines := make([]string, len(clues))
	for i, c := range clues {
		lines[i] = fmt.Sprintf("%d. %s", i+1, c.text)
	}
	things := strings.Join(gridColumns[0][:n], ", ")
	if columns > 1 {
		things += "; " + strings.Join(gridColumns[1][:n], ", ")
	}
	return problem{
		size: n * columns, body: strings.Join(lines, "\n"), kind: Word, answer: who[person], others: without(who, who[person]),
		fields: []string{"people", strings.Join(who, ", "), "things", things, "thing", thing},
		solve: func() []string { // brute force over all worlds, with all clues
			var owners []string
			for _, w := range worlds {
				if slices.ContainsFunc(clues, func(c clue) bool { return !c.holds(w) }) {
					continue
				}
				owners = append(owners, who[slices.Index(w[asked], slices.Index(gridColumns[asked], thing))])
			}
			return owners
		},
	}, true
}

// allWorlds are all ways to give out the things; a column that is not used stays as it is.
func allWorlds(n, columns int, truth world) []world {
	perms := permutations(n)
	var list []world
	for _, p := range perms {
		if columns == 1 {
			list = append(list, world{p, truth[1]})
			continue
		}
		for _, q := range perms {
			list = append(list, world{p, q})
		}
	}
	return list
}

func permutations(n int) [][]int {
	if n == 0 {
		return [][]int{nil}
	}
	var list [][]int
	for _, p := range permutations(n - 1) {
		for i := range n {
			list = append(list, slices.Insert(slices.Clone(p), i, n-1))
		}
	}
	return list
}

// drawClue is a sentence that is true in the world; plain ones get rare as the level rises.
func drawClue(d draw, who []string, truth world, columns, level int) clue {
	n := len(who)
	column := d.IntN(columns)
	thing := d.IntN(n)
	owner := slices.Index(truth[column], thing)
	name := gridColumns[column][thing]
	if columns > 1 && d.even() {
		other := truth[1-column][owner]
		return clue{
			fmt.Sprintf("Whoever has the %s also has the %s.", name, gridColumns[1-column][other]),
			func(w world) bool { return slices.Index(w[column], thing) == slices.Index(w[1-column], other) },
		}
	}
	switch r := d.IntN(12); {
	case r >= level+2:
		return clue{fmt.Sprintf("%s has the %s.", who[owner], name), func(w world) bool { return w[column][owner] == thing }}
	case r%2 == 0:
		pair := []int{owner, (owner + d.between(1, n-1)) % n}
		slices.Sort(pair)
		return clue{
			fmt.Sprintf("The %s belongs to %s or %s.", name, who[pair[0]], who[pair[1]]),
			func(w world) bool { return w[column][pair[0]] == thing || w[column][pair[1]] == thing },
		}
	}
	not := (owner + d.between(1, n-1)) % n
	return clue{fmt.Sprintf("%s does not have the %s.", who[not], name), func(w world) bool { return w[column][not] != thing }}
}

// claim is what somebody says, and whether that is true for a set of truth-tellers.
type claim struct {
	text  string
	holds func(tellers uint) bool
}

// buildTruth is a round of people who always lie or never do, in which one assignment fits all claims.
func buildTruth(d draw, _ string, level int) (problem, bool) {
	n := 3 + level*2/3
	who := d.people(n)
	truth := uint(d.between(1, 1<<n-2))
	var lines []string
	var claims []claim
	for i := range n {
		c := drawClaim(d, who, i, truth, level)
		claims = append(claims, c)
		lines = append(lines, fmt.Sprintf("%s says: \"%s\"", who[i], c.text))
	}
	tell := func(set uint) string {
		var list []string
		for i, name := range who {
			if set>>i&1 == 1 {
				list = append(list, name)
			}
		}
		slices.Sort(list)
		return strings.Join(list, ", ")
	}
	p := problem{size: n, body: strings.Join(lines, "\n"), kind: List, answer: tell(truth)}
	p.fields = []string{"ask", "list all truth-tellers in alphabetical order"}
	if d.even() {
		p.kind, p.fields[1] = Number, "say how many truth-tellers there are"
		p.answer = itoa(bits.OnesCount(truth))
	}
	p.solve = func() []string {
		var fits []string
		for set := range uint(1) << n {
			if !consistent(claims, set) {
				continue
			}
			if p.kind == Number {
				fits = append(fits, itoa(bits.OnesCount(set)))
			} else {
				fits = append(fits, tell(set))
			}
		}
		return fits
	}
	return p, true
}

// consistent says whether in this set of truth-tellers exactly its members say what is true.
func consistent(claims []claim, tellers uint) bool {
	for i, c := range claims {
		if c.holds(tellers) != (tellers>>i&1 == 1) {
			return false
		}
	}
	return true
}

// drawClaim is a sentence of speaker i that is true exactly when i tells the truth.
func drawClaim(d draw, who []string, i int, truth uint, level int) claim {
	n := len(who)
	honest := truth>>i&1 == 1
	j := (i + d.between(1, n-1)) % n
	var options []claim
	for _, liar := range []bool{true, false} {
		kind := map[bool]string{true: "a liar", false: "a truth-teller"}[liar]
		options = append(options, claim{who[j] + " is " + kind + ".", func(s uint) bool { return s>>j&1 == 1 != liar }})
	}
	// Without such a sentence, or one on two others, turning everybody round fits as well.
	if least := d.between(2, n-1); level <= 2 || d.IntN(4) == 0 {
		options = append(options, claim{fmt.Sprintf("At least %d of us are truth-tellers.", least), func(s uint) bool { return bits.OnesCount(s) >= least }})
	}
	k := (j + d.between(1, n-1)) % n
	if k != i {
		for _, same := range []bool{true, false} {
			kind := map[bool]string{true: "of the same kind", false: "of different kinds"}[same]
			options = append(options, claim{who[j] + " and " + who[k] + " are " + kind + ".", func(s uint) bool { return (s>>j&1 == s>>k&1) == same }})
		}
	}
	options = slices.DeleteFunc(options, func(c claim) bool { return c.holds(truth) != honest })
	return pick(d, options)
}

// buildPath asks for the shortest way between two places of a described network.
func buildPath(d draw, _ string, level int) (problem, bool) {
	n := 4 + level
	towns := d.places(n)
	length := make([][]int, n) // 0: no road
	for i := range length {
		length[i] = make([]int, n)
	}
	var lines []string
	add := func(a, b int) {
		if a == b || length[a][b] > 0 {
			return
		}
		l := d.between(3, 40)
		length[a][b], length[b][a] = l, l
		lines = append(lines, fmt.Sprintf("%s - %s: %d km", towns[a], towns[b], l))
	}
	for i := 1; i < n; i++ {
		add(i, d.IntN(i))
	}
	for range n {
		add(d.IntN(n), d.IntN(n))
	}
	from, to := 0, n-1
	best := dijkstra(length, from, to)
	return problem{
		size: n, body: strings.Join(shuffled(d, lines), "\n"), fields: []string{"from", towns[from], "to", towns[to]},
		kind: Number, unit: "km", answer: itoa(best),
		solve: func() []string { return one(itoa(allPairs(length)[from][to])) },
	}, length[from][to] == 0
}

func dijkstra(length [][]int, from, to int) int {
	const far = 1 << 30
	dist, done := make([]int, len(length)), make([]bool, len(length))
	for i := range dist {
		dist[i] = far
	}
	dist[from] = 0
	for range length {
		at := -1
		for i, l := range dist {
			if !done[i] && (at < 0 || l < dist[at]) {
				at = i
			}
		}
		done[at] = true
		for next, l := range length[at] {
			if l > 0 {
				dist[next] = min(dist[next], dist[at]+l)
			}
		}
	}
	return dist[to]
}

// allPairs is the Floyd-Warshall algorithm.
func allPairs(length [][]int) [][]int {
	n := len(length)
	dist := make([][]int, n)
	for i := range dist {
		dist[i] = slices.Clone(length[i])
		for j := range dist[i] {
			if i != j && dist[i][j] == 0 {
				dist[i][j] = 1 << 30
			}
		}
	}
	for k := range n {
		for i := range n {
			for j := range n {
				dist[i][j] = min(dist[i][j], dist[i][k]+dist[k][j])
			}
		}
	}
	return dist
}
