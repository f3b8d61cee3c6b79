package probe

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// vendorFact is something that a vendor documents of its models, or that its API was
// seen to do. It is about endpoints that claim such a model and nobody else's.
type vendorFact struct {
	ID        string          `json:"id"`
	Challenge string          `json:"challenge"` // that tests it
	Models    []string        `json:"models"`    // patterns of path.Match, of names without the publisher before them
	Kinds     []string        `json:"kinds"`     // APIs in which it can be tested; any when empty
	Members   json.RawMessage `json:"members"`   // that the challenge adds to a request, as an object
	Statement string          `json:"statement"`
	Checked   factDate        `json:"checked"` // when the source was read
	Expires   factDate        `json:"expires"` // when the fact can no longer be held against anybody
	Source    string          `json:"source"`
}

// maxFactAge bounds how long a fact may be relied on without reading its source again.
const maxFactAge = 400 * 24 * time.Hour

// factDate is a day, written as 2006-01-02.
type factDate struct{ time.Time }

// UnmarshalJSON implements json.Unmarshaler.
func (d *factDate) UnmarshalJSON(b []byte) error {
	t, err := time.Parse(`"`+time.DateOnly+`"`, string(b))
	d.Time = t
	return err
}

// factFile is the file of vendors' facts.
type factFile struct {
	Date  factDate     `json:"date"`
	Facts []vendorFact `json:"facts"`
}

//go:embed facts.json
var factsJSON []byte

// theFacts are the facts of this program.
var theFacts = sync.OnceValue(func() *factFile {
	f, err := parseFacts(factsJSON)
	if err != nil {
		panic("probe: facts.json: " + err.Error()) // embedded, and parsed by a test
	}
	return f
})

// parseFacts reads a file of facts. Each must say since when and how long it holds,
// and where it is written.
func parseFacts(b []byte) (*factFile, error) {
	var f factFile
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something follows the facts")
	}
	if f.Date.IsZero() || len(f.Facts) == 0 {
		return nil, errors.New("a date or the facts are missing")
	}
	seen := map[string]bool{}
	for i := range f.Facts {
		fact := &f.Facts[i]
		if seen[fact.ID] {
			return nil, fmt.Errorf("fact %s stands there twice", fact.ID)
		}
		seen[fact.ID] = true
		if err := fact.check(f.Date.Time); err != nil {
			return nil, fmt.Errorf("fact %q: %w", fact.ID, err)
		}
	}
	return &f, nil
}

// check says what is wrong with a fact of a file of this date.
func (f *vendorFact) check(date time.Time) error {
	source, err := url.Parse(f.Source)
	switch {
	case f.ID == "" || f.Statement == "" || len(f.Models) == 0:
		return errors.New("id, statement and models must be given")
	case challenges[f.Challenge].run == nil:
		return fmt.Errorf("there is no challenge %q", f.Challenge)
	case err != nil || source.Scheme != "https" || source.Host == "":
		return errors.New("the source must be an https URL")
	case f.Checked.After(date) || !f.Expires.After(f.Checked.Time) || f.Expires.Sub(f.Checked.Time) >= maxFactAge:
		return errors.New("it must be checked before the date of the file, and expire within 400 days of that")
	case f.Members != nil && !strings.HasPrefix(string(f.Members), "{"):
		return errors.New("members must be an object")
	}
	for _, pattern := range f.Models {
		if _, err := path.Match(pattern, ""); err != nil {
			return fmt.Errorf("pattern %q: %w", pattern, err)
		}
	}
	for _, kind := range f.Kinds {
		if !slices.Contains([]string{"openai", "anthropic", "gemini"}, kind) {
			return fmt.Errorf("no API is called %q", kind)
		}
	}
	return nil
}

// about reports whether the fact is one about what an endpoint claims, and can be
// tested in the API that it speaks.
func (f *vendorFact) about(e Facts) bool {
	if len(f.Kinds) > 0 && !slices.Contains(f.Kinds, e.Kind) {
		return false
	}
	model := bareModel(e.Model)
	return slices.ContainsFunc(f.Models, func(pattern string) bool {
		ok, _ := path.Match(pattern, model) // patterns were checked
		return ok
	})
}

// bareModel is a model's name without the publisher that platforms put before it.
func bareModel(model string) string {
	return strings.ToLower(model[strings.LastIndexByte(model, '/')+1:])
}
