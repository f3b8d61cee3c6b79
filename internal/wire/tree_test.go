package wire

import (
	"slices"
	"testing"
)

// TestFields: keys count as decoded, of equal ones the last counts, and what was
// not taken remains unless it is null.
func TestFields(t *testing.T) {
	body := []byte(` { "r\u006fle" : "us\u0065r", "n":1 ,"n" : -2.5e+3, "q\"\\": ["]}\\", {"a":[]}], "x":null, "y":true,
		"a":0,"b":0,"c":0,"d":0,"e":0} `)
	f := Root(body).Fields()
	if role := f.Take("role"); !role.Is("user") || role.Is("us") || role.Is(`us\u0065r`) || role.String() != "user" {
		t.Errorf("role %q", role.Lit())
	}
	if n := f.Take("n"); string(n.Lit()) != "-2.5e+3" || n.Is("-2.5e+3") {
		t.Errorf("n %q", n.Lit())
	}
	if v := f.Take("absent"); v.Kind() != Absent || v.Is("") {
		t.Errorf("absent %q", v.Lit())
	}
	if q := f.Take(`q"\`); string(q.Lit()) != `["]}\\", {"a":[]}]` {
		t.Errorf("q %q", q.Lit())
	}
	var rest []string
	for _, v := range f.Rest() {
		rest = append(rest, string(v.Lit()))
	}
	if want := []string{"true", "0", "0", "0", "0", "0"}; !slices.Equal(rest, want) {
		t.Errorf("rest %q, want %q", rest, want)
	}
	for _, v := range Root([]byte(`7`)).Fields().Rest() {
		if string(v.Lit()) != "7" {
			t.Errorf("what is no object remains as %q", v.Lit())
		}
	}
}

// TestMembersEnd: a text that no scan has accepted gives no sense, but an end.
func TestMembersEnd(t *testing.T) {
	const text = `{"a":[1,{"b":"\\\""}],"c":@,:]}tru"`
	for from := range len(text) {
		for to := from; to <= len(text); to++ {
			for _, whole := range []string{text[from:to], "{" + text[from:to], "[" + text[from:to]} {
				span := Span{0, len(whole)}
				n := 0
				for range Elements([]byte(whole), span) {
					n++
				}
				for range Members([]byte(whole), span) {
					n++
				}
				if n > len(whole) {
					t.Fatalf("%d values in %q", n, whole)
				}
			}
		}
	}
}
