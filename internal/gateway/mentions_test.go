package gateway_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/gateway"
	"sallyport/internal/keep"
	"sallyport/internal/wire"
)

// reference finds what Mentions must find, by a decoder that knows nothing of spans:
// the ids, without order.
func reference(v any, depth int, sort, inside keep.Kind, calls bool) (ids []string) {
	switch v := v.(type) {
	case string:
		if sort != "" {
			ids = append(ids, string(sort)+" "+v)
		}
	case []any:
		for _, e := range v {
			ids = append(ids, reference(e, depth+1, sort, sort, calls)...)
		}
	case map[string]any:
		for name, e := range v {
			name = strings.ReplaceAll(strings.ToLower(strings.ToUpper(name)), "_", "")
			member, opaque := gateway.Member(name)
			if member == keep.Conversation && depth > 0 {
				member = ""
			}
			if name == "id" {
				member = inside
			}
			if opaque || calls && name == "input" {
				continue
			}
			ids = append(ids, reference(e, depth+1, member, member, calls)...)
		}
	}
	return ids
}

// FuzzMentions: one pass over the bytes finds the ids that decoding the body finds.
func FuzzMentions(f *testing.F) {
	for _, seed := range []string{
		`{"file_id":"a"}`, `{"x":[{"file_ids":["a",["b"],{"file_id":"c","id":"d"}]}]}`, `{"conversation":{"id":"c"},"a":{"conversation":"d"}}`,
		`{"container":{"type":"auto","file_ids":["f\\"]},"metadata":{"file_id":"x"},"input":[{"file_id":"y\\\""}]}`, `{"FILE_\u0049D":"k","file\u212Aid":"l","ﬁleid":"m"}`,
		`{"parameters":[{"file_id":"a"}],"b":{"fileUri":"files/x"},"vector_store_ids":[]}`, `{"file_id":{"id":"a"},"container":[{"id":"b"}]}`,
	} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, body string, calls bool) {
		if wire.Scan([]byte(body), wire.Limits{Depth: 64}, nil, nil) != nil {
			return
		}
		var v any
		if err := json.Unmarshal([]byte(body), &v); err != nil {
			return
		}
		got, want := gateway.Mentions([]byte(body), calls), reference(v, 0, "", "", calls)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: found %q, want %q", body, got, want)
		}
	})
}

func BenchmarkMentions(b *testing.B) {
	body := []byte(`{"model":"fast","messages":[` + strings.Repeat(`{"role":"user","content":"a text of the usual kind, with \"quotes\" and\nlines, that goes on for a while and then ends"},`, 80) + `{"role":"user","content":"hi"}]}`)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		gateway.Mentions(body, false)
	}
}
