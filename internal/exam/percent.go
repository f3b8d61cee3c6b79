package exam

import "math/big"

// percentText is the language of the price family.
type percentText struct{ start, discount, surcharge, coupon, fee []string }

type priceStep struct {
	op string // discount, surcharge, coupon or fee
	n  int    // percent, or cents
}

// buildPercent is a chain of discounts, taxes, coupons and fees; only the end is rounded.
func buildPercent(d draw, language string, level int) (problem, bool) {
	t := percentTexts[language]
	start := d.between(120, 900)*100 + d.between(0, 19)*5
	story := []string{fill(pick(d, t.start), "who", d.people(1)[0], "amount", price(start, language)+" EUR")}
	var steps []priceStep
	for range level + 1 {
		s := priceStep{op: pick(d, []string{"discount", "discount", "surcharge", "coupon", "fee"})}
		text, phrases := "", t.discount
		switch s.op {
		case "discount":
			s.n = d.between(2, 25)
			text = itoa(s.n)
		case "surcharge":
			s.n, phrases = d.between(3, 25), t.surcharge
			text = itoa(s.n)
		case "coupon":
			s.n, phrases = d.between(2, 18)*50, t.coupon
			text = price(s.n, language) + " EUR"
		case "fee":
			s.n, phrases = d.between(4, 60)*25, t.fee
			text = price(s.n, language) + " EUR"
		}
		steps = append(steps, s)
		if forwardPrice(start, steps).Cmp(rat(10)) < 0 {
			return problem{}, false
		}
		story = append(story, fill(pick(d, phrases), "n", text))
	}
	end, safe := rounded(forwardPrice(start, steps), 2)
	return problem{
		size: len(steps), story: story, kind: Number, answer: end, unit: "EUR",
		solve: func() []string { return one(decimal(linearPrice(start, steps), 2)) },
	}, safe
}

// forwardPrice applies the steps one after the other.
func forwardPrice(start int, steps []priceStep) *big.Rat {
	x := cents(start)
	for _, s := range steps {
		switch s.op {
		case "discount":
			x.Mul(x, big.NewRat(int64(100-s.n), 100))
		case "surcharge":
			x.Mul(x, big.NewRat(int64(100+s.n), 100))
		case "coupon":
			x.Sub(x, cents(s.n))
		case "fee":
			x.Add(x, cents(s.n))
		}
	}
	return x
}

// linearPrice takes every amount forward to the end by itself: the end is the sum of each amount times
// all factors that come after it.
func linearPrice(start int, steps []priceStep) *big.Rat {
	sum, factor := new(big.Rat), rat(1)
	for i := len(steps) - 1; i >= 0; i-- {
		switch s := steps[i]; s.op {
		case "discount":
			factor.Mul(factor, big.NewRat(int64(100-s.n), 100))
		case "surcharge":
			factor.Mul(factor, big.NewRat(int64(100+s.n), 100))
		case "coupon":
			sum.Sub(sum, new(big.Rat).Mul(cents(s.n), factor))
		case "fee":
			sum.Add(sum, new(big.Rat).Mul(cents(s.n), factor))
		}
	}
	return sum.Add(sum, factor.Mul(factor, cents(start)))
}
