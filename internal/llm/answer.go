package llm

// Answer is one whole answer in the vocabulary that all formats share.
type Answer struct {
	ID      string // the upstream's own
	Model   string // that the upstream declares
	Choices []ChoiceAnswer
}

// ChoiceAnswer is one of the answers that were asked for.
type ChoiceAnswer struct {
	Parts    []Part
	Finish   Finish
	Sequence Lit // string literal: the stop sequence that ended it; nil when none did
}

// Finish is why an answer ended.
type Finish uint8

// The reasons.
const (
	FinishUnknown  Finish = iota
	FinishStop            // the model was done
	FinishSequence        // a stop sequence came up
	FinishLength          // a bound on length was reached
	FinishCalls           // tools are to be run
	FinishFilter          // the provider's filter stopped it
	FinishRefusal         // the model declined
	FinishPause           // the provider paused a long turn
)

// EventKind is what one event of a stream says.
type EventKind uint8

// The kinds of event. An answer is Start, then for each choice its parts in order
// (PartStart, any PartDelta and PartSeal, PartEnd), then Finished. A part ends
// before the next one of its choice begins.
const (
	Start     EventKind = iota // ID and Model
	PartStart                  // Part: its kind, and id and name of a call
	PartDelta                  // Text: more of the part; of a call more of its input
	PartSeal                   // Seal of the part
	PartEnd
	Finished // Finish and Sequence of the choice
)

// Event is one step of a streamed answer. Its slices are valid until the next one
// is asked for.
type Event struct {
	Kind     EventKind
	Choice   int // which of several answers, from 0
	Index    int // which part of the choice, from 0
	ID       string
	Model    string
	Part     Part
	Text     Lit // string literal
	Seal     Seal
	Finish   Finish
	Sequence Lit // string literal; nil when there is none
}

// Failure is an error that an upstream told, taken out of its format.
type Failure struct {
	Message string // for people; hostile text
	Code    string // the provider's own code, when it has one; hostile text
}
