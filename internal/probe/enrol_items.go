package probe

import (
	"context"
	"errors"
	"fmt"

	"sallyport/internal/exam"
	"sallyport/internal/reference"
	"sallyport/internal/stat"
)

// itemFamilies are the families that items are drawn from: those in English, but for
// the one whose questions are long texts.
func itemFamilies() []string {
	var names []string
	for _, f := range exam.Families() {
		if f.Language == "en" && f.Name != "needle" {
			names = append(names, f.Name)
		}
	}
	return names
}

const (
	screened     = 12 // items by which a kind is chosen
	goodAccuracy = .9 // what the reference shall solve of a kind
	fairAccuracy = .6 // of a kind of a model that solves none so well
	maxSilent    = .1 // answers of a kind that cannot be read, at most
	minKinds     = 3  // kinds of a mixture
	mixedKinds   = 12 // at most
)

// ladder are the difficulties that are tried.
var ladder = []int{1, 3, 5, 7, 9}

// items records how well each source solves generated items: kinds are chosen by some
// items of the first source, and the accuracy on their mixture is measured on others.
// That the model solves too few is an *unfitError.
func (r *recorder) items(ctx context.Context, ref *reference.Reference) error {
	var best *reference.Accuracy
	for _, choice := range []bool{false, true} {
		good, fair, err := r.choose(ctx, choice)
		if err != nil {
			return err
		}
		if len(good) >= minKinds {
			best = &reference.Accuracy{Mixture: good, Choice: choice}
			break
		}
		if len(fair) >= minKinds && (best == nil || len(fair) > len(best.Mixture)) {
			best = &reference.Accuracy{Mixture: fair, Choice: choice}
		}
	}
	if best == nil {
		return &unfitError{fmt.Sprintf("the model solves fewer than %d kinds to %.0f %%", minKinds, 100*fairAccuracy)}
	}
	best, err := NewAccuracy(best.Mixture, best.Choice)
	if err != nil {
		return err
	}
	for v := range r.Variants {
		if err := r.calibrate(ctx, best, v); err != nil {
			return err
		}
	}
	if bound, _ := leastBound(best, len(r.Variants)); bound < minAccuracy {
		return &unfitError{fmt.Sprintf("the accuracy is only known to be above %.2f, and %g is needed", bound, minAccuracy)}
	}
	ref.Accuracy = best
	return nil
}

// choose finds for each family the hardest difficulty at which the first source still
// solves good shares, and apart from these the kinds that it solves fairly.
func (r *recorder) choose(ctx context.Context, choice bool) (good, fair []reference.Share, err error) {
	families := itemFamilies()
	for i, family := range families {
		kind := -1 // on the ladder: the hardest that is solved well
		least := reference.Share{Family: family}
		for low, high := 0, len(ladder); low < high; {
			middle := (low + high) / 2
			solved, silent, err := r.screen(ctx, family, ladder[middle], choice)
			switch {
			case errors.Is(err, errNoItem):
				high = middle
				continue
			case err != nil:
				return nil, nil, err
			}
			readable := silent <= maxSilent
			if readable && solved >= goodAccuracy {
				kind, low = middle, middle+1
				continue
			}
			if readable && solved >= fairAccuracy {
				least.Difficulty = ladder[middle]
			}
			high = middle
		}
		switch {
		case kind >= 0:
			s := reference.Share{Family: family, Difficulty: ladder[kind]}
			good, fair = append(good, s), append(fair, s)
		case least.Difficulty > 0:
			fair = append(fair, least)
		}
		r.tell(i+1, len(families), "choice of items")
	}
	return r.mixed(good), r.mixed(fair), nil
}

// mixed are so many of the kinds as a mixture holds, each with a place for its counts.
func (r *recorder) mixed(kinds []reference.Share) []reference.Share {
	stat.Rand(stat.Seed(r.Seed, "kinds")).Shuffle(len(kinds), func(a, b int) { kinds[a], kinds[b] = kinds[b], kinds[a] })
	kinds = kinds[:min(len(kinds), mixedKinds)]
	for i := range kinds {
		kinds[i].Solved, kinds[i].Asked = make([]int, len(r.Variants)), make([]int, len(r.Variants))
	}
	return kinds
}

// screen is what share of one kind the first source solves, and what share of its
// answers cannot be read.
func (r *recorder) screen(ctx context.Context, family string, difficulty int, choice bool) (solved, silent float64, err error) {
	items, asks := make([]exam.Item, screened), make([]Ask, screened)
	dresses := stat.Rand(stat.Seed(r.Seed, "dress", family, fmt.Sprint(difficulty)))
	for i := range items {
		if items[i], err = makeItem(family, difficulty, choice, r.Seed[:], fmt.Sprint("screen", choice), uint64(i)); err != nil {
			return 0, 0, err
		}
		asks[i] = itemAsk(items[i], r.Dress, dresses)
	}
	replies, err := r.ask(ctx, 0, family, asks)
	if err != nil {
		return 0, 0, err
	}
	grades := map[exam.Verdict]int{}
	for i, reply := range replies {
		if reply.OK() {
			grades[exam.Grade(items[i], reply.Text).Verdict]++
		}
	}
	n := grades[exam.Right] + grades[exam.Wrong] + grades[exam.Unparsed]
	return share(grades[exam.Right], n), share(grades[exam.Unparsed], n), nil
}

// calibrate measures one source's accuracy on the mixture, drawn as audits draw it.
func (r *recorder) calibrate(ctx context.Context, a *reference.Accuracy, variant int) error {
	label := fmt.Sprintf("calibration %d", variant)
	source := &itemSource{mixture: a.Mixture, choice: a.Choice, key: r.Seed[:], label: label, kinds: stat.Rand(stat.Seed(r.Seed, label))}
	items, shares, asks := make([]exam.Item, r.Items), make([]int, r.Items), make([]Ask, r.Items)
	dresses := stat.Rand(stat.Seed(r.Seed, "dress", label))
	for i := range items {
		var err error
		if items[i], shares[i], err = source.draw(); err != nil {
			return err
		}
		asks[i] = itemAsk(items[i], r.Dress, dresses)
	}
	const batch = 100
	for from := 0; from < len(asks); from += batch {
		to := min(from+batch, len(asks))
		replies, err := r.ask(ctx, variant, "generated items", asks[from:to])
		if err != nil {
			return err
		}
		for i, reply := range replies {
			if !reply.OK() {
				continue
			}
			kind := &a.Mixture[shares[from+i]]
			kind.Asked[variant]++
			if exam.Grade(items[from+i], reply.Text).Verdict == exam.Right {
				kind.Solved[variant]++
			}
		}
		r.tell(to, len(asks), "generated items")
	}
	return nil
}
