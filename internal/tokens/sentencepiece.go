package tokens

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// piece is a token of a sentencepiece vocabulary; its place is its id.
type piece struct {
	text  string
	score float32
	kind  pieceKind
}

// pieceKind is the type of a piece (sentencepiece_model.proto; the same numbers in
// tokenizer.ggml.token_type of GGUF).
type pieceKind int32

const (
	normalPiece  pieceKind = 1
	unknownPiece pieceKind = 2
	definedPiece pieceKind = 4 // by the user: looked for before anything else
	unusedPiece  pieceKind = 5
	bytePiece    pieceKind = 6
)

// pieces makes a vocabulary of byte-pair encoding from pieces: two neighbours may be
// merged when they are a piece together, those of the highest score first. prefix says
// that a text begins with a space that it does not have.
func pieces(all []piece, prefix bool) (*pipeline, error) {
	if len(all) > maxTokens {
		return nil, errTooMany
	}
	b := &bpe{ids: map[string]uint32{}, merges: map[pair]merge{}, fused: true}
	p := &pipeline{bpe: b, token: unSpace, added: map[uint32]string{}}
	if prefix {
		p.normalise = append(p.normalise, func(text string) string { return " " + text })
	}
	p.normalise = append(p.normalise, func(text string) string { return strings.ReplaceAll(text, " ", space) })
	bytes := map[string]uint32{}
	var scores []float32
	for i, x := range all {
		id := uint32(i)
		switch x.kind {
		case normalPiece:
			b.ids[x.text] = id
			scores = append(scores, x.score)
		case unknownPiece:
			b.unknown, p.added[id] = &id, x.text
		case bytePiece:
			bytes[x.text], p.added[id] = id, unSpace(x.text)
		case definedPiece:
			if err := p.normal.add(x.text, added{id: id}); err != nil {
				return nil, err
			}
			p.added[id] = unSpace(x.text)
		default:
			p.added[id] = x.text
		}
	}
	b.bytes = byteTokens(bytes)
	slices.SortFunc(scores, func(x, y float32) int { return cmp.Compare(y, x) })
	scores = slices.Compact(scores)
	for _, x := range all {
		if x.kind != normalPiece {
			continue
		}
		rank, _ := slices.BinarySearchFunc(scores, x.score, func(a, b float32) int { return cmp.Compare(b, a) })
		if err := b.halves(x.text, uint32(rank)); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// halves adds the merges of two tokens to one.
func (b *bpe) halves(text string, rank uint32) error {
	if len(text) > maxToken {
		return errTooLong
	}
	for cut := range text {
		l, isLeft := b.ids[text[:cut]]
		r, isRight := b.ids[text[cut:]]
		if isLeft && isRight {
			b.merges[pair{l, r}] = merge{rank, b.ids[text]}
		}
	}
	if len(b.merges) > maxMerges {
		return errTooMany
	}
	return nil
}

// Fields of sentencepiece_model.proto that count.
const (
	modelPieces, modelTrainer, modelNormaliser = 1, 2, 3
	pieceText, pieceScore, pieceType           = 1, 2, 3
	trainerModel, trainerSuffix                = 3, 24
	normaliserMap, normaliserPrefix            = 2, 3
	normaliserTrim, normaliserEscape           = 4, 5
	bytePairs                                  = 2 // of trainerModel
)

// parseModel reads a tokenizer.model.
func parseModel(file []byte) (*pipeline, error) {
	m, err := parseMessage(file)
	if err != nil || len(m[modelPieces]) == 0 {
		return nil, errNotKnown
	}
	if len(m[modelPieces]) > maxTokens {
		return nil, errTooMany
	}
	var all []piece
	for _, f := range m[modelPieces] {
		x, err := parseMessage(f.bytes)
		if err != nil {
			return nil, errNotKnown
		}
		all = append(all, piece{
			text: string(x.bytes(pieceText)), score: math.Float32frombits(uint32(x.number(pieceScore, 0))),
			kind: pieceKind(x.number(pieceType, uint64(normalPiece))),
		})
	}
	trainer, err := parseMessage(m.bytes(modelTrainer))
	normaliser, err2 := parseMessage(m.bytes(modelNormaliser))
	switch {
	case err != nil || err2 != nil:
		return nil, errNotKnown
	case trainer.number(trainerModel, 0) != bytePairs:
		return nil, errors.New("a sentencepiece model that is no byte-pair encoding is not supported")
	case trainer.number(trainerSuffix, 0) != 0 || normaliser.number(normaliserTrim, 1) != 0 ||
		normaliser.number(normaliserEscape, 1) == 0 || len(normaliser.bytes(normaliserMap)) > 0:
		return nil, errors.New("a sentencepiece model that changes characters or white space is not supported")
	}
	return pieces(all, normaliser.number(normaliserPrefix, 1) != 0)
}

// message are the fields of a message of protocol buffers, by number.
type message map[protowire.Number][]field

// field is one value: a number, or bytes.
type field struct {
	number uint64
	bytes  []byte
}

func parseMessage(b []byte) (message, error) {
	m := message{}
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return nil, protowire.ParseError(n)
		}
		b = b[n:]
		var f field
		switch kind {
		case protowire.VarintType:
			f.number, n = protowire.ConsumeVarint(b)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(b)
			f.number = uint64(v)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(number, kind, b)
		}
		if n < 0 {
			return nil, protowire.ParseError(n)
		}
		b = b[n:]
		m[number] = append(m[number], f)
	}
	return m, nil
}

// number is the last value of a field, or what stands for an absent one.
func (m message) number(n protowire.Number, absent uint64) uint64 {
	if all := m[n]; len(all) > 0 {
		return all[len(all)-1].number
	}
	return absent
}

// bytes is the last value of a field.
func (m message) bytes(n protowire.Number) []byte {
	if all := m[n]; len(all) > 0 {
		return all[len(all)-1].bytes
	}
	return nil
}
