package tokens

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// tokenizerJSON is what counts of a tokenizer.json (huggingface/tokenizers, whose code
// is the only description). What is added around a text, such as the token that begins
// it, does not.
type tokenizerJSON struct {
	Added []struct {
		ID         uint32 `json:"id"`
		Content    string `json:"content"`
		SingleWord bool   `json:"single_word"`
		Left       bool   `json:"lstrip"`
		Right      bool   `json:"rstrip"`
		Normalised bool   `json:"normalized"`
		Special    bool   `json:"special"`
	} `json:"added_tokens"`
	Normaliser *step     `json:"normalizer"`
	Cut        *step     `json:"pre_tokenizer"`
	Model      modelJSON `json:"model"`
}

// step is a normaliser or a pre-tokenizer. Each type has some of the fields.
type step struct {
	Type        string  `json:"type"`
	Normalisers []*step `json:"normalizers"`
	Cuts        []*step `json:"pretokenizers"`

	Prefix      *bool     `json:"add_prefix_space"`
	Scheme      string    `json:"prepend_scheme"`
	Replacement string    `json:"replacement"`
	Split       *bool     `json:"split"`
	UseRegex    *bool     `json:"use_regex"`
	Each        bool      `json:"individual_digits"`
	Behaviour   behaviour `json:"behavior"`
	Invert      bool      `json:"invert"`
	Prepend     string    `json:"prepend"`
	Content     string    `json:"content"`
	Pattern     struct {
		Regex  string `json:"Regex"`
		String string `json:"String"`
	} `json:"pattern"`
}

// modelJSON is a model of byte-pair encoding.
type modelJSON struct {
	Type     string          `json:"type"`
	Unknown  *string         `json:"unk_token"`
	Fused    bool            `json:"fuse_unk"`
	Prefix   string          `json:"continuing_subword_prefix"`
	Suffix   string          `json:"end_of_word_suffix"`
	Fallback bool            `json:"byte_fallback"`
	Whole    bool            `json:"ignore_merges"`
	Vocab    json.RawMessage `json:"vocab"`
	Merges   []mergeJSON     `json:"merges"`
}

// mergeJSON is one merge, written "a b" or ["a", "b"].
type mergeJSON struct{ left, right string }

func (m *mergeJSON) UnmarshalJSON(b []byte) error {
	var two []string
	if err := json.Unmarshal(b, &two); err != nil {
		var one string
		if json.Unmarshal(b, &one) != nil {
			return err
		}
		two = strings.SplitN(one, " ", 3)
	}
	if len(two) != 2 {
		return errors.New("a merge is not two tokens")
	}
	m.left, m.right = two[0], two[1]
	return nil
}

// parseJSON reads a tokenizer.json.
func parseJSON(file []byte) (*pipeline, error) {
	var t tokenizerJSON
	if err := json.Unmarshal(file, &t); err != nil {
		return nil, err
	}
	b, err := t.Model.bpe()
	if err != nil {
		return nil, err
	}
	p := &pipeline{bpe: b, token: unSpace, added: map[uint32]string{}}
	if err := t.Normaliser.normalise(p); err != nil {
		return nil, err
	}
	if err := t.Cut.cut(p); err != nil {
		return nil, err
	}
	if len(t.Added) > maxTokens {
		return nil, errTooMany
	}
	for _, a := range t.Added {
		p.added[a.ID] = a.Content
		if a.Special {
			continue
		}
		if a.SingleWord {
			return nil, fmt.Errorf("the added token %q is looked for as a whole word, which is not supported", a.Content)
		}
		text, in := a.Content, &p.raw
		if a.Normalised {
			in = &p.normal
			for _, f := range p.normalise {
				text = f(text)
			}
		}
		if err := in.add(text, added{a.ID, a.Left, a.Right}); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// bpe is the encoding that a model describes.
func (m *modelJSON) bpe() (*bpe, error) {
	switch {
	case m.Type != "BPE" && (m.Type != "" || len(m.Merges) == 0):
		return nil, fmt.Errorf("a model of type %q is not supported, only BPE", m.Type)
	case m.Prefix != "" || m.Suffix != "":
		return nil, errors.New("marks within or at the end of words are not supported")
	}
	b := &bpe{whole: m.Whole, fused: m.Fused, merges: make(map[pair]merge, len(m.Merges))}
	if err := json.Unmarshal(m.Vocab, &b.ids); err != nil {
		return nil, fmt.Errorf("vocab: %w", err)
	}
	if len(b.ids) > maxTokens || len(m.Merges) > maxMerges {
		return nil, errTooMany
	}
	for rank, text := range m.Merges {
		if err := b.merge(text.left, text.right, uint32(rank)); err != nil {
			return nil, err
		}
	}
	if m.Unknown != nil {
		id, is := b.ids[*m.Unknown]
		if !is {
			return nil, fmt.Errorf("%q stands for unknown characters and is no token", *m.Unknown)
		}
		b.unknown = &id
	}
	if m.Fallback {
		b.bytes = byteTokens(b.ids)
	}
	return b, nil
}

// merge adds a merge of two tokens.
func (b *bpe) merge(left, right string, rank uint32) error {
	l, isLeft := b.ids[left]
	r, isRight := b.ids[right]
	id, is := b.ids[left+right]
	if !isLeft || !isRight || !is {
		return fmt.Errorf("merge %d, of %q and %q, is not of tokens to a token", rank, left, right)
	}
	b.merges[pair{l, r}] = merge{rank, id}
	return nil
}

// byteTokens are the tokens for bytes; nil when not all are there.
func byteTokens(ids map[string]uint32) *[256]uint32 {
	var tokens [256]uint32
	for b := range tokens {
		id, is := ids[fmt.Sprintf("<0x%02X>", b)]
		if !is {
			return nil
		}
		tokens[b] = id
	}
	return &tokens
}

var forms = map[string]norm.Form{"NFC": norm.NFC, "NFD": norm.NFD, "NFKC": norm.NFKC, "NFKD": norm.NFKD}

// normalise adds what a normaliser does.
func (s *step) normalise(p *pipeline) error {
	if s == nil {
		return nil
	}
	form, isForm := forms[s.Type]
	switch {
	case s.Type == "Sequence":
		for _, n := range s.Normalisers {
			if err := n.normalise(p); err != nil {
				return err
			}
		}
	case isForm:
		p.normalise = append(p.normalise, form.String)
	case s.Type == "Prepend":
		p.normalise = append(p.normalise, func(text string) string { return s.Prepend + text })
	case s.Type == "Replace" && s.Pattern.String != "":
		p.normalise = append(p.normalise, func(text string) string { return strings.ReplaceAll(text, s.Pattern.String, s.Content) })
	default:
		return fmt.Errorf("a normalizer of type %q is not supported as it is here", s.Type)
	}
	return nil
}

// cut adds what a pre-tokenizer does.
func (s *step) cut(p *pipeline) error {
	if s == nil {
		return nil
	}
	switch s.Type {
	case "Sequence":
		for _, c := range s.Cuts {
			if err := c.cut(p); err != nil {
				return err
			}
		}
		return nil
	case "ByteLevel":
		if s.Prefix != nil && *s.Prefix {
			p.cuts = append(p.cuts, prefixed(" "))
		}
		if s.UseRegex == nil || *s.UseRegex {
			words, err := splitBy(gpt2, isolated, false)
			if err != nil {
				return err
			}
			p.cuts = append(p.cuts, words)
		}
		p.cuts, p.token = append(p.cuts, byteLevel), unBytes
		return nil
	case "Metaspace":
		s.metaspace(p)
		return nil
	}
	c, err := s.split()
	if err != nil {
		return err
	}
	p.cuts = append(p.cuts, c)
	return nil
}

// metaspace adds what the step of that name does.
func (s *step) metaspace(p *pipeline) {
	mark := s.Replacement
	p.cuts = append(p.cuts, func(pieces []string, opening bool) ([]string, error) {
		for i, piece := range pieces {
			pieces[i] = strings.ReplaceAll(piece, " ", mark)
		}
		return pieces, nil
	})
	switch {
	case s.Scheme == "first":
		p.cuts = append(p.cuts, func(pieces []string, opening bool) ([]string, error) {
			if !opening || len(pieces) == 0 {
				return pieces, nil
			}
			_, err := prefixed(mark)(pieces[:1], opening)
			return pieces, err
		})
	case s.Scheme == "always", s.Scheme == "" && (s.Prefix == nil || *s.Prefix):
		p.cuts = append(p.cuts, prefixed(mark))
	}
	if s.Split == nil || *s.Split {
		p.cuts = append(p.cuts, split(literal(mark), next, false))
	}
}

// split is the cutter of a step that looks for something.
func (s *step) split() (cutter, error) {
	known := s.Behaviour == isolated || s.Behaviour == removed || s.Behaviour == previous || s.Behaviour == next
	switch {
	case s.Type == "Digits" && s.Each:
		return splitBy(`\p{N}`, isolated, false)
	case s.Type == "Digits":
		return splitBy(`\p{N}+`, isolated, false)
	case s.Type == "Split" && known && s.Pattern.Regex != "":
		return splitBy(s.Pattern.Regex, s.Behaviour, s.Invert)
	case s.Type == "Split" && known && s.Pattern.String != "":
		return split(literal(s.Pattern.String), s.Behaviour, s.Invert), nil
	}
	return nil, fmt.Errorf("a pre_tokenizer of type %q is not supported as it is here", s.Type)
}
