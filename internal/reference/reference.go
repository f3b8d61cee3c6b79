// Package reference is what a trusted deployment of a model answered: recorded
// samples with the protocol that they were drawn under, in a sealed file. A reference
// is dated, expires, and is only ever as good as its source.
package reference

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"sallyport/internal/evidence"
)

// Kind is the kind of the sealed file.
const Kind = "sallyport.reference/1"

// maxFile bounds a sealed reference, in bytes.
const maxFile = 64 << 20

// Reference is one recorded reference. It is immutable once sealed.
type Reference struct {
	Name     string    `json:"name"`
	Model    string    `json:"model"` // the claim that it is the reference of, with its date where the vendor has one
	Recorded time.Time `json:"recorded"`
	Expires  time.Time `json:"expires"`
	Program  string    `json:"program"` // version that recorded it
	Public   bool      `json:"public,omitempty"`

	Protocol Protocol  `json:"protocol"`
	Variants []Variant `json:"variants"` // honest deployments of the model; the first is the reference proper

	Words      []Cell             `json:"words,omitempty"`      // answers of one word
	Tools      []Cell             `json:"tools,omitempty"`      // which of several like tools is called
	Texts      []Cell             `json:"texts,omitempty"`      // continuations
	Accounting *Accounting        `json:"accounting,omitempty"` // prompt tokens
	Accuracy   *Accuracy          `json:"accuracy,omitempty"`   // on generated items
	Excess     []float64          `json:"excess,omitempty"`     // reported over counted output tokens, less 1, answer by answer
	Numbers    *Numbers           `json:"numbers,omitempty"`    // at the edge of what the reference proper knows
	Past       *Past              `json:"past,omitempty"`       // of the reference proper, by which it can be compared with itself later
	Causal     map[string]string  `json:"causal,omitempty"`     // what each causal challenge came to here
	Rates      map[string]float64 `json:"rates,omitempty"`      // other measured figures, by name
	Notes      []string           `json:"notes,omitempty"`      // what could not be recorded, and why
}

// Variant is one honest deployment that was recorded.
type Variant struct {
	Name     string `json:"name"`
	Host     string `json:"host"`
	Kind     string `json:"kind"`  // the API that it speaks
	Class    string `json:"class"` // how far it is trusted: local, vetted, ...
	Official bool   `json:"official,omitempty"`
	CertKey  string `json:"cert_key,omitempty"` // SHA-256 of the public key of its certificate
	Reason   string `json:"reason,omitempty"`   // why it is trusted though neither local nor vetted
}

// Protocol is everything that an answer's distribution depends on and that is the same
// for the reference and the audited endpoint.
type Protocol struct {
	Model       string `json:"model"` // that the reference was asked for
	Dialect     string `json:"dialect"`
	Questions   string `json:"questions"`   // version of the questions and of the way they are put
	Temperature string `json:"temperature"` // decimal, "default" where none may be given, or how it is drawn
	TopP        string `json:"top_p"`
	MaxTokens   int64  `json:"max_tokens"`
	Effort      string `json:"effort,omitempty"`
	System      string `json:"system,omitempty"`
	Dress       string `json:"dress"` // how questions are dressed: plain, or as ordinary work
}

// Hash is the SHA-256 of the protocol, in hex. References and audits of different
// protocols cannot be compared.
func (p Protocol) Hash() string {
	b, err := json.Marshal(p)
	if err != nil {
		panic("reference: a protocol without a JSON form: " + err.Error()) // strings and integers only
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Cell is one question and the answers to it, by variant. Train fixes alphabets and
// first guesses, Bank is drawn from, each sample once in an audit; the two are
// disjoint, and their samples stand in an order that was shuffled once.
type Cell struct {
	ID      string   `json:"id"`
	Letters []string `json:"letters"` // all answers that occur; hostile text
	Train   [][]int  `json:"train"`   // by variant: indexes into Letters
	Bank    [][]int  `json:"bank"`
}

// Accounting is how the reference reports prompt tokens.
type Accounting struct {
	Slopes     map[string]int64 `json:"slopes"`                      // tokens that one more unit adds, by unit
	Intercepts map[string]int64 `json:"intercepts"`                  // tokens of a shape of request without any unit, by shape
	Vocabulary string           `json:"vocabulary,omitempty"`        // that counts the same
	SHA256     string           `json:"vocabulary_sha256,omitempty"` // of its file, in hex; empty for a published one
}

// Numbers are questions for a number to which the reference proper sticks to an answer.
type Numbers struct {
	Items    []Number `json:"items"`
	Departed int      `json:"departed"` // answers other than the item's, of so many
	Asked    int      `json:"asked"`    // after the items were chosen
}

// Number is one question and the answer to it, which need not be right.
type Number struct {
	ID     string `json:"id"`
	Answer string `json:"answer"` // decimal, in canonical form
}

// IDs are those of all items.
func (n *Numbers) IDs() []string {
	var ids []string
	for _, i := range n.Items {
		ids = append(ids, i.ID)
	}
	return ids
}

// check makes sure that there is something to compare and no count is impossible.
func (n *Numbers) check() error {
	if len(n.Items) == 0 || n.Departed < 0 || n.Asked < 1 || n.Departed > n.Asked {
		return fmt.Errorf("of %d numbers, %d of %d answers depart", len(n.Items), n.Departed, n.Asked)
	}
	return nil
}

// Past is how the reference proper answered where an answer shows slight changes of what
// serves it. Other honest deployments differ here too, so it says nothing of them.
type Past struct {
	Logprobs []map[string]float64 `json:"logprobs,omitempty"` // answer by answer: of the alternatives of a token; hostile text
	Borders  []Border             `json:"borders,omitempty"`  // where log probabilities are not told
}

// Border is an input whose answer without chance is nearly a tie between two.
type Border struct {
	Input   string         `json:"input"`
	Answers map[string]int `json:"answers"` // how often each came; hostile text
}

// check makes sure that nothing is empty and no count impossible.
func (p *Past) check() error {
	if len(p.Logprobs)+len(p.Borders) == 0 {
		return errors.New("the past holds no answer")
	}
	if slices.ContainsFunc(p.Logprobs, func(v map[string]float64) bool { return len(v) == 0 }) {
		return errors.New("an answer of the past has no log probabilities")
	}
	for _, b := range p.Borders {
		sum := 0
		for _, n := range b.Answers {
			if n < 1 {
				return fmt.Errorf("input %q of the past has an impossible count", b.Input)
			}
			sum += n
		}
		if sum == 0 {
			return fmt.Errorf("input %q of the past has no answers", b.Input)
		}
	}
	return nil
}

// Accuracy is how well the recorded deployments solve generated items, measured on
// items that the mixture was not chosen by.
type Accuracy struct {
	Mixture []Share `json:"mixture"`          // what audits draw from, exactly
	Choice  bool    `json:"choice,omitempty"` // items are asked with options
	Sample  string  `json:"sample"`           // SHA-256 of items of a fixed seed: a generator that makes others is another exam
}

// Share is one kind of item of a mixture, each equally likely.
type Share struct {
	Family     string `json:"family"`
	Difficulty int    `json:"difficulty"`
	Solved     []int  `json:"solved"` // by variant
	Asked      []int  `json:"asked"`
}

// Total is how many items a variant solved, and of how many.
func (a *Accuracy) Total(variant int) (solved, asked int) {
	for _, s := range a.Mixture {
		solved += s.Solved[variant]
		asked += s.Asked[variant]
	}
	return solved, asked
}

// check makes sure that every share has a possible count of each source.
func (a *Accuracy) check(variants int) error {
	if len(a.Mixture) == 0 {
		return errors.New("the accuracy is one on no items")
	}
	for _, s := range a.Mixture {
		if len(s.Solved) != variants || len(s.Asked) != variants {
			return fmt.Errorf("the items of %q were not put to each source", s.Family)
		}
		for v := range variants {
			if s.Solved[v] < 0 || s.Solved[v] > s.Asked[v] {
				return fmt.Errorf("of the items of %q, %d of %d are solved", s.Family, s.Solved[v], s.Asked[v])
			}
		}
	}
	return nil
}

// Opened is a reference with what its file says of it.
type Opened struct {
	Reference
	ID       string // SHA-256 of the sealed payload
	Signer   string
	Imported bool   // recorded elsewhere
	File     []byte // the sealed file itself
}

// Seal writes a reference as a sealed file.
func Seal(w io.Writer, key ed25519.PrivateKey, r *Reference) (*Opened, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	payload, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("write the reference: %w", err)
	}
	var file bytes.Buffer
	s, err := evidence.Seal(&file, Kind, key, payload)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(file.Bytes()); err != nil {
		return nil, fmt.Errorf("write the reference: %w", err)
	}
	return &Opened{Reference: *r, ID: s.SHA256, Signer: s.Signer, File: file.Bytes()}, nil
}

// Open reads a sealed reference and checks every byte and every sample of it. Errors
// of a file that is not what was sealed wrap evidence.ErrBroken.
func Open(r io.Reader) (*Opened, error) {
	file, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read the reference: %w", err)
	}
	s, err := evidence.Open(bytes.NewReader(file), Kind)
	if err != nil {
		return nil, err
	}
	o := &Opened{ID: s.SHA256, Signer: s.Signer, File: file}
	d := json.NewDecoder(bytes.NewReader(s.Payload))
	d.DisallowUnknownFields()
	if err := d.Decode(&o.Reference); err != nil {
		return nil, fmt.Errorf("%w: its payload is no reference: %w", evidence.ErrBroken, err)
	}
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", evidence.ErrBroken, err)
	}
	return o, nil
}

// check makes sure that no sample points outside its alphabet, and no count is
// impossible.
func (r *Reference) check() error {
	if r.Model == "" || r.Recorded.IsZero() || !r.Expires.After(r.Recorded) {
		return errors.New("a reference needs a model and the times between which it holds")
	}
	if len(r.Variants) == 0 {
		return errors.New("a reference needs a source")
	}
	for _, cells := range [][]Cell{r.Words, r.Tools, r.Texts} {
		for _, c := range cells {
			if len(c.Train) != len(r.Variants) || len(c.Bank) != len(r.Variants) {
				return fmt.Errorf("cell %q does not have samples of each source", c.ID)
			}
			for _, samples := range slices.Concat(c.Train, c.Bank) {
				if slices.ContainsFunc(samples, func(i int) bool { return i < 0 || i >= len(c.Letters) }) {
					return fmt.Errorf("cell %q has a sample outside its alphabet", c.ID)
				}
			}
		}
	}
	if r.Accuracy != nil {
		if err := r.Accuracy.check(len(r.Variants)); err != nil {
			return err
		}
	}
	if r.Numbers != nil {
		if err := r.Numbers.check(); err != nil {
			return err
		}
	}
	if r.Past != nil {
		return r.Past.check()
	}
	return nil
}

// Stale says why a reference may not be relied on at a time; empty when it may.
func (o *Opened) Stale(at time.Time) string {
	if at.After(o.Expires) {
		return "the reference expired on " + o.Expires.UTC().Format(time.DateOnly)
	}
	return ""
}

// Trains are the counts of a variant's train answers of a cell.
func (c *Cell) Trains(variant int) map[string]int {
	counts := map[string]int{}
	for _, i := range c.Train[variant] {
		counts[c.Letters[i]]++
	}
	return counts
}
