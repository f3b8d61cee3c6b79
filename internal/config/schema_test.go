package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// validator checks values against the part of JSON Schema that Schema uses; it
// fails the test on any keyword that it does not know.
type validator struct{ t *testing.T }

func (v validator) errors(path string, s map[string]any, value any) []string {
	var errs []string
	fail := func(format string, args ...any) { errs = append(errs, path+": "+fmt.Sprintf(format, args...)) }
	for _, keyword := range slices.Sorted(maps.Keys(s)) {
		arg := s[keyword]
		switch keyword {
		case "$schema", "title", "description", "default", "properties", "items", "required":
		case "type":
			if !isType(arg.(string), value) {
				fail("%v is not of type %s", value, arg)
				return errs
			}
		case "enum":
			if !slices.Contains(arg.([]any), value) {
				fail("%v is none of %v", value, arg)
			}
		case "pattern":
			if text, ok := value.(string); ok && !regexp.MustCompile(arg.(string)).MatchString(text) {
				fail("%q does not match %s", text, arg)
			}
		case "minimum":
			if number, ok := value.(float64); ok && number < arg.(float64) {
				fail("%v is below %v", number, arg)
			}
		case "maximum":
			if number, ok := value.(float64); ok && number > arg.(float64) {
				fail("%v is above %v", number, arg)
			}
		case "oneOf":
			fits := 0
			for _, one := range arg.([]any) {
				if len(v.errors(path, one.(map[string]any), value)) == 0 {
					fits++
				}
			}
			if fits != 1 {
				fail("%v fits %d of the alternatives", value, fits)
			}
		case "additionalProperties":
			properties, _ := s["properties"].(map[string]any)
			if object, ok := value.(map[string]any); ok {
				for name, member := range object {
					if _, known := properties[name]; known {
						continue
					}
					if other, ok := arg.(map[string]any); ok {
						errs = append(errs, v.errors(path+"."+name, other, member)...)
					} else {
						fail("unknown member %s", name)
					}
				}
			}
		default:
			v.t.Fatalf("%s: the schema uses %s", path, keyword)
		}
	}
	switch value := value.(type) {
	case map[string]any:
		properties, _ := s["properties"].(map[string]any)
		for name, member := range value {
			if p, ok := properties[name].(map[string]any); ok {
				errs = append(errs, v.errors(path+"."+name, p, member)...)
			}
		}
		required, _ := s["required"].([]any)
		for _, name := range required {
			if _, ok := value[name.(string)]; !ok {
				fail("no %s", name)
			}
		}
	case []any:
		if items, ok := s["items"].(map[string]any); ok {
			for i, item := range value {
				errs = append(errs, v.errors(fmt.Sprintf("%s[%d]", path, i), items, item)...)
			}
		}
	}
	return errs
}

func isType(name string, value any) bool {
	switch value := value.(type) {
	case map[string]any:
		return name == "object"
	case []any:
		return name == "array"
	case string:
		return name == "string"
	case bool:
		return name == "boolean"
	case float64:
		return name == "number" || name == "integer" && value == float64(int64(value))
	}
	return false
}

// plainJSON reads YAML as JSON would be read.
func plainJSON(t *testing.T, text []byte) any {
	t.Helper()
	b, err := yaml.YAMLToJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func schema(t *testing.T) map[string]any {
	t.Helper()
	var s map[string]any
	if err := json.Unmarshal(Schema(), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSchemaAcceptsSample(t *testing.T) {
	for name, text := range map[string][]byte{"as it is": Sample(), "with everything on": []byte(uncommented())} {
		if errs := (validator{t}).errors("", schema(t), plainJSON(t, text)); errs != nil {
			t.Errorf("%s:\n%s", name, strings.Join(errs, "\n"))
		}
	}
}

func TestSchemaRefuses(t *testing.T) {
	s, w := schema(t), everywhere(t)
	for _, bad := range []string{
		"gpu: true", "listen: 8484", "durability: fast", "limits: { body: 32 }", "limits: { depth: 2 }", "limits: { depth: 2000 }",
		"upstreams: [ { name: a } ]", "upstreams: [ { name: a, kind: palm, base_url: x } ]", "upstreams: { }",
		"upstreams: [ { name: a, kind: openai, base_url: x, key: sk-1 } ]", "upstreams: [ { name: a, kind: openai, base_url: x, class: trusted } ]",
		"models: { a: { } }", "models: { a: { targets: [ { model: x } ] } }", "timeouts: { stall: soon }", "default_label: secret",
		"behind_proxy: [ everywhere ]", "prices: [ { provider: a, model: b, usd_per_million: { gold: 1 } } ]",
		"prices: [ { provider: a, model: b, usd_per_million: { input: -1 } } ]", "prices: [ { provider: a, model: b, from: now, usd_per_million: {} } ]",
		"log: { level: loud }", "tls: { cert: a }",
	} {
		if errs := (validator{t}).errors("", s, plainJSON(t, []byte(bad))); errs == nil {
			t.Errorf("the schema accepts %s", bad)
		}
		if _, err := w.parse(bad); err == nil {
			t.Errorf("Parse accepts %s", bad)
		}
	}
}

// TestSchemaIsDescribed: every property has a description, and a default where
// an empty file has a value.
func TestSchemaIsDescribed(t *testing.T) {
	described := 0
	var walk func(path string, s map[string]any)
	walk = func(path string, s map[string]any) {
		properties, _ := s["properties"].(map[string]any)
		for name, p := range properties {
			p := p.(map[string]any)
			if _, ok := p["oneOf"]; ok { // a price of one token class
				continue
			}
			if d, _ := p["description"].(string); len(d) < 10 {
				t.Errorf("%s.%s has no description", path, name)
			}
			described++
			walk(path+"."+name, p)
		}
		for _, sub := range []string{"items", "additionalProperties"} {
			if m, ok := s[sub].(map[string]any); ok {
				walk(path+"[]", m)
			}
		}
	}
	s := schema(t)
	walk("", s)
	if described < len(everyField()) {
		t.Errorf("%d properties are described, there are %d fields", described, len(everyField()))
	}
	defaults := map[string]any{}
	for name, p := range s["properties"].(map[string]any) {
		if d, ok := p.(map[string]any)["default"]; ok {
			defaults[name] = d
		}
	}
	want := map[string]any{"listen": "127.0.0.1:8484", "data": "./data", "durability": "grouped", "default_label": "internal"}
	if !reflect.DeepEqual(defaults, want) {
		t.Errorf("defaults are %v, want %v", defaults, want)
	}
}
