package wire

import "sallyport/internal/llm"

// Writer is what the writers of all formats are made of: the request, whom it is
// written for, and what of it could not be written. It belongs to one goroutine.
type Writer struct {
	*Builder
	Request *llm.Request
	Target  Target

	lost []llm.Use
}

// NewWriter returns a Writer of a body of its own.
func NewWriter(r *llm.Request, t Target) Writer {
	return Writer{Builder: NewBuilder(t.Room()), Request: r, Target: t}
}

// Lose notes that what stands at a place of the client's body is not carried.
func (w *Writer) Lose(f llm.Feature, at int) { w.lost = append(w.lost, llm.Use{Feature: f, At: at}) }

// Alter notes that what the request asks for under a feature is carried only in
// part, or not.
func (w *Writer) Alter(f llm.Feature) {
	for _, u := range w.Request.Uses {
		if u.Feature == f {
			w.lost = append(w.lost, u)
		}
	}
}

// Lost is all that was noted.
func (w *Writer) Lost() []llm.Use { return w.lost }

// Turns writes the messages of a format in which neighbours of one speaker are one
// turn, so that results of tools stand in the turn right after their calls. says
// decides which parts become blocks, block writes them. Developers' messages are not
// among them.
func (w *Writer) Turns(says func(llm.Part) bool, block func(llm.Part)) {
	w.Key("messages").List()
	open := false
	var role llm.Role
	for _, m := range w.Request.Messages {
		if m.Role == llm.Developer {
			continue
		}
		if open && m.Role != role {
			w.EndList().Close()
			open = false
		}
		for _, p := range m.Parts {
			if !says(p) {
				continue
			}
			if !open {
				name := "user"
				if m.Role == llm.Assistant {
					name = "assistant"
				}
				w.Open().StrMember("role", name).Key("content").List()
				open, role = true, m.Role
			}
			block(p)
		}
	}
	if open {
		w.EndList().Close()
	}
	w.EndList()
}
