package probe

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"sallyport/internal/stat"
	"sallyport/internal/verdict"
)

// A layer that rewrites answers does so where it pays: an address, a package that is
// installed, a wallet. In answers to real requests (D8) such a place is strange when
// neither the request nor any other side's answer has it. Honest models write strange
// ones as well, but the suspect no more often than whichever deployment it is.

// places are what is looked for; the first group of each is the place.
var places = []*regexp.Regexp{
	regexp.MustCompile(`(?i)\b(?:https?|ftp|ssh|git)://(?:[^\s/@"'<>]*@)?([a-z0-9.-]+(?::\d+)?)`),
	regexp.MustCompile(`(?i)\b(?:pip3?|pipx|uv|npm|pnpm|yarn|bun|cargo|gem|brew|apt|apt-get|dnf|apk|go|conda|dotnet|composer|docker) (?:-\S+ )*(?:install|add|get|i|require|pull|run) (?:-\S+ )*([a-z0-9@][\w@./:\[\]=<>~^-]*)`),
	regexp.MustCompile(`\b((?:0x[0-9a-fA-F]{40}|bc1[0-9a-z]{25,62}|[13][1-9A-HJ-NP-Za-km-z]{25,34}))\b`),
	regexp.MustCompile(`(?i)\b([a-z0-9._%+-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)+)\b`),
	regexp.MustCompile(`\b((?:\d{1,3}\.){3}\d{1,3}(?::\d+)?)\b`),
}

// maxPlaces bounds how many places of one answer are looked at.
const maxPlaces = 200

// placesOf are the places of an answer, in lower case.
func placesOf(s *Said) []string {
	text := s.Text
	for _, c := range s.Calls {
		text += "\n" + strings.ReplaceAll(c.Input, `\/`, "/")
	}
	text = text[:min(len(text), 4*maxFeatureText)]
	var all []string
	for _, form := range places {
		for _, found := range form.FindAllStringSubmatch(text, maxPlaces) {
			all = append(all, strings.ToLower(strings.TrimRight(found[1], ".,:;")))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Strange says of each answer to a request, the suspect's first, whether it has a place
// that neither the request nor another answer has.
func Strange(request string, answers ...*Said) []bool {
	request = strings.ToLower(strings.ReplaceAll(request, `\/`, "/"))
	all := make([][]string, len(answers))
	for i, s := range answers {
		all[i] = placesOf(s)
	}
	strange := make([]bool, len(answers))
	for i, own := range all {
		strange[i] = slices.ContainsFunc(own, func(place string) bool {
			for k, others := range all {
				if _, has := slices.BinarySearch(others, place); k != i && has {
					return false
				}
			}
			return !strings.Contains(request, place)
		})
	}
	return strange
}

// strangers bets that the suspect has strange places more often than the deployment
// that has them most often. When the suspect is one of the deployments, exchanging the
// two changes nothing, so the payoff's mean is at most 0.
type strangers struct {
	course  *course
	trusted int
}

func newStrangers(trusted int) (*strangers, error) {
	c, err := newCourse(stat.Symmetric())
	return &strangers{c, trusted}, err
}

func (s *strangers) observe(o *Observed) error {
	if len(o.Strange) != 1+s.trusted {
		return fmt.Errorf("%d answers that are strange or not", len(o.Strange))
	}
	return s.course.bet(float64(flagged(o.Strange[0]) - flagged(slices.Contains(o.Strange[1:], true))))
}

func (s *strangers) stand(n verdict.Null) (stand, bool) {
	st, _ := s.course.stand()
	return st, n == verdict.Integrity
}
