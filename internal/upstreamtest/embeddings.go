package upstreamtest

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
)

// Embedding is the vector that a Server gives to an input: normally distributed
// components drawn from the SHA-256 of the text, scaled to length 1.
func Embedding(input string, dimensions int) []float32 {
	r := rand.New(rand.NewChaCha8(sha256.Sum256([]byte(input))))
	wide := make([]float64, dimensions)
	sum := 0.0
	for i := range wide {
		wide[i] = r.NormFloat64()
		sum += wide[i] * wide[i]
	}
	v := make([]float32, dimensions)
	for i := range v {
		v[i] = float32(wide[i] / math.Sqrt(sum))
	}
	return v
}

type embeddingRequest struct {
	Model      string          `json:"model"`
	Input      json.RawMessage `json:"input"`
	Encoding   string          `json:"encoding_format"`
	Dimensions int             `json:"dimensions"`
}

// inputs reads a text, a list of texts, or token ids (which stand for themselves).
func (q *embeddingRequest) inputs() ([]string, *fault) {
	if !present(q.Input) {
		return nil, missing("input")
	}
	var one string
	if json.Unmarshal(q.Input, &one) == nil {
		return []string{one}, nil
	}
	var items []json.RawMessage
	if json.Unmarshal(q.Input, &items) != nil || len(items) == 0 || len(items) > 2048 {
		return nil, badRequest("input", "Invalid 'input': expected a string, an array of strings or an array of tokens.")
	}
	var ids []int64
	if json.Unmarshal(q.Input, &ids) == nil {
		return []string{fmt.Sprint(ids)}, nil
	}
	texts := make([]string, len(items))
	for i, item := range items {
		if json.Unmarshal(item, &texts[i]) == nil {
			continue
		}
		if json.Unmarshal(item, &ids) != nil {
			return nil, badRequest("input", fmt.Sprintf("Invalid 'input[%d]': expected a string or an array of tokens.", i))
		}
		texts[i] = fmt.Sprint(ids)
	}
	return texts, nil
}

// embeddings serves POST /v1/embeddings.
func embeddings(x *exchange) (reply, *fault) {
	var q embeddingRequest
	if f := decodeOpenAI(x, &q); f != nil {
		return reply{}, f
	}
	m, f := openAIModel(x, q.Model)
	if f != nil {
		return reply{}, f
	}
	texts, f := q.inputs()
	if f != nil {
		return reply{}, f
	}
	switch {
	case q.Encoding != "" && q.Encoding != "float" && q.Encoding != "base64":
		return reply{}, badRequest("encoding_format", fmt.Sprintf("Invalid value: '%s'. Supported values are: 'float' and 'base64'.", q.Encoding))
	case q.Dimensions < 0 || q.Dimensions > 3072:
		return reply{}, badRequest("dimensions", "Invalid 'dimensions': expected 1 to 3072.")
	}
	p := &prompt{}
	var a Answer
	for _, t := range texts {
		p.add("user", t)
		a.Prompt += CountTokens(t)
	}
	if f := x.direct(p); f != nil {
		return reply{}, f
	}
	var data list
	for i, t := range texts {
		v := Embedding(t, cmp.Or(q.Dimensions, 1536))
		data = append(data, obj("object", "embedding", "index", i, "embedding", encodeVector(v, q.Encoding)))
	}
	body := obj("object", "list", "data", data, "model", x.declared(m))
	if x.b.Usage != UsageNone {
		n := spell(x.b)
		if x.b.Usage == UsageNegative {
			a.Prompt = -a.Prompt
		}
		body = body.with("usage", obj("prompt_tokens", n(a.Prompt), "total_tokens", n(a.Prompt)))
	}
	return unaryOpenAI(x, body), nil
}

// encodeVector writes 32-bit floats as decimal numbers, or as base64 of their
// little-endian bytes; both give a client the same vector.
func encodeVector(v []float32, encoding string) raw {
	if encoding == "base64" {
		b := make([]byte, 0, 4*len(v))
		for _, f := range v {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(f))
		}
		return appendJSON(nil, base64.StdEncoding.EncodeToString(b))
	}
	items := make(list, len(v))
	for i, f := range v {
		items[i] = appendJSON(nil, float64(f))
	}
	return appendJSON(nil, items)
}
