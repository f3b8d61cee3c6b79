package probe

import "context"

// Subject is something that can be asked. It is safe for concurrent use.
type Subject interface {
	// Ask sends one question, once. What goes wrong is told in the reply.
	Ask(ctx context.Context, a *Ask) *Reply
	// Facts is what is known of the subject before anything is asked.
	Facts() Facts
}

// Facts describe a subject.
type Facts struct {
	Name     string `json:"name,omitempty"` // that a configuration has for it
	URL      string `json:"url"`
	Host     string `json:"host"`
	Kind     string `json:"kind"` // the API that it speaks: openai, anthropic, gemini or bedrock
	Model    string `json:"model"`
	Official bool   `json:"official,omitempty"` // the vendor whose API it is serves it
	Class    string `json:"class,omitempty"`    // how far an operator trusts it with data
	Keyed    bool   `json:"keyed,omitempty"`    // questions carry a credential
}
