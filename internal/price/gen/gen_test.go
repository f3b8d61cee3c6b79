package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

const provider = `const E = [{ id: "x", models: [%s] }], J = {};`

// lines converts a provider with the given models and returns what it wrote.
func lines(models string) (string, error) {
	data, err := parseLiteral(fmt.Sprintf(provider, models))
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	err = new(stats).provider(&b, "x", data[0].(*object))
	return strings.TrimPrefix(b.String(), "\nprovider x\n"), err
}

func TestConvert(t *testing.T) {
	for _, c := range []struct{ name, model, want string }{
		{
			"exact decimals", `{id: "m", match: {equals: "m"}, prices: {input_mtok: 0.003625, cache_write_mtok: 2e2, output_mtok: .5}}`,
			"model m\nmatch =m\ncard input 3625 cache_write_5m 200000000 output 500000\n",
		},
		{
			"tiers", `{id: "m", match: {or: [{starts_with: "m"}, {contains: "n"}, {ends_with: "o"}]}, prices: {
			input_mtok: {base: 1, tiers: [{start: 1e3, price: 2}, {start: 5000, price: 3}]}, output_mtok: {base: 4, tiers: [{start: 5000, price: 6}]}}}`,
			"model m\nmatch ^m\nmatch *n\nmatch $o\ncard input 1000000 output 4000000\nabove 1000 input 2000000\nabove 5000 input 3000000 output 6000000\n",
		},
		{
			"regular expressions", `{id: "m", match: {or: [{regex: "^m\\.1-\\d{8}$"}, {regex: "^m/2-\\d"}]}, prices: {}}`,
			"model m\nmatch =m.1-########\nmatch ^m/2-#\ncard\n",
		},
		{
			"unless", `{id: "m", match: {and: [{starts_with: "m"}, {regex: "^(?!.*-[tT][tT][sS](?:$|-))"}]}, prices: {}}`,
			"model m\nmatch ^m unless -tts\ncard\n",
		},
		{
			"dates", `{id: "m", match: {equals: "m"}, prices: [{prices: {input_mtok: 1}},
			{constraint: {start_date: "2026-01-01", type: "start_date"}, prices: {input_mtok: 2}},
			{constraint: {start_time: "01:00:00Z", end_time: "04:00:00Z", type: "time_of_date"}, prices: {input_mtok: 3}}]}`,
			"model m\nmatch =m\ncard until 2026-01-01 input 1000000\ncard from 2026-01-01 input 2000000\ncard from 2026-01-01 daily 01:00:00-04:00:00 input 3000000\n",
		},
		{
			"images in the answer leave output without a price", `{id: "m", match: {equals: "m"}, prices: {input_mtok: 1, output_mtok: {base: 2, tiers: [{start: 5, price: 3}]}, output_image_mtok: 9}}`,
			"model m\nmatch =m\ncard input 1000000\nomits output_image_mtok\n",
		},
		{
			"what no class carries is named", `{id: "m", match: {equals: "m"}, prices: {input_mtok: 1, web_searches_kcount: 10}}`,
			"model m\nmatch =m\ncard input 1000000\nomits web_searches_kcount\n",
		},
	} {
		got, err := lines(c.model)
		if err != nil || got != c.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", c.name, err, got, c.want)
		}
	}
}

// TestConvertStops: what cannot be carried over exactly is an error, never a guess.
func TestConvertStops(t *testing.T) {
	model := func(match, prices string) string {
		return `{id: "m", match: ` + match + `, prices: ` + prices + `}`
	}
	const m, ok = `{equals: "m"}`, `{input_mtok: 1}`
	for name, bad := range map[string]string{
		"a fraction of a pico-USD":  model(m, `{input_mtok: 0.0000001}`),
		"a negative price":          model(m, `{input_mtok: -1}`),
		"an unknown price":          model(m, `{input_mtok: 1, gold_mtok: 1}`),
		"a price per request":       model(m, `{input_mtok: 1, requests_kcount: 5}`),
		"a price as text":           model(m, `{input_mtok: "1"}`),
		"a tier without a base":     model(m, `{input_mtok: {tiers: []}}`),
		"a tier at half a token":    model(m, `{input_mtok: {base: 1, tiers: [{start: 0.5, price: 1}]}}`),
		"a third field of a tier":   model(m, `{input_mtok: {base: 1, tiers: [{start: 5, price: 1, end: 6}]}}`),
		"an unknown comparison":     model(`{like: "m"}`, ok),
		"an unknown conjunction":    model(`{and: [{equals: "m"}, {equals: "n"}]}`, ok),
		"a real regular expression": model(`{regex: "^m.*$"}`, ok),
		"an unanchored one":         model(`{regex: "m$"}`, ok),
		"two conditions at once":    model(`{equals: "m", contains: "n"}`, ok),
		"a hash in a name":          model(`{equals: "m#"}`, ok),
		"no prices":                 `{id: "m", match: ` + m + `}`,
		"no match":                  `{id: "m", prices: ` + ok + `}`,
		"dates that fall": model(m, `[{prices: {}}, {constraint: {start_date: "2026-02-01", type: "start_date"}, prices: {}},
			{constraint: {start_date: "2026-01-01", type: "start_date"}, prices: {}}]`),
		"a time zone":           model(m, `[{prices: {}}, {constraint: {start_time: "01:00:00+01:00", end_time: "02:00:00Z", type: "time_of_date"}, prices: {}}]`),
		"an unknown constraint": model(m, `[{prices: {}}, {constraint: {type: "weekday"}, prices: {}}]`),
		"a second default":      model(m, `[{prices: {}}, {prices: {}}]`),
	} {
		if got, err := lines(bad); err == nil {
			t.Errorf("%s went through:\n%s", name, got)
		}
	}
	if _, _, err := convert(list{}, "1", "2026-01-01"); err == nil {
		t.Error("a source without providers went through")
	}
}

func TestParseLiteral(t *testing.T) {
	got, err := parseLiteral("const E = [\n  { a: !0, \"b\": [1e6, .5, -2], c: `x\n\\`y`, d: \"\\\"\\\\\", },\n], rest = 5;")
	if err != nil {
		t.Fatal(err)
	}
	o := got[0].(*object)
	if o.values["a"] != true || fmt.Sprint(o.values["b"]) != "[1e6 .5 -2]" || o.values["c"] != "x\n`y" || o.values["d"] != `"\` {
		t.Errorf("read %v", o.values)
	}
	for _, bad := range []string{
		"", "let E = [1]", "const E = 5", "const E = [", "const E = [f()]", "const E = [{a: 1, a: 2}]", "const E = [{a 1}]",
		"const E = [`${x}`]", `const E = ["\n"]`, "const E = [\"a\nb\"]", "const E = [{a: 1 b: 2}]", `const E = ["x]`,
		"const E = [1 2]", "const E = [{1: 2}]", "const E = " + strings.Repeat("[", 100),
	} {
		if v, err := parseLiteral(bad); err == nil {
			t.Errorf("%q read as %v", bad, v)
		}
	}
}
