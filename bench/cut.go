package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// severed is what became of the streams through one target.
type severed struct {
	Target  string         `json:"target"`
	Way     string         `json:"way"`
	Streams int            `json:"streams"`
	Cut     int            `json:"cut"`
	Reasons map[string]int `json:"reasons,omitempty"`
	Rate    float64        `json:"per_second"`
}

// cutSizes are the request bodies of the verb cut. The larger ones are still on
// their way when the answer begins.
var cutSizes = []int{1 << 10, 10 << 10, 100 << 10}

// cutWays are the ways in which an upstream can answer at once.
var cutWays = []struct {
	name, early, meaning string
	gap                  time.Duration
}{
	{"all", "all", "the whole answer before it reads the request's body", 0},
	{"first", "first", "the first frame before it reads the body, the rest over 40 ms", time.Millisecond},
	{"after", "", "the first frame right after the body, the rest over 40 ms", time.Millisecond},
}

const cutConns = 16

// runCut is the verb cut: streams through every proxy from an upstream that
// answers before the proxy has done with the request's body. A proxy that hands
// its own request body to http.Transport loses some, because its server closes
// that body with the first byte of the answer while the transport still reads
// it. The ReverseProxies are the control: where they lose none, the run shows
// little.
func runCut(ctx context.Context, o options) error {
	names := slices.DeleteFunc(slices.Clone(o.targets), func(n string) bool { return n == "direct" || strings.HasPrefix(n, "sallyport-") })
	banner("cut", fmt.Sprintf("%d streams a target on %d connections against an upstream that answers at once", o.cuts, cutConns))
	var all []severed
	var failed []error
	for i, way := range cutWays {
		n := o.cuts*(i+1)/len(cutWays) - o.cuts*i/len(cutWays)
		fmt.Printf("  %s: %s\n", way.name, way.meaning)
		lost, err := cutOne(ctx, o, names, i, n)
		if err != nil {
			return err
		}
		for _, s := range lost {
			fmt.Printf("%18s  %d of %d streams cut, %.0f a second %v\n", s.Target, s.Cut, s.Streams, s.Rate, s.Reasons)
			if strings.HasPrefix(s.Target, "sallyport") && s.Cut > 0 {
				failed = append(failed, fmt.Errorf("%s cut %d of %d streams (%s)", s.Target, s.Cut, s.Streams, s.Way))
			}
		}
		all = append(all, lost...)
	}
	setting := map[string]any{"connections": cutConns, "request_bytes": cutSizes, "frames": frames}
	return errors.Join(append(failed, o.save("cut", setting, all))...)
}

// cutOne sends n streams through every target in one way.
func cutOne(ctx context.Context, o options, names []string, way, n int) ([]severed, error) {
	w, err := newWorkplace(o)
	if err != nil {
		return nil, err
	}
	defer w.close()
	ts, err := w.startTargets(ctx, names, "-early", cutWays[way].early)
	if err != nil {
		return nil, err
	}
	var all []severed
	for _, t := range ts {
		s := severed{Target: t.name, Way: cutWays[way].name, Reasons: map[string]int{}}
		began := time.Now()
		for i, size := range cutSizes {
			part := n*(i+1)/len(cutSizes) - n*i/len(cutSizes)
			p := t.plan(scenario{name: "cut", bytes: size, stream: true, gap: cutWays[way].gap}, min(cutConns, part))
			seen := p.count(ctx, part)
			s.Streams += seen.n
			s.Cut += seen.failed
			for reason, n := range seen.reasons {
				s.Reasons[reason] += n
			}
		}
		s.Rate = float64(s.Streams) / time.Since(began).Seconds()
		all = append(all, s)
	}
	return all, ctx.Err()
}
