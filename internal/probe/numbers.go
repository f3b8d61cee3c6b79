package probe

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"

	"sallyport/internal/exam"
	"sallyport/internal/reference"
	"sallyport/internal/stat"
)

// A number question asks for a fact of which models know many values roughly and few
// exactly (knowledge boundary probes). What is true does not matter: what counts is the
// answer that a model sticks to, right or wrong.

// numberDomain is one kind of fact, and of what it may be asked.
type numberDomain struct {
	name     string
	question string // with a place for the subject
	subjects []string
}

// numberDomains are all of them. Changing a question makes recorded references useless,
// so it needs a new version in QuestionsVersion.
var numberDomains = sync.OnceValue(func() []numberDomain {
	elements := strings.Fields(`beryllium boron scandium titanium vanadium chromium manganese cobalt nickel gallium germanium arsenic selenium bromine krypton rubidium
		strontium yttrium zirconium niobium molybdenum ruthenium rhodium palladium cadmium indium tin antimony tellurium iodine xenon caesium barium lanthanum cerium praseodymium
		neodymium samarium europium gadolinium terbium dysprosium holmium erbium thulium ytterbium lutetium hafnium tantalum tungsten rhenium osmium iridium platinum thallium
		lead bismuth thorium uranium`)
	cities := strings.Split(`Lima,Oslo,Nairobi,Hanoi,Perth,Bogota,Tallinn,Dakar,Osaka,Winnipeg,Tbilisi,Luanda,Cork,Izmir,Quito,Manila,Riga,Accra,Cusco,Bergen,Almaty,Porto,Tunis,Lahore,
		Recife,Hobart,Skopje,Bilbao,Harare,Medan,Kazan,Dunedin,Gdansk,Asmara,Salta,Tromso,Hue,Vilnius,Lusaka,Sapporo`, ",")
	for i := range cities {
		cities[i] = strings.TrimSpace(cities[i])
	}
	var pairs []string
	for i, a := range cities {
		for _, b := range cities[:i] {
			pairs = append(pairs, b+" and "+a)
		}
	}
	named := func(list string) []string { return strings.Split(list, ",") }
	return []numberDomain{
		{"melting", "What is the melting point of %s in kelvin, to the nearest whole number?", elements},
		{"boiling", "What is the boiling point of %s in kelvin, to the nearest whole number?", elements},
		{"density", "What is the density of %s at room temperature in kilograms per cubic metre, to the nearest whole number?", elements},
		{"found", "In which year was the element %s discovered?", elements},
		{"radius", "What is the covalent radius of %s in picometres?", elements},
		{"distance", "What is the great-circle distance between %s in kilometres, to the nearest whole number?", pairs},
		{"elevation", "How many metres above sea level does the city of %s lie?", cities},
		{"asteroid", "In which year was the asteroid with the number %s discovered?", between(20, 620)},
		{"diameter", "What is the mean diameter of the asteroid with the number %s in kilometres, to the nearest whole number?", between(20, 320)},
		{"nebula", "In which year was the object NGC %s discovered?", between(100, 1100)},
		{"mozart", "In which year was the work of Mozart with the number K. %s written?", between(10, 610)},
		{"peak", "How high is %s in metres?", named("Monte Viso,Mount Logan,Huascaran,Mount Cook,Elbrus,Kinabalu,Mount Rainier,Triglav,Musala,Snowdon,Mount Kenya,Chimborazo,Aneto,Galdhopiggen,Mount Etna,Teide,Ararat,Damavand,Nanda Devi,Cho Oyu")},
		{"river", "How long is the river %s in kilometres?", named("Elbe,Loire,Vistula,Dniester,Limpopo,Orinoco,Senegal,Tagus,Yukon,Fraser,Irrawaddy,Godavari,Murray,Uruguay,Drava,Tisza,Ob,Kama,Ebro,Oder")},
		{"island", "What is the area of the island of %s in square kilometres?", named("Gotland,Crete,Sumba,Socotra,Chiloe,Skye,Corsica,Bornholm,Rhodes,Hainan,Mindoro,Saaremaa,Anticosti,Menorca,Timor,Zanzibar,Bali,Euboea,Mull,Flores")},
		{"moon", "What is the mean diameter of the moon %s in kilometres?", named("Mimas,Enceladus,Tethys,Dione,Rhea,Iapetus,Phoebe,Hyperion,Miranda,Ariel,Umbriel,Titania,Oberon,Triton,Nereid,Proteus,Charon,Amalthea,Himalia,Janus")},
	}
})

// between are the numbers from one to another as subjects.
func between(from, to int) []string {
	var all []string
	for i := from; i < to; i++ {
		all = append(all, strconv.Itoa(i))
	}
	return all
}

// numberTokens bound an answer of one number.
const numberTokens = 24

// numberAsk is the question of an id, DOMAIN/SUBJECT; false when there is none.
func numberAsk(id string, r *rand.Rand) (Ask, bool) {
	name, subject, _ := strings.Cut(id, "/")
	for _, d := range numberDomains() {
		if d.name != name {
			continue
		}
		for _, s := range d.subjects {
			if s == subject {
				text := fmt.Sprintf(d.question, s) + " Answer with the number alone. " + fmt.Sprintf(wordRef["en"], nonce(r))
				return Ask{Turns: User(text), MaxTokens: numberTokens, Temperature: new(0.0)}, true
			}
		}
	}
	return Ask{}, false
}

// numberRead is the number of an answer in canonical form; empty when it names none, or
// several.
func numberRead(r *Reply) string {
	const none = "-" // an answer to compare with has to be there
	return exam.Grade(exam.Item{Kind: exam.Number, Language: "en", Answer: none}, r.Text).Parsed
}

// How the answers that a model sticks to are recorded.
const (
	numberTries   = 3 // equal answers by which an item is chosen
	numberRepeats = 5 // further ones, by which it is told how far the model sticks to them
	fewestNumbers = 40
	numbersTried  = 5 // questions for each that is wanted
	mostUnsteady  = .5
)

// numbers records to which number questions the first source has an answer of its own,
// and then, by other answers, how seldom it departs from it. The recorder's seed, which
// nobody else knows, decides which questions are tried.
func (r *recorder) numbers(ctx context.Context, ref *reference.Reference) error {
	nonces := stat.Rand(stat.Seed(r.Seed, "number nonces"))
	ids := numberIDs(stat.Rand(stat.Seed(r.Seed, "numbers")))
	ids = ids[:min(len(ids), numbersTried*r.Numbers)]
	known := &reference.Numbers{}
	const batch = 20
	for from := 0; from < len(ids) && len(known.Items) < r.Numbers; from += batch {
		tried := ids[from:min(from+batch, len(ids))]
		answers, err := r.numberAnswers(ctx, tried, numberTries, nonces)
		if err != nil {
			return err
		}
		for i, id := range tried {
			if a := answers[i]; len(a) == numberTries && a[0] != "" && a[0] == a[1] && a[0] == a[2] {
				known.Items = append(known.Items, reference.Number{ID: id, Answer: a[0]})
			}
		}
		r.tell(min(from+batch, len(ids)), len(ids), "numbers")
	}
	if len(known.Items) < fewestNumbers {
		return &unfitError{fmt.Sprintf("the model sticks to its answers to %d of %d questions", len(known.Items), len(ids))}
	}
	for from := 0; from < len(known.Items); from += batch {
		items := known.Items[from:min(from+batch, len(known.Items))]
		answers, err := r.numberAnswers(ctx, known.IDs()[from:from+len(items)], numberRepeats, nonces)
		if err != nil {
			return err
		}
		for i := range items {
			known.Asked += len(answers[i])
			for _, a := range answers[i] {
				if a != items[i].Answer {
					known.Departed++
				}
			}
		}
	}
	if bound, err := departure(known); err != nil || bound > mostUnsteady {
		return &unfitError{fmt.Sprintf("the model departs from its own answers in %d of %d", known.Departed, known.Asked)}
	}
	ref.Numbers = known
	return nil
}

// numberAnswers asks the first source each question n times.
func (r *recorder) numberAnswers(ctx context.Context, ids []string, n int, nonces *rand.Rand) ([][]string, error) {
	var asks []Ask
	for _, id := range ids {
		for range n {
			ask, _ := numberAsk(id, nonces) // the id was made of what there is
			asks = append(asks, ask)
		}
	}
	replies, err := r.ask(ctx, 0, "numbers", asks)
	if err != nil {
		return nil, err
	}
	answers := make([][]string, len(ids))
	for i, reply := range replies {
		if reply.OK() {
			answers[i/n] = append(answers[i/n], numberRead(reply))
		}
	}
	return answers, nil
}

// numberIDs are all ids, the domains in turn and each in a random order.
func numberIDs(r *rand.Rand) []string {
	domains := numberDomains()
	orders, most := make([][]int, len(domains)), 0
	for i, d := range domains {
		orders[i] = r.Perm(len(d.subjects))
		most = max(most, len(d.subjects))
	}
	var ids []string
	for n := range most {
		for i, d := range domains {
			if n < len(orders[i]) {
				ids = append(ids, d.name+"/"+d.subjects[orders[i][n]])
			}
		}
	}
	return ids
}

// departure is the upper bound, with 99.9 %, of the share of answers in which the
// reference departs from its own.
func departure(n *reference.Numbers) (float64, error) {
	return stat.BinomialUpper(n.Departed, n.Asked, calibrated)
}
