package wire

import "sallyport/internal/llm"

// StopSequences reads the array of texts at which an answer ends.
func StopSequences(r *llm.Request, v Value) error {
	if err := v.May(Array); err != nil {
		return err
	}
	for e := range v.Elements() {
		if e.Kind() != String {
			return e.Refuse("a stop sequence must be a string")
		}
		r.Stop = append(r.Stop, e.Lit())
	}
	if len(r.Stop) > 0 {
		r.Use(llm.StopSequences, v.Start)
	}
	return nil
}
