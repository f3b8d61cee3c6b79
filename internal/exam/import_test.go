package exam

import (
	"slices"
	"strings"
	"testing"
)

const goodLine = `{"question":"2+2?","choices":["3","4"],"answer":"4","licence":"MIT","source":"example","family":"sums"}`

func TestImport(t *testing.T) {
	items, err := Import(strings.NewReader(goodLine+"\r\n\n"+`{"question":"capital of France?","answer":"Paris","licence":"CC0","source":"own"}`), Limits{})
	if err != nil || len(items) != 2 {
		t.Fatalf("%v, %v", items, err)
	}
	if got := items[0]; got.Question != "2+2?" || !slices.Equal(got.Choices, []string{"3", "4"}) || got.Answer != "4" || got.Licence != "MIT" || got.Source != "example" || got.Family != "sums" {
		t.Errorf("%+v", got)
	}
	if PublicWeight != 0 {
		t.Error("public questions weigh in a verdict")
	}
}

func TestPublicItemIsGraded(t *testing.T) {
	for _, c := range []struct {
		item         PublicItem
		kind         Kind
		right, wrong string
	}{
		{PublicItem{Question: "2+2?", Choices: []string{"3", "4"}, Answer: "4"}, Choice, "B", "A"},
		{PublicItem{Question: "12*12.5?", Answer: "150.0"}, Number, "Answer: 150", "Answer: 15"},
		{PublicItem{Question: "capital?", Answer: "Paris"}, Text, "Answer: Paris", "Answer: Rome"},
		{PublicItem{Question: "ratio?", Answer: "1/2"}, Text, "1/2", "2"},
	} {
		item := c.item.Item()
		if item.Kind != c.kind || Grade(item, c.right).Verdict != Right || Grade(item, c.wrong).Verdict != Wrong {
			t.Errorf("%+v: %+v, %+v", item, Grade(item, c.right), Grade(item, c.wrong))
		}
	}
}

func TestImportRefuses(t *testing.T) {
	for _, c := range []struct{ name, line, want string }{
		{"no object", `[1]`, "not a JSON object"},
		{"no JSON", `hello`, "not a JSON object"},
		{"unknown key", strings.Replace(goodLine, `"family"`, `"famly"`, 1), `key "famly"`},
		{"other case", strings.Replace(goodLine, `"answer"`, `"Answer"`, 1), `key "Answer"`},
		{"repeated key", strings.Replace(goodLine, `"family":"sums"`, `"answer":"3"`, 1), `key "answer" is unknown or repeated`},
		{"escaped repetition", strings.Replace(goodLine, `"family":"sums"`, `"\u0061nswer":"3"`, 1), `key "answer" is unknown or repeated`},
		{"no licence", strings.Replace(goodLine, `"licence":"MIT",`, ``, 1), `"licence" is missing`},
		{"null source", strings.Replace(goodLine, `"example"`, `null`, 1), `"source" is missing`},
		{"number as answer", strings.Replace(goodLine, `"answer":"4"`, `"answer":4`, 1), `key "answer"`},
		{"answer no choice", strings.Replace(goodLine, `"answer":"4"`, `"answer":"5"`, 1), "not one of the choices"},
		{"one choice", strings.Replace(goodLine, `["3","4"]`, `["4"]`, 1), "1 choices"},
		{"same choices", strings.Replace(goodLine, `["3","4"]`, `["4","4"]`, 1), "choice 2"},
		{"two objects", goodLine + goodLine, "text after the object"},
		{"cut off", goodLine[:len(goodLine)-1], "end of object"},
		{"not UTF-8", strings.Replace(goodLine, "sums", "\xff", 1), "not UTF-8"},
	} {
		items, err := Import(strings.NewReader(goodLine+"\n\n"+c.line+"\n"), Limits{})
		if err == nil || items != nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "line 3:") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestImportLimits(t *testing.T) {
	three := strings.Repeat(goodLine+"\n", 3)
	for _, c := range []struct {
		name   string
		limits Limits
		want   string
	}{
		{"items", Limits{Items: 2}, "line 3: more than 2 questions"},
		{"line", Limits{Line: len(goodLine) - 1}, "line 1: longer than"},
		{"total", Limits{Total: len(three) - 1}, "bytes in all"},
	} {
		if _, err := Import(strings.NewReader(three), c.limits); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if items, err := Import(strings.NewReader(three), Limits{Items: 3, Line: len(goodLine), Total: len(three)}); err != nil || len(items) != 3 {
		t.Errorf("at the limits: %d, %v", len(items), err)
	}
}

func FuzzImport(f *testing.F) {
	f.Add(goodLine)
	f.Add(goodLine + "\n{}")
	f.Fuzz(func(t *testing.T, text string) {
		items, err := Import(strings.NewReader(text), Limits{Items: 5, Line: 500, Total: 2000})
		if err != nil && items != nil || len(items) > 5 {
			t.Errorf("%d items, %v", len(items), err)
		}
		for _, item := range items {
			if item.check() != nil {
				t.Errorf("accepted: %+v", item)
			}
		}
	})
}
