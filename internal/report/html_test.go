package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/verdict"
)

func render(t *testing.T, r *verdict.Report) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := HTML(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// elements and attributes are all that a page may consist of.
var (
	elements = strings.Fields(`html head meta title style body main header footer section p h1 h2 h3 span strong b br dl div dt dd
		ul li table thead tbody tr th td code figure figcaption details summary svg path text desc`)
	attributes = strings.Fields(`lang charset http-equiv content name class scope colspan data-head id role aria-labelledby aria-hidden
		viewBox width height d x y`)
	structural = strings.Fields("class id http-equiv role aria-labelledby content data-head")
)

// skeleton is a page's elements with their attributes, and apart from them its text. The
// page is written so that it is well-formed XML too, which leaves a parser nothing to guess.
func skeleton(t *testing.T, page []byte) (tags []string, words string) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(page))
	var all strings.Builder
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return tags, all.String()
		}
		if err != nil {
			t.Fatalf("the page is not well-formed: %v", err)
		}
		switch token := token.(type) {
		case xml.CharData:
			all.Write(token)
		case xml.Comment, xml.ProcInst:
			t.Fatalf("%T in the page: %v", token, token)
		case xml.StartElement:
			tag := token.Name.Local
			if !slices.Contains(elements, tag) {
				t.Fatalf("element %q in the page", tag)
			}
			for _, a := range token.Attr {
				if !slices.Contains(attributes, a.Name.Local) {
					t.Fatalf("attribute %q of %s in the page", a.Name.Local, tag)
				}
				if slices.Contains(structural, a.Name.Local) {
					tag += fmt.Sprintf(" %s=%q", a.Name.Local, a.Value)
				}
			}
			tags = append(tags, tag)
		}
	}
}

func TestHTML(t *testing.T) {
	sum := sha256.Sum256([]byte(pageStyle))
	policy := fmt.Sprintf(`meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-%s'; base-uri 'none'; form-action 'none'"`,
		base64.StdEncoding.EncodeToString(sum[:]))
	for name, sample := range samples {
		page := render(t, sample())
		tags, _ := skeleton(t, page)
		if !slices.Contains(tags, policy) {
			t.Errorf("%s: no policy %s", name, policy)
		}
		// What a browser hashes is the text of the element, byte by byte.
		if _, rest, _ := bytes.Cut(page, []byte("<style>")); !bytes.HasPrefix(rest, []byte(pageStyle+"</style>")) {
			t.Errorf("%s: the stylesheet is not the one that was hashed", name)
		}
		if bytes.Count(page, []byte("<style")) != 1 {
			t.Errorf("%s: styles beside the one stylesheet", name)
		}
		seen := map[string]bool{}
		for _, tag := range tags {
			if _, id, ok := strings.Cut(tag, ` id="`); ok {
				if seen[id] {
					t.Errorf("%s: id %s twice", name, id)
				}
				seen[id] = true
			}
		}
	}
}

// TestHTMLSays: what matters most to a reader stands in the page.
func TestHTMLSays(t *testing.T) {
	for name, wants := range map[string][]string{
		"nothing": {
			"No difference found", "What it does not mean", "4 of 12 queries failed", "10 % of requests", "48,211", "could have waited",
			"sallyport audit verify audits/2026-11-22-cheap-relay.sealed", "entitled to test",
		},
		"quick": {"Identity not tested", "This is not a pass", "cost unknown", "nobody else can check", "answers were compared with nothing"},
		"swap": {
			"Differs from the reference", "2.5×10¹⁹", "modified prompt", `HelpBot\u202e. <script>alert(1)</script>\u001b[31m`,
			"quantisation or another engine", "Ended before",
		},
	} {
		_, words := skeleton(t, render(t, samples[name]()))
		for _, want := range wants {
			if !strings.Contains(words, want) {
				t.Errorf("%s: %q is missing", name, want)
			}
		}
	}
	if page := render(t, quick()); bytes.Contains(page, []byte("USD 0<")) || bytes.Contains(page, []byte(`data-head="Cost, USD">0<`)) {
		t.Error("an unknown cost is shown as nothing")
	}
}

// TestEveryChartHasItsData: a drawing has a name, a description and its data beneath it.
func TestEveryChartHasItsData(t *testing.T) {
	for name, sample := range samples {
		tags, _ := skeleton(t, render(t, sample()))
		number := func(prefix string) (n int) {
			for _, tag := range tags {
				if strings.HasPrefix(tag, prefix) {
					n++
				}
			}
			return n
		}
		charts := number(`svg class="chart" role="img"`)
		for _, part := range []string{"title id=", "desc id=", "details", "figcaption"} {
			if n := number(part); charts == 0 || n != charts {
				t.Errorf("%s: %d charts, %d %s", name, charts, n, part)
			}
		}
	}
}

// poison replaces every string but those of the closed lists that shape the page.
func poison(v reflect.Value, with string) {
	switch v.Kind() {
	case reflect.String:
		if v.Type() != reflect.TypeFor[verdict.ChartKind]() && v.Type() != reflect.TypeFor[verdict.State]() {
			v.SetString(with)
		}
	case reflect.Struct:
		for _, field := range v.Fields() {
			if field.CanSet() {
				poison(field, with)
			}
		}
	case reflect.Pointer:
		if !v.IsNil() {
			poison(v.Elem(), with)
		}
	case reflect.Slice:
		for i := range v.Len() {
			poison(v.Index(i), with)
		}
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]int{with: 3}))
	}
}

// FuzzHTML: whatever the strings of a report, the page has the elements and attributes
// that it has with harmless ones, and shows the strings as text.
func FuzzHTML(f *testing.F) {
	for _, seed := range []string{
		"<script>alert(1)</script>", `"><img src=x onerror=alert(1)>`, "' onmouseover='x", "</style><style>*{display:none}", "</title><b>",
		"]]>", "<!--", "-->", "{{.}}", "\x00\xff\ufffe\u202e", "javascript:alert(1)", "&lt;&#60;&amp", "url(http://x)", "</svg><a href=x>", "`${x}`",
	} {
		f.Add(seed)
	}
	small := func(with string) *verdict.Report { // few points, to try more strings
		r := swap()
		for i := range r.Verdicts {
			r.Verdicts[i].Curve = r.Verdicts[i].Curve[:2]
		}
		r.Detectors[0].Charts[0] = cells(0)
		poison(reflect.ValueOf(r).Elem(), with)
		return r
	}
	var want []string
	f.Fuzz(func(t *testing.T, with string) {
		if with == "" {
			return // parts of the page are left out then
		}
		if want == nil {
			want, _ = skeleton(t, render(t, small("x")))
		}
		page := render(t, small(with))
		got, words := skeleton(t, page)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%q changes the page:\n%s", with, diff)
		}
		if !strings.Contains(words, shown(with, maxText)) {
			t.Fatalf("%q is not shown", with)
		}
		if bytes.Contains(bytes.ToLower(page), []byte("<script")) || !bytes.Contains(page, []byte("default-src &#39;none&#39;; style-src &#39;sha256-")) {
			t.Fatal("a script, or no policy")
		}
	})
}
