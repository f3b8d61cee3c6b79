package exam

import (
	"math/big"
	"strings"
)

// decimal writes x with at most n decimals, rounded half away from zero, without trailing zeros.
func decimal(x *big.Rat, n int) string {
	s := x.FloatString(n)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	if s == "-0" {
		return "0"
	}
	return s
}

// rounded is x as a number with n decimals, and whether it lies safely away from a tie, so that nobody's
// rounding rule or floating point arithmetic changes it.
func rounded(x *big.Rat, n int) (string, bool) {
	scale := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil))
	y := new(big.Rat).Mul(x, scale)
	floor := new(big.Rat).SetInt(new(big.Int).Div(y.Num(), y.Denom()))
	rest, _ := y.Sub(y, floor).Float64()
	return decimal(x, n), rest < 0.45 || rest > 0.55
}

// cents is an amount of hundredths as a number.
func cents(n int) *big.Rat { return big.NewRat(int64(n), 100) }

// localDecimal writes the decimal separator of a language.
func localDecimal(s, language string) string {
	if language == "de" || language == "es" {
		return strings.Replace(s, ".", ",", 1)
	}
	return s
}

// price is an amount of cents with two decimals, in the language's spelling.
func price(n int, language string) string { return localDecimal(cents(n).FloatString(2), language) }

// rat is n as a number.
func rat(n int) *big.Rat { return big.NewRat(int64(n), 1) }
