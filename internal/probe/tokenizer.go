package probe

import (
	"fmt"

	"sallyport/internal/tokens"
)

// Tokenizer names the file of the vocabulary that an audit counts by. The file is in no
// bundle: whoever does the audit again must have it.
type Tokenizer struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
}

// tokenizerOf is what a plan says of a vocabulary from a file; nil of none.
func tokenizerOf(v *tokens.Vocabulary) *Tokenizer {
	if v == nil {
		return nil
	}
	return &Tokenizer{v.Name, v.SHA256}
}

// TokenizerError says that an audit counts by a file that is not at hand. It is no
// finding: nothing was done again.
type TokenizerError struct {
	Want  *Tokenizer // nil when it counts by none
	Given *Tokenizer // nil when none was
}

// Error implements error.
func (e *TokenizerError) Error() string {
	if e.Want == nil {
		return fmt.Sprintf("the audit counts by no file, and %s was named", e.Given.Name)
	}
	text := fmt.Sprintf("the audit counts by the vocabulary %s, SHA-256 %s, which is not in the bundle: name its file with --tokenizer", e.Want.Name, e.Want.SHA256)
	if e.Given != nil {
		text += fmt.Sprintf("; the one that was named has %s", e.Given.SHA256)
	}
	return text
}

// take lets the plan count by a vocabulary, which must be the one that it names. What it
// is called is the plan's, whatever the file is called now.
func (p *Plan) take(v *tokens.Vocabulary) error {
	given := tokenizerOf(v)
	switch {
	case p.Tokenizer == nil && given == nil:
		return nil
	case p.Tokenizer == nil || given == nil || given.SHA256 != p.Tokenizer.SHA256:
		return &TokenizerError{p.Tokenizer, given}
	}
	named := *v
	named.Name = p.Tokenizer.Name
	p.vocabulary = &named
	return nil
}

// tellVocabulary says which file is counted by, if one was named.
func (t *Trial) tellVocabulary() {
	if v := t.Tokenizer; v != nil {
		t.Fact("vocabulary", "%s, named by whoever audits (SHA-256 %s)", v.Name, v.SHA256)
	}
}

// unknownVocabulary says why answers cannot be counted.
func (p *Plan) unknownVocabulary() string {
	if a := p.accounting(); a != nil && a.SHA256 != "" {
		return "the reference counts by " + a.Vocabulary + ", whose file was not named"
	}
	return "the vocabulary of the model is not known here"
}

// known is the vocabulary of the model: the one that the operator named, else the
// published one; nil when there is neither.
func (p *Plan) known() *tokens.Vocabulary {
	if p.vocabulary != nil {
		return p.vocabulary
	}
	return tokens.Of(p.Facts.Model)
}
