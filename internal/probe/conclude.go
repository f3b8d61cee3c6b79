package probe

import (
	"maps"

	"sallyport/internal/verdict"
)

// conclude fills in the report's conclusions.
func (a *audit) conclude(r *verdict.Report, unusable *UnusableError) {
	if ref := a.plan.Reference; ref != nil {
		r.Reference = &verdict.Reference{
			ID: ref.ID, Model: ref.Model, Host: ref.Variants[0].Host, Class: ref.Variants[0].Class, Recorded: ref.Recorded, Expires: ref.Expires,
			Protocol: ref.Protocol.Hash(), Reason: ref.Variants[0].Reason, Signer: ref.Signer, Imported: ref.Imported, Public: ref.Public,
		}
		for _, v := range ref.Variants {
			r.Reference.Variants = append(r.Reference.Variants, v.Name)
		}
	}
	if live := a.plan.Trusted; r.Reference == nil && live != nil {
		r.Reference = &verdict.Reference{
			ID: "live", Model: live.Model, Host: live.Host, Class: live.Class, Recorded: r.Started, Expires: r.Started, Protocol: "of this audit", Variants: []string{live.Host}, Reason: a.plan.Why,
		}
	}
	fused := map[verdict.Null]verdict.Fused{}
	for n, x := range a.fused.nulls {
		f := verdict.Fused{MaxLogE: x.max, N: x.n, Weights: map[verdict.ID]float64{}, Last: maps.Clone(x.last), Curve: thinned(x.curve)}
		for name, w := range x.e.Weights() {
			f.Weights[verdict.ID(name)] = w
		}
		if len(x.curve) > 0 {
			f.LogE = x.curve[len(x.curve)-1].Y
		}
		fused[n] = f
	}
	for i := range r.Detectors {
		for k := range r.Detectors[i].Evidence {
			e := &r.Detectors[i].Evidence[k]
			e.Curve = thinned(e.Curve)
		}
	}
	why := ""
	if unusable != nil {
		why = unusable.Text
	}
	r.Spent = a.meter.total()
	r.Conclude(fused, a.plan.Alpha, why)
}

// maxPoints bounds a curve in a report.
const maxPoints = 400

// thinned is a curve with at most maxPoints points, the last among them.
func thinned(curve []verdict.Point) []verdict.Point {
	if len(curve) <= maxPoints {
		return curve
	}
	var kept []verdict.Point
	for i := range maxPoints - 1 {
		kept = append(kept, curve[i*(len(curve)-1)/(maxPoints-1)])
	}
	return append(kept, curve[len(curve)-1])
}
