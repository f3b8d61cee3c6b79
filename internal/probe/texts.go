package probe

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"unicode"

	"sallyport/internal/llm"
	"sallyport/internal/reference"
)

// A text question gives the beginning of a text and asks how it goes on. A cell is one
// beginning.

// beginnings are the texts, by name. Changing one makes recorded references useless, so
// it needs a new version in QuestionsVersion.
var beginnings = []struct{ name, text string }{
	{"harbour", "The old harbour lies at the mouth of the river, where the ferries from the islands come in every morning. Along the quay"},
	{"bridge", "The stone bridge was built in three years and replaced a wooden one that a flood had carried away. Its arches"},
	{"bees", "Honeybees find their way by the position of the sun and by landmarks around the hive. When a forager returns"},
	{"railway", "The railway over the pass was planned long before anyone knew how to pay for it. The first section"},
	{"bread", "Rye bread keeps longer than bread made from wheat because its crumb holds more water. Bakers in the north"},
	{"library", "The town library moved into the former spinning mill after the roof had been repaired. On the ground floor"},
	{"glacier", "Glaciers move under their own weight, faster in the middle than at the edges. In the summer months"},
	{"clock", "The clock in the tower has been wound by hand every second day for more than a century. Its keeper"},
	{"potato", "The potato came to the valley late, and at first only a few gardeners grew it. After two poor harvests"},
	{"lighthouse", "From the lighthouse one can see the whole bay in clear weather. The keeper's family"},
	{"paper", "Paper was made here from rags until the middle of the century, when wood pulp became cheaper. The mill"},
	{"market", "On Saturdays the market fills the square from the fountain to the steps of the church. Farmers from the hills"},
	{"owl", "The barn owl hunts by hearing and can catch a mouse in complete darkness. Its feathers"},
	{"canal", "The canal joins two rivers that flow into different seas. Boats pass through eleven locks"},
	{"violin", "A violin maker chooses the wood for the top by its grain and by the sound it gives when tapped. For the back"},
	{"island", "About four hundred people live on the island all year round, most of them in the village by the landing stage. In winter"},
	{"telescope", "The telescope stands on a plateau where the air is dry and the nights are dark. Its mirror"},
	{"school", "The village school has two classrooms and a garden in which the children grow beans and pumpkins. The teacher"},
	{"salt", "Salt was mined in these mountains long before the roads were built. Miners followed the seams"},
	{"tram", "The first tram line ran from the station to the botanical garden and was drawn by horses. Ten years later"},
	{"forest", "After the storm the forest was left to itself for a decade to see what would grow back. Birch and rowan"},
	{"map", "The oldest map of the county shows roads that have since disappeared under the fields. Its maker"},
	{"wool", "Wool from mountain sheep is coarse and warm, and it was used for blankets rather than for clothes. In spring"},
	{"theatre", "The theatre has only two hundred seats, but its stage is deep enough for a small orchestra. The company"},
	{"spring", "The spring below the chapel has never run dry, not even in the hottest years. People from the neighbouring villages"},
}

const (
	textPoints = 200 // Unicode code points of an answer that are compared
	textTokens = 64  // of an answer, enough for that many
)

// textCells are the names of all beginnings.
func textCells() []string {
	var ids []string
	for _, b := range beginnings {
		ids = append(ids, b.name)
	}
	return ids
}

// textQuestions are how beginnings are put and their continuations read.
var textQuestions = questions{ask: textAsk, read: textRead}

func textAsk(cell string, r *rand.Rand) Ask {
	for _, b := range beginnings {
		if b.name == cell {
			text := "Continue this text. Write only what comes next. " + fmt.Sprintf(wordRef["en"], nonce(r)) + "\n\n" + b.text
			return Ask{Turns: User(text), MaxTokens: textTokens, Temperature: new(wordTemperature), TopP: new(wordTopP)}
		}
	}
	panic("probe: no text begins as " + cell) // cells of references are checked before
}

// textRead is an answer as it is compared: what honest servers differ in, white space
// at its beginning, is cut off.
func textRead(_ string, r *Reply) string {
	if r.Refusal != "" || r.Finish == llm.FinishRefusal || r.Finish == llm.FinishFilter {
		return "REFUSED"
	}
	text := strings.TrimLeftFunc(r.Text, unicode.IsSpace)
	n := 0
	for i := range text {
		if n == textPoints {
			return text[:i]
		}
		n++
	}
	return text
}

// texts records continuations by each source.
func (r *recorder) texts(ctx context.Context, ref *reference.Reference) error {
	p := newPool(r, textCells(), textQuestions)
	var all []int
	for i := range p.ids {
		all = append(all, i)
	}
	if err := p.bank(ctx, all, r.Texts); err != nil {
		return err
	}
	ref.Texts = p.cells()
	return nil
}
