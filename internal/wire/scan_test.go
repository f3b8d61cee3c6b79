package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"sallyport/internal/fault"
)

func TestScanRefuses(t *testing.T) {
	deep := func(n int, open, end string) string {
		return `{"a":` + strings.Repeat(open, n) + strings.Repeat(end, n) + `}`
	}
	wide := func(last string) string {
		var b strings.Builder
		for i := range 100 {
			fmt.Fprintf(&b, `"key%d":%d,`, i, i)
		}
		return "{" + b.String() + last + ":1}"
	}
	for _, c := range []struct{ name, body, words, pointer string }{
		{"empty", "", flawWords[flawEnd], ""},
		{"blank", " \n", flawWords[flawEnd], ""},
		{"mark", "\xEF\xBB\xBF{}", flawWords[flawMark], ""},
		{"array on top", "[]", flawWords[flawTop], ""},
		{"string on top", `"x"`, flawWords[flawTop], ""},
		{"trailing object", "{}{}", flawWords[flawTrailing], ""},
		{"trailing NUL", "{}\x00", flawWords[flawTrailing], ""},
		{"cut in object", `{"a":1`, flawWords[flawEnd], "/a"},
		{"cut after brace", `{`, flawWords[flawEnd], ""},
		{"cut after comma", `{"a":1,`, flawWords[flawEnd], ""},
		{"cut after colon", `{"a":`, flawWords[flawEnd], "/a"},
		{"cut after key", `{"a"`, flawWords[flawEnd], "/a"},
		{"cut in key", `{"a`, flawWords[flawEnd], ""},
		{"cut in string", `{"a":["x","y`, flawWords[flawEnd], "/a/1"},
		{"cut in escape", `{"a":"\`, flawWords[flawEnd], "/a"},
		{"cut in array", `{"a":[1`, flawWords[flawEnd], "/a/0"},
		{"cut in literal", `{"a":tru`, flawWords[flawEnd], "/a"},
		{"wrong literal near the end", `{"":f},`, flawWords[flawSyntax], "/"},
		{"no colon", `{"a" 1}`, flawWords[flawSyntax], "/a"},
		{"no comma", `{"a":1 "b":2}`, flawWords[flawSyntax], "/a"},
		{"comma at end of object", `{"a":1,}`, flawWords[flawSyntax], ""},
		{"comma at end of array", `{"a":[1,]}`, flawWords[flawSyntax], "/a/1"},
		{"key without quotes", `{a:1}`, flawWords[flawSyntax], ""},
		{"comment", `{"a":1/*x*/}`, flawWords[flawSyntax], "/a"},
		{"NaN", `{"a":NaN}`, flawWords[flawSyntax], "/a"},
		{"wrong literal", `{"a":{"b":nulL}}`, flawWords[flawSyntax], "/a/b"},
		{"form feed as space", "{\f}", flawWords[flawSyntax], ""},
		{"no-break space", "{\u00a0}", flawWords[flawSyntax], ""},
		{"leading zero", `{"a":[0,01]}`, flawWords[flawNumber], "/a/1"},
		{"plus sign", `{"a":+1}`, flawWords[flawSyntax], "/a"},
		{"bare minus", `{"a":-}`, flawWords[flawNumber], "/a"},
		{"bare point", `{"a":1.}`, flawWords[flawNumber], "/a"},
		{"no digits before point", `{"a":.5}`, flawWords[flawSyntax], "/a"},
		{"bare exponent", `{"a":1e+}`, flawWords[flawNumber], "/a"},
		{"hex", `{"a":0x1}`, flawWords[flawSyntax], "/a"},
		{"line feed in string", "{\"a\":\"x\ny\"}", flawWords[flawControl], "/a"},
		{"NUL in key", "{\"a\x00\":1}", flawWords[flawControl], ""},
		{"control late in string", "{\"a\":\"" + strings.Repeat("x", 100) + "\x1f" + strings.Repeat("y", 100) + "\"}", flawWords[flawControl], "/a"},
		{"unknown escape", `{"a":"\x41"}`, flawWords[flawEscape], "/a"},
		{"short escape", `{"a":"\u00g0"}`, flawWords[flawEscape], "/a"},
		{"capital U escape", `{"a":"\U0041"}`, flawWords[flawEscape], "/a"},
		{"lone high surrogate", `{"a":"\ud83d"}`, flawWords[flawSurrogate], "/a"},
		{"lone low surrogate", `{"a":"\uDE00 and more text"}`, flawWords[flawSurrogate], "/a"},
		{"surrogates swapped", `{"a":"\ude00\ud83d"}`, flawWords[flawSurrogate], "/a"},
		{"high surrogate twice", `{"a":"\ud83d\ud83d"}`, flawWords[flawSurrogate], "/a"},
		{"surrogate in key", `{"\ud83d":1}`, flawWords[flawSurrogate], ""},
		{"bad byte", "{\"a\":\"\xff\"}", flawWords[flawUTF8], "/a"},
		{"overlong", "{\"a\":\"\xc0\xaf ........\"}", flawWords[flawUTF8], "/a"},
		{"overlong of three", "{\"a\":\"\xe0\x80\xaf ........\"}", flawWords[flawUTF8], "/a"},
		{"raw surrogate", "{\"a\":\"\xed\xa0\x80 ........\"}", flawWords[flawUTF8], "/a"},
		{"overlong of four", "{\"a\":\"\xf0\x8f\xbf\xbf ........\"}", flawWords[flawUTF8], "/a"},
		{"beyond Unicode", "{\"a\":\"\xf4\x90\x80\x80 ........\"}", flawWords[flawUTF8], "/a"},
		{"cut character", "{\"a\":\"\xe2\x82\"}", flawWords[flawUTF8], "/a"},
		{"Latin-1 in key", "{\"a\":{\"caf\xe9\":1}}", flawWords[flawUTF8], "/a"},
		{"duplicate", `{"a":1,"a":2}`, flawWords[flawDuplicate], "/a"},
		{"duplicate far below", `{"messages":[{},{"x":{"y":1,"z":2,"y":3}}]}`, flawWords[flawDuplicate], "/messages/1/x/y"},
		{"duplicate by escape", `{"model":"x","mod\u0065l":"y"}`, flawWords[flawDuplicate], "/model"},
		{"duplicate of escapes", `{"\u0061/~":1,"a\/~":1}`, flawWords[flawDuplicate], "/a~1~0"},
		{"duplicate emoji", `{"😀":1,"\ud83d\ude00":1}`, flawWords[flawDuplicate], "/😀"},
		{"duplicate empty", `{"":1,"":1}`, flawWords[flawDuplicate], "/"},
		{"duplicate after inner object", `{"a":{"b":1,"c":{"a":1}},"a":1}`, flawWords[flawDuplicate], "/a"},
		{"duplicate long keys", `{"a_long_key_name":1,"a_long_key_namf":1,"a_long_key_name":1}`, flawWords[flawDuplicate], "/a_long_key_name"},
		{"duplicate among many", wide(`"key3"`), flawWords[flawDuplicate], "/key3"},
		{"duplicate of the last of many", wide(`"key99"`), flawWords[flawDuplicate], "/key99"},
		{"duplicate among many by escape", wide(`"ke\u00793"`), flawWords[flawDuplicate], "/key3"},
		{"deep objects", deep(9, `{"b":`, `}`) + "", flawWords[flawDepth], "/a/b/b/b/b/b/b/b"},
		{"deep arrays", deep(9, `[`, `]`), flawWords[flawDepth], "/a/0/0/0/0/0/0/0"},
		{"very deep", `{"a":` + strings.Repeat(`[`, 1<<20), flawWords[flawDepth], "/a/0/0/0/0/0/0/0"},
		{"variant", `{"Model":"x"}`, flawWords[flawVariant] + `"model"`, "/Model"},
		{"variant by escape", `{"\u004dodel":"x"}`, flawWords[flawVariant] + `"model"`, "/Model"},
		{"long s", `{"meſſages":[]}`, flawWords[flawVariant] + `"messages"`, "/meſſages"},
		{"escaped long s", `{"me\u017f\u017fages":[]}`, flawWords[flawVariant] + `"messages"`, "/meſſages"},
		{"Kelvin sign", `{"max_to\u212Aens":1}`, flawWords[flawVariant] + `"max_tokens"`, "/max_to\u212aens"},
		{"variant beside the name", `{"model":"x","MODEL":"y"}`, flawWords[flawVariant] + `"model"`, "/MODEL"},
		{"pointer with long key", `{"a":{"` + strings.Repeat("k", 300) + `":{"b":?}}}`, flawWords[flawSyntax], "/a"},
	} {
		guard := NewGuard("model", "messages", "max_tokens")
		err := Scan([]byte(c.body), Limits{Depth: 8}, guard, make([]Span, guard.Len()))
		var f *fault.Error
		if !errors.As(err, &f) {
			t.Errorf("%s: accepted %.60q", c.name, c.body)
			continue
		}
		if f.Kind != fault.BadRequest || !strings.HasPrefix(f.Message(), "the request body "+c.words+" (byte ") || f.Pointer != c.pointer {
			t.Errorf("%s: %v at %q, want %q at %q", c.name, f, f.Pointer, c.words, c.pointer)
		}
	}
}

func TestScanFinds(t *testing.T) {
	body := []byte("\r\n\t {\"stream\" : false , \"mod\\u0065l\":\"a\\\"b\", \"n\":-0.5E+10,\"x\":{\"model\":1,\"Model\":2},\"temperature\":[ ] }\n")
	names := NewGuard("model", "stream", "n", "absent")
	out := []Span{{9, 9}, {9, 9}, {9, 9}, {9, 9}}
	if err := Scan(body, Limits{Depth: 2}, names, out); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{`"a\"b"`, `false`, `-0.5E+10`, ``} {
		if got := string(out[i].Of(body)); got != want {
			t.Errorf("span %d is %q, want %q", i, got, want)
		}
	}
	if text, whole := Text(out[0].Of(body), 10); text != `a"b` || !whole {
		t.Errorf("decoded %q", text)
	}
}

func TestScanAnswerForgives(t *testing.T) {
	body := []byte(`{"a":1,"b":"\ud83d","a":{"c":1,"c":2}}`)
	names := NewNames("a", "b")
	out := make([]Span, 2)
	if err := ScanAnswer(body, names, out); err != nil {
		t.Fatal(err)
	}
	if got := string(out[0].Of(body)); got != `{"c":1,"c":2}` {
		t.Errorf("the last of two equal keys should count, got %s", got)
	}
	inner := make([]Span, 1)
	if err := Lookup(body, out[0], NewNames("c"), inner); err != nil || string(inner[0].Of(body)) != "2" {
		t.Errorf("lookup gave %q, %v", inner[0].Of(body), err)
	}
	if text, whole := Text(out[1].Of(body), 10); text != "\uFFFD" || !whole {
		t.Errorf("half a pair decoded to %q", text)
	}
	for _, bad := range []string{"", "[]", `{"a":1}x`, "{\"a\":\"\xff\"}", "\xEF\xBB\xBF{}", `{"a":` + strings.Repeat("[", MaxDepth+1)} {
		var f *fault.Error
		if err := ScanAnswer([]byte(bad), nil, nil); !errors.As(err, &f) || f.Kind != fault.UpstreamInvalid {
			t.Errorf("%.20q gave %v", bad, err)
		}
	}
}

func TestLookupGuards(t *testing.T) {
	body := []byte(`{"stream_options":{"include_usage":false,"x":1},"o":{"Include_Usage":1},"n":null}`)
	top, out := make([]Span, 3), make([]Span, 1)
	if err := Scan(body, Limits{Depth: 3}, NewGuard("stream_options", "o", "n"), top); err != nil {
		t.Fatal(err)
	}
	guard := NewGuard("include_usage")
	if err := Lookup(body, top[0], guard, out); err != nil || string(out[0].Of(body)) != "false" {
		t.Errorf("found %q, %v", out[0].Of(body), err)
	}
	var f *fault.Error
	if err := Lookup(body, top[1], guard, out); !errors.As(err, &f) || f.Pointer != "/o/Include_Usage" {
		t.Errorf("the variant gave %v", err)
	}
	if err := Lookup(body, top[2], guard, out); !errors.As(err, &f) || f.Pointer != "/n" {
		t.Errorf("null gave %v", err)
	}
}

func TestMembersAreBounded(t *testing.T) {
	object := func(n int) []byte {
		b := []byte{'{'}
		for i := range n {
			b = fmt.Appendf(b, `"%x":0,`, i)
		}
		return append(b[:len(b)-1], '}')
	}
	if err := Scan(object(MaxMembers), Limits{Depth: 1}, nil, nil); err != nil {
		t.Error(err)
	}
	if err := Scan(object(MaxMembers+1), Limits{Depth: 1}, nil, nil); err == nil || !strings.Contains(err.Error(), flawWords[flawMembers]) {
		t.Errorf("one member too many gave %v", err)
	}
}

func TestDepthIsBounded(t *testing.T) {
	nested := func(n int) []byte {
		return []byte(`{"a":` + strings.Repeat("[", n-1) + strings.Repeat("]", n-1) + `}`)
	}
	for _, c := range []struct {
		limit, depth int
		ok           bool
	}{{0, 1, false}, {1, 1, true}, {1, 2, false}, {MaxDepth, MaxDepth, true}, {1 << 40, MaxDepth + 1, false}} {
		body := nested(c.depth)
		if c.depth == 1 {
			body = []byte(`{}`)
		}
		if err := Scan(body, Limits{Depth: c.limit}, nil, nil); (err == nil) != c.ok {
			t.Errorf("depth %d under a limit of %d: %v", c.depth, c.limit, err)
		}
	}
}

// judge says by an independent path, encoding/json, why Scan must refuse a body;
// "" when it must accept it.
func judge(body []byte, depth int) string {
	switch {
	case !json.Valid(body):
		return "not JSON"
	case !utf8.Valid(body):
		return "not UTF-8"
	case bytes.TrimLeft(body, " \t\r\n")[0] != '{':
		return "no object"
	}
	type level struct {
		seen map[string]bool // nil in arrays
		key  bool            // a key comes next
	}
	var open []level
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	for {
		from := d.InputOffset()
		tok, err := d.Token()
		if err != nil {
			return ""
		}
		if s, ok := tok.(string); ok && strings.ContainsRune(s, utf8.RuneError) && lonely(body[from:d.InputOffset()]) {
			return "half a surrogate pair"
		}
		top := len(open) - 1
		if top >= 0 && open[top].seen != nil && open[top].key {
			if k, ok := tok.(string); ok {
				if open[top].seen[k] {
					return "duplicate"
				}
				open[top].seen[k], open[top].key = true, false
				continue
			}
		}
		switch tok {
		case json.Delim('{'):
			open = append(open, level{map[string]bool{}, true})
		case json.Delim('['):
			open = append(open, level{})
		case json.Delim('}'), json.Delim(']'):
			open = open[:top]
		}
		if len(open) > depth {
			return "depth"
		}
		if top = len(open) - 1; top >= 0 && tok != json.Delim('{') {
			open[top].key = true
		}
	}
}

// lonely reports whether a raw string holds an escape that decodes to U+FFFD and
// does not name it.
func lonely(raw []byte) bool {
	named := bytes.Count(raw, []byte("\uFFFD"))
	for i := 0; i+6 <= len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		if raw[i+1] == 'u' && bytes.EqualFold(raw[i+2:i+6], []byte("fffd")) {
			named++
		}
		i++
	}
	var s string
	if err := json.Unmarshal(raw[bytes.IndexByte(raw, '"'):], &s); err != nil {
		panic(err)
	}
	return strings.Count(s, "\uFFFD") > named
}

func FuzzScan(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"a":1,"a":2}`, `{"model":"x","messages":[{"role":"user","content":"h\u00e9 \ud83d\ude00"}]}`,
		`[1,2.5e-3,true,false,null]`, "{\"a\":\"\xff\"}", `{"a":"\ud800"}`, "\xEF\xBB\xBF{}", `{"a":[[[[[[[[]]]]]]]]}`,
		`{"a":{"b":{"b":1},"b":2},"\u0061":0}`, `{"":"","x":"\uFFFD` + "\uFFFD" + `"}`, `{"a":1}{"a":1}`, `{"a":0123}`,
		string(chatBody(500, texts["mixed"])), string(chatBody(500, texts["cjk"])), `{"a":"` + strings.Repeat("x", 70) + "\u00e9" + `"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		const depth = 6
		names := NewNames("a", "model", "messages")
		out := make([]Span, 3)
		err := Scan(body, Limits{Depth: depth}, names, out)
		why := judge(body, depth)
		if (err == nil) != (why == "") {
			t.Fatalf("Scan says %v, encoding/json %q, of %q", err, why, body)
		}
		lax := ScanAnswer(body, nil, nil)
		if err == nil && lax != nil {
			t.Fatalf("ScanAnswer refuses what Scan accepts: %v", lax)
		}
		if lax == nil && !json.Valid(body) {
			t.Fatalf("ScanAnswer accepts what is not JSON: %q", body)
		}
		if err != nil {
			if p := fault.From(err).Pointer; len(p) > maxPointer {
				t.Fatalf("pointer of %d bytes", len(p))
			}
			return
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal(body, &want); err != nil {
			t.Fatal(err)
		}
		for i, n := range []string{"a", "model", "messages"} {
			got := out[i].Of(body)
			if !bytes.Equal(got, want[n]) {
				t.Fatalf("%s is %q, want %q", n, got, want[n])
			}
			compareValue(t, body, out[i])
		}
	})
}

// compareValue compares every accessor with encoding/json on one value.
func compareValue(t *testing.T, body []byte, v Span) {
	lit := v.Of(body)
	switch KindOf(lit) {
	case String:
		var want string
		if err := json.Unmarshal(lit, &want); err != nil {
			t.Fatal(err)
		}
		if got, whole := Text(lit, len(lit)); got != want || !whole {
			t.Fatalf("%s decodes to %q, want %q", lit, got, want)
		}
		if got, whole := Text(lit, 3); !strings.HasPrefix(want, got) || whole != (got == want) || len(got) > 3 || !utf8.ValidString(got) {
			t.Fatalf("%s cut to %q", lit, got)
		}
		if Filled(lit) != (want != "") {
			t.Fatalf("%s filled: %v", lit, Filled(lit))
		}
	case Number:
		var want int64
		err := json.Unmarshal(lit, &want)
		if got, ok := Int(lit); ok != (err == nil) || ok && got != want {
			t.Fatalf("%s is %d %v, want %d %v", lit, got, ok, want, err)
		}
	case Array:
		var want []json.RawMessage
		if err := json.Unmarshal(lit, &want); err != nil {
			t.Fatal(err)
		}
		n := 0
		for e := range Elements(body, v) {
			if !bytes.Equal(e.Of(body), want[n]) {
				t.Fatalf("element %d is %q, want %q", n, e.Of(body), want[n])
			}
			n++
		}
		if n != len(want) || Filled(lit) != (n > 0) {
			t.Fatalf("%d elements of %s", n, lit)
		}
	case Object:
		var want map[string]json.RawMessage
		if err := json.Unmarshal(lit, &want); err != nil {
			t.Fatal(err)
		}
		n := 0
		for k, e := range Members(body, v) {
			name, _ := Text(k.Of(body), len(body))
			if !bytes.Equal(e.Of(body), want[name]) {
				t.Fatalf("member %q is %q, want %q", name, e.Of(body), want[name])
			}
			one := make([]Span, 1)
			if err := Lookup(body, v, NewNames(name), one); err != nil || one[0] != e {
				t.Fatalf("lookup of %q found %v, not %v: %v", name, one[0], e, err)
			}
			n++
		}
		if n != len(want) || Filled(lit) != (n > 0) {
			t.Fatalf("%d members of %s", n, lit)
		}
	}
}

func TestTextIsBounded(t *testing.T) {
	for _, c := range []struct {
		lit   string
		limit int
		want  string
		whole bool
	}{
		{`"abc"`, 3, "abc", true},
		{`"abcd"`, 3, "abc", false},
		{`"aé"`, 2, "a", false},
		{`"\u00e9"`, 2, "é", true},
		{`""`, 0, "", true},
		{`12`, 9, "", false},
		{`null`, 9, "", false},
		{``, 9, "", false},
		{`"😀"`, 3, "", false},
		{`"` + strings.Repeat(`\u0041`, 1000) + `"`, 10, strings.Repeat("A", 10), false},
		{`"` + strings.Repeat(`\\`, 1000) + `"`, 5, strings.Repeat(`\`, 5), false},
		{`"a` + strings.Repeat(`\ud83d\ude00`, 1000) + `"`, 5, "a😀", false},
	} {
		for shift := range 14 { // the cut falls on every part of an escape
			lit := c.lit
			want := c.want
			if shift > 0 && len(lit) > 100 {
				lit, want = lit[:1]+strings.Repeat("-", shift)+lit[1:], strings.Repeat("-", shift)+want
			} else if shift > 0 {
				break
			}
			if got, whole := Text([]byte(lit), c.limit+shift); got != want || whole != c.whole {
				t.Errorf("Text(%.20s, %d) is %q, %v", lit, c.limit+shift, got, whole)
			}
		}
	}
}

func FuzzAppendString(f *testing.F) {
	f.Add("a\"\\\n\t\r\x00\x1f\x7f\u0085\u2028😀\xff")
	f.Fuzz(func(t *testing.T, s string) {
		lit := AppendString([]byte(`{"a":`), s)
		body := append(lit, '}')
		out := make([]Span, 1)
		if err := Scan(body, Limits{Depth: 1}, NewNames("a"), out); err != nil {
			t.Fatal(err)
		}
		got, whole := Text(out[0].Of(body), 6*len(s))
		if want := strings.ToValidUTF8(s, "\uFFFD"); !whole || strings.ReplaceAll(got, "\uFFFD", "") != strings.ReplaceAll(want, "\uFFFD", "") {
			t.Fatalf("%q came back as %q", s, got)
		}
		for _, r := range string(body) {
			if r < ' ' || r >= 0x7F && r <= 0x9F {
				t.Fatalf("control character in %q", body)
			}
		}
	})
}
