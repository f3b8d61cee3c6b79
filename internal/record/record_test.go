package record

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fill sets every field reachable from v to a distinct non-zero value, so that a
// field forgotten by an encoder shows as a difference.
func fill(v reflect.Value, n *int64) {
	*n++
	switch v.Kind() {
	case reflect.String:
		v.SetString("é\"\\\n\u2028<&>\x01" + strings.Repeat("x", int(*n)))
	case reflect.Int64:
		v.SetInt(*n)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Struct:
		for _, field := range v.Fields() {
			fill(field, n)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			fill(v.Index(i), n)
		}
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"z": "1", "a\"": "2"}))
	default:
		panic(v.Kind())
	}
}

func filled[T any]() *T {
	v := new(T)
	n := int64(0)
	fill(reflect.ValueOf(v).Elem(), &n)
	return v
}

// TestRoundTrip proves for every kind that no field is lost and that the
// encoding is canonical: sorted members, no white space.
func TestRoundTrip(t *testing.T) {
	x := filled[Exchange]()
	cases := []struct {
		kind Kind
		enc  []byte
		want Record
	}{
		{KindIntent, x.Append(nil, KindIntent), Record{Kind: KindIntent, Exchange: x}},
		{KindRefused, x.Append(nil, KindRefused), Record{Kind: KindRefused, Exchange: x}},
		{KindOutcome, x.Append(nil, KindOutcome), Record{Kind: KindOutcome, Exchange: x}},
		{KindAttempt, filled[Attempt]().Append(nil), Record{Kind: KindAttempt, Attempt: filled[Attempt]()}},
		{KindCount, filled[Count]().Append(nil), Record{Kind: KindCount, Count: filled[Count]()}},
		{KindVerdict, filled[Verdict]().Append(nil), Record{Kind: KindVerdict, Verdict: filled[Verdict]()}},
		{KindStart, filled[Start]().Append(nil), Record{Kind: KindStart, Start: filled[Start]()}},
		{KindAdmin, filled[Admin]().Append(nil), Record{Kind: KindAdmin, Admin: filled[Admin]()}},
		{KindCard, filled[Card]().Append(nil), Record{Kind: KindCard, Card: filled[Card]()}},
		{KindStrangers, filled[Strangers]().Append(nil), Record{Kind: KindStrangers, Strangers: filled[Strangers]()}},
		{KindHead, filled[Head]().Append(nil), Record{Kind: KindHead, Head: filled[Head]()}},
	}
	for _, c := range cases {
		got, err := Decode(c.enc)
		if err != nil {
			t.Errorf("%s: %v", c.kind, err)
			continue
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: lost in the round trip (-want +got):\n%s", c.kind, diff)
		}
		if !bytes.Equal(c.enc, recode(t, c.enc)) {
			t.Errorf("%s: not canonical:\n%s\n%s", c.kind, c.enc, recode(t, c.enc))
		}
	}
}

// recode rewrites JSON with sorted keys by an independent path: a generic decode.
func recode(t *testing.T, b []byte) []byte {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return canonical(nil, v)
}

func canonical(b []byte, v any) []byte {
	switch v := v.(type) {
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		b = append(b, '{')
		for i, k := range keys {
			if i > 0 {
				b = append(b, ',')
			}
			b = canonical(append(AppendString(b, k), ':'), v[k])
		}
		return append(b, '}')
	case []any:
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = canonical(b, e)
		}
		return append(b, ']')
	case string:
		return AppendString(b, v)
	case json.Number:
		return append(b, v.String()...)
	case bool:
		if v {
			return append(b, "true"...)
		}
		return append(b, "false"...)
	}
	panic(v)
}

func TestDecodeIsStrict(t *testing.T) {
	for _, bad := range []string{
		``, `{}`, `null`, `{"k":"outcome"}`, `{"k":"nonsense","v":1}`, `{"k":"attempt","v":2}`,
		`{"k":"attempt","v":1,"extra":1}`, `{"k":"outcome","v":1,"tok":{"gold":1}}`, `{"k":"attempt","v":1,"n":"1"}`,
	} {
		if r, err := Decode([]byte(bad)); err == nil {
			t.Errorf("%s decoded as %+v", bad, r)
		}
	}
}

func TestAppendString(t *testing.T) {
	for in, want := range map[string]string{
		"":                `""`,
		"a\x00\x1f\b":     `"a\u0000\u001f\b"`,
		"\xff\"":          "\"\uFFFD\\\"\"",
		"\u2028</script>": "\"\u2028</script>\"",
	} {
		if got := string(AppendString(nil, in)); got != want {
			t.Errorf("%q became %s, want %s", in, got, want)
		}
	}
}

func BenchmarkOutcome(b *testing.B) {
	x := filled[Exchange]()
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		buf = x.Append(buf[:0], KindOutcome)
	}
}
