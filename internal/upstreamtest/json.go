package upstreamtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// raw is JSON that is already encoded.
type raw []byte

// list is a JSON array of encoded elements.
type list []raw

// obj encodes a JSON object from names and values in the order given, which is
// the order the vendors use. Values are nil, bool, int, int64, float64, string,
// raw or list.
func obj(pairs ...any) raw {
	b := []byte{'{'}
	for i := 0; i < len(pairs); i += 2 {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSON(b, pairs[i])
		b = append(b, ':')
		b = appendJSON(b, pairs[i+1])
	}
	return append(b, '}')
}

// with adds members before the closing brace of an object.
func (r raw) with(pairs ...any) raw {
	if len(pairs) == 0 {
		return r
	}
	more := obj(pairs...)
	if len(pairs) == 0 {
		return r
	}
	if len(r) == len("{}") {
		return more
	}
	b := append(raw(nil), r[:len(r)-1]...)
	b = append(b, ',')
	return append(b, more[1:]...)
}

func appendJSON(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case bool:
		return strconv.AppendBool(b, v)
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case float64:
		return strconv.AppendFloat(b, v, 'g', -1, 64)
	case string:
		var out bytes.Buffer
		e := json.NewEncoder(&out)
		e.SetEscapeHTML(false)
		if err := e.Encode(v); err != nil {
			panic(fmt.Sprintf("encode string: %v", err)) // strings always encode
		}
		return append(b, bytes.TrimRight(out.Bytes(), "\n")...)
	case raw:
		return append(b, v...)
	case list:
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, e...)
		}
		return append(b, ']')
	}
	panic(fmt.Sprintf("no JSON form for %T", v))
}

// indent lays an object out as OpenAI lays out its unary answers.
func indent(r raw) raw {
	var out bytes.Buffer
	if err := json.Indent(&out, r, "", "  "); err != nil {
		return r
	}
	out.WriteByte('\n')
	return out.Bytes()
}

// oddMember is a member that no client knows, with spellings that survive only
// if bytes are kept: exponents, trailing zeros, negative zero, more digits than
// a float64 holds, escapes that need none.
const oddMember = `"x_unknown" : {"n":1.0E+2, "z":0.10,"neg":-0,"big":123456789012345678901234567890,"e":1e-400,` +
	`"esc":"\u0041\/\u00e9\ud83d\ude00","nested":[ [ ],{ } , null],"x_unknown":true}`

// disfigure applies Odd and Duplicate to an object.
func disfigure(r raw, b Behaviour) raw {
	if len(r) < 3 || r[0] != '{' {
		return r
	}
	if b.Duplicate {
		r = r.with("model", "duplicate-model", "usage", nil, "id", "duplicate-id")
	}
	if b.Odd {
		out := append(raw(nil), "{ \t"...)
		out = append(out, oddMember...)
		out = append(out, " ,"...)
		r = append(out, r[1:]...)
	}
	return r
}
