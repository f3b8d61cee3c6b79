package probe

import (
	"strings"
	"testing"
	"time"
)

// TestFacts reads the facts that are built in.
func TestFacts(t *testing.T) {
	f, err := parseFacts(factsJSON)
	if err != nil {
		t.Fatal(err)
	}
	for _, fact := range f.Facts {
		if fact.Source == "" || fact.Expires.Sub(fact.Checked.Time) >= maxFactAge {
			t.Errorf("%s: source %q, checked %v, expires %v", fact.ID, fact.Source, fact.Checked, fact.Expires)
		}
	}
	for model, want := range map[string]int{
		"gpt-4o-mini": 8, "openai/gpt-4.1": 8, "o3-mini": 6, "gpt-5-mini": 5, "gpt-oss-120b": 0, "smollm2-135m-instruct": 0, "qwen2.5-7b-instruct": 0, "gpt": 0,
	} {
		n := 0
		for _, fact := range f.Facts {
			if fact.about(Facts{Kind: "openai", Model: model}) {
				n++
			}
		}
		if n != want {
			t.Errorf("%d facts are about %s, want %d", n, model, want)
		}
	}
}

// TestFactsRefused breaks a file of facts in every way that is checked.
func TestFactsRefused(t *testing.T) {
	good := `{"date":"2026-11-26","facts":[{"id":"a","challenge":"unknown-model","models":["a-*"],"kinds":["openai"],"members":{},` +
		`"statement":"s","checked":"2026-11-26","expires":"2027-11-26","source":"https://example.com/a"}]}`
	if _, err := parseFacts([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"unknown member": {`"id"`, `"more":1,"id"`}, "no source": {`https://example.com/a`, ``}, "no https": {`https://`, `http://`},
		"no challenge": {`unknown-model`, `unknown`}, "no expiry": {`"expires":"2027-11-26",`, ``}, "too long": {`2027-11-26`, `2028-01-01`},
		"before": {`2027-11-26`, `2026-11-26`}, "checked later": {`"checked":"2026-11-26"`, `"checked":"2026-11-27"`}, "a bad date": {`2027-11-26`, `2027-13-26`},
		"a bad pattern": {`a-*`, `a-[`}, "another API": {`"openai"`, `"cohere"`}, "members": {`{},`, `[],`}, "no statement": {`"s"`, `""`},
		"no models": {`["a-*"]`, `[]`}, "more": {``, ``}, "no date": {`"date":"2026-11-26",`, ``}, "no JSON": {`{"date`, `{date`},
	} {
		bad := strings.Replace(good, change[0], change[1], 1)
		if name == "more" {
			bad = good + "{}"
		}
		if _, err := parseFacts([]byte(bad)); err == nil {
			t.Errorf("%s: taken: %s", name, bad)
		}
	}
	twice := strings.Replace(good, `"facts":[`, `"facts":[`+good[strings.Index(good, `{"id"`):len(good)-2]+",", 1)
	if _, err := parseFacts([]byte(twice)); err == nil {
		t.Error("a fact stands there twice and was taken")
	}
}

// TestFactExpires holds a fact up to its last day and not after.
func TestFactExpires(t *testing.T) {
	day := time.Date(2027, 5, 26, 0, 0, 0, 0, time.UTC)
	f := vendorFact{Expires: factDate{day}}
	if f.expired(day.Add(-time.Second)) || !f.expired(day) {
		t.Error("the fact does not expire when it should")
	}
	if referenceFact.expired(day) {
		t.Error("what the reference does expires with the reference")
	}
}
