package exam

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// table writes rows as comma separated lines under a heading.
func table(heading string, rows [][]string) string {
	lines := []string{heading}
	for _, row := range rows {
		lines = append(lines, strings.Join(row, ","))
	}
	return strings.Join(lines, "\n")
}

// buildJoin adds up what is found by going through three tables.
func buildJoin(d draw, _ string, level int) (problem, bool) {
	customers, orders := 3+level/2, 4+2*level
	areas := sample(d, regions, 2+level/3)
	items := d.codes(2 + level/2)
	prices, area := make([]int, len(items)), make([]int, customers)
	who := d.people(customers)
	var people, catalogue, lines [][]string
	for i := range customers {
		area[i] = i % len(areas)
		people = append(people, []string{who[i], areas[area[i]]})
	}
	for i := range items {
		prices[i] = d.between(3, 20+8*level)
		catalogue = append(catalogue, []string{items[i], itoa(prices[i])})
	}
	target, sum := d.IntN(len(areas)), 0
	for i := range orders {
		customer, article, quantity := d.IntN(customers), d.IntN(len(items)), d.between(1, 9)
		lines = append(lines, []string{itoa(i + 1), who[customer], items[article], itoa(quantity)})
		if area[customer] == target {
			sum += quantity * prices[article]
		}
	}
	body := table("customer,region", shuffled(d, people)) + "\n\n" + table("article,price", catalogue) + "\n\n" + table("order,customer,article,quantity", lines)
	return problem{
		size: orders + customers + len(items), body: body, fields: []string{"region", areas[target]}, kind: Number, answer: itoa(sum),
		solve: func() []string { return one(itoa(joinFromText(body, areas[target]))) },
	}, sum > 0
}

// joinFromText reads the three tables back from the text of the question.
func joinFromText(body, region string) int {
	tables := strings.Split(body, "\n\n")
	read := func(i int) map[string]string {
		m := map[string]string{}
		for _, line := range strings.Split(tables[i], "\n")[1:] {
			key, value, _ := strings.Cut(line, ",")
			m[key] = value
		}
		return m
	}
	where, costs, sum := read(0), read(1), 0
	for _, rest := range read(2) {
		cells := strings.Split(rest, ",")
		if where[cells[0]] == region {
			sum += number(costs[cells[1]]) * number(cells[2])
		}
	}
	return sum
}

// number reads digits that the package itself has written.
func number(s string) int {
	n := 0
	for _, c := range s {
		n = 10*n + int(c-'0')
	}
	return n
}

// buildLedger is an account whose running balance is wrong in one line.
func buildLedger(d draw, _ string, level int) (problem, bool) {
	n := 5 + 2*level
	balance := d.between(20, 90) * 100
	first := balance
	bad := d.between(1, n-1)
	vouchers, amounts := d.codes(n), make([]int, n)
	var rows [][]string
	var shown []int
	for i := range n {
		amounts[i] = d.between(11, 40*level+400)
		if d.even() && balance > 2*amounts[i] {
			amounts[i] = -amounts[i]
		}
		balance += amounts[i]
		if i == bad {
			balance += pick(d, []int{-90, -27, -18, -9, -1, 1, 9, 10, 27, 63, 90}) // slips of the pen: transposed or wrong digits
		}
		shown = append(shown, balance)
		rows = append(rows, []string{vouchers[i], itoa(amounts[i]), itoa(balance)})
	}
	return problem{
		size: n, body: fmt.Sprintf("opening balance: %d\n%s", first, table("voucher,movement,balance", rows)),
		kind: Word, answer: vouchers[bad], others: without(vouchers, vouchers[bad]),
		solve: func() []string {
			var wrong []string
			for i := range n {
				before := first
				if i > 0 {
					before = shown[i-1]
				}
				if shown[i]-before != amounts[i] {
					wrong = append(wrong, vouchers[i])
				}
			}
			return wrong
		},
	}, slices.Min(shown) > 0
}

// person is a row that is sorted.
type person struct {
	name        string
	score, year int
}

// buildSort asks for the order of rows under two keys.
func buildSort(d draw, _ string, level int) (problem, bool) {
	n := 4 + level
	var rows []person
	for _, name := range d.people(n) {
		rows = append(rows, person{name, d.between(1, 2+n/3) * 10, d.between(1970, 1970+3*n)})
	}
	body := make([][]string, n)
	for i, r := range rows {
		body[i] = []string{r.name, itoa(r.score), itoa(r.year)}
	}
	order := func(a, b person) int { return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.year, b.year)) }
	rule := "by score from high to low, and for equal scores by year from early to late"
	if d.even() {
		order = func(a, b person) int { return cmp.Or(cmp.Compare(a.year%10, b.year%10), cmp.Compare(b.score, a.score)) }
		rule = "by the last digit of the year from low to high, and for equal digits by score from high to low"
	}
	sorted := slices.SortedFunc(slices.Values(rows), order)
	var list []string
	for i, r := range sorted {
		if i > 0 && order(sorted[i-1], r) == 0 {
			return problem{}, false
		}
		list = append(list, r.name)
	}
	return problem{
		size: n, body: table("name,score,year", body), fields: []string{"rule", rule}, kind: List, answer: strings.Join(list, ", "),
		solve: func() []string { // by rank: how many rows come before
			ranked := make([]string, n)
			for _, r := range rows {
				rank := 0
				for _, other := range rows {
					if order(other, r) < 0 {
						rank++
					}
				}
				ranked[rank] = r.name
			}
			return one(strings.Join(ranked, ", "))
		},
	}, true
}

// buildSchedule looks for the first slot in which everybody is free.
func buildSchedule(d draw, _ string, level int) (problem, bool) {
	n := 2 + level/2
	length := pick(d, []int{30, 45, 60})
	type span struct{ from, to int }
	var busy []span
	var lines []string
	for _, who := range d.people(n) {
		var own []string
		at := 8*60 + d.between(0, 4)*15
		for range 2 + level/3 {
			s := span{at, at + d.between(2, 6)*15}
			if s.to > 17*60 {
				break
			}
			busy, own = append(busy, s), append(own, clock(s.from)+"-"+clock(s.to))
			at = s.to + d.between(1, 5)*15
		}
		if own == nil {
			return problem{}, false
		}
		lines = append(lines, who+": "+strings.Join(own, ", "))
	}
	slices.SortFunc(busy, func(a, b span) int { return a.from - b.from })
	end := 8 * 60
	for _, s := range busy {
		if s.from-end >= length {
			break
		}
		end = max(end, s.to)
	}
	return problem{
		size: n * (2 + level/3), body: strings.Join(lines, "\n"), fields: []string{"length", itoa(length)}, kind: Clock, answer: clock(end),
		solve: func() []string { // minute by minute
			for from := 8 * 60; from+length <= 18*60; from++ {
				if !slices.ContainsFunc(busy, func(s span) bool { return s.from < from+length && from < s.to }) {
					return one(clock(from))
				}
			}
			return nil
		},
	}, end > 8*60
}
