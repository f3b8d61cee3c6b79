package probe

import "math/rand/v2"

// Of other detectors' questions those on billing (D7) can stand in ordinary work without
// harm: what they ask does not matter, only that the answer is prose of some length. They
// are dressed where a reference is, in its recording and in the audits against it.
// Others cannot: counts of prompts (D1), copies (D8) and texts of a length (D9) are about
// the very bytes, replays (D10) need equal requests, and continuations (D13) are compared
// by their characters, which everything that turns them blurs: with other instructions
// around the same beginnings alone, they were told by form with AUC .997 as before.

// proseFrames are what stands around a {task} of writing.
var proseFrames = []string{
	"{task}\n\nIt is for {person} ({ref}).", "{more}\n\n{task}", "{person} from {company} asks, {ref}: {task}", "For the newsletter of {company}, {ref}. {task}", "hi! {more} {task}",
	"{more} {more}\n\n{task}\n\nThanks, {person}", "{task} The text goes into the handout for {event}, {ref}.", "Column {ref}, next topic. {task}", "{ref}: {task}", "{more}\n\nAnd a different thing: {task}",
	"Ticket {ref}\nFrom: {person}\nTeam: {product}\n\n{more}\n\n{task}", "{event}, panel by {person}: {more}\n\n{task}", "{task}\n\nContext: {more} {more} {more}", "We need filler for {product} ({ref}). {task}",
}

// proseAsWork is a task of writing as a part of ordinary work, with room for its answer.
func proseAsWork(task string, least int64, dress string, r *rand.Rand) Ask {
	d := newDesk(&officeEN, r)
	a := Ask{System: d.system(), Turns: d.before()}
	d.fixed["task"] = task
	a.Turns = append(a.Turns, Turn{"user", d.fill(pick(r, proseFrames))})
	sendAsWork(&a, least, dress, r)
	return a
}
