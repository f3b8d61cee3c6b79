package config

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"sallyport/internal/label"
	"sallyport/internal/llm"
)

// decoder walks a YAML tree into a Config and collects every problem on its way.
type decoder struct {
	report
	resolve resolver
	anchors map[string]ast.Node
	visits  int // nodes visited, aliases followed
}

// maxVisits bounds the nodes of a file after its aliases are followed.
const maxVisits = 50_000

// scalar is a type that is written as one text.
type scalar struct {
	parse func(string) (any, error) // the error completes a sentence about the text
	fix   string
}

// wrap turns a typed parser into an untyped one.
func wrap[T any](parse func(string) (T, error)) func(string) (any, error) {
	return func(s string) (any, error) { return parse(s) }
}

// scalars are the types that are written as one text, other than Go's own.
var scalars = map[reflect.Type]scalar{
	reflect.TypeFor[Duration](): {wrap(parseDuration), "write a number with a unit, such as 90s, 5m, 1h30m or 7d"},
	reflect.TypeFor[Size]():     {wrap(parseSize), "write a whole number with a unit, such as 64KiB, 32MiB or 1GiB, at most 64GiB"},
	reflect.TypeFor[Date]():     {wrap(parseDate), "write it as year-month-day, such as 2026-01-31"},
	reflect.TypeFor[Share]():    {wrap(parseShare), "write a decimal number from 0 to 1, such as 0.05"},
	reflect.TypeFor[Money]():    {wrap(parseMoney), "write an amount of USD as a decimal number, such as 20 or 0.50"},
	reflect.TypeFor[label.Label](): {
		wrap(func(s string) (label.Label, error) {
			l, err := label.ParseLabel(s)
			if err != nil {
				err = fmt.Errorf("is not a label")
			}
			return l, err
		}), "write public, internal, confidential or restricted",
	},
	reflect.TypeFor[label.Class](): {
		wrap(func(s string) (label.Class, error) {
			c, err := label.ParseClass(s)
			if err != nil || s == "" {
				return c, fmt.Errorf("is not a class")
			}
			return c, nil
		}), "write local, in-region, vetted or any",
	},
	reflect.TypeFor[llm.Feature](): {
		wrap(func(s string) (llm.Feature, error) {
			f, ok := llm.ParseFeature(s)
			if !ok {
				return f, fmt.Errorf("is not a feature of requests")
			}
			return f, nil
		}), "write a name of docs/translation.md, such as image_url or json_schema",
	},
	reflect.TypeFor[netip.Prefix](): {
		wrap(func(s string) (netip.Prefix, error) {
			p, err := netip.ParsePrefix(s)
			if err != nil || p != p.Masked() {
				return p, fmt.Errorf("is not a network")
			}
			return p, nil
		}), "write it as CIDR without host bits, such as 10.0.0.0/8 or 192.0.2.7/32",
	},
}

// place of a node.
func placeOf(n ast.Node) place {
	t := n.GetToken()
	if m, ok := n.(ast.MapNode); ok {
		if it := m.MapRange(); it.Next() {
			t = it.Key().GetToken()
		}
	}
	if t == nil || t.Position == nil {
		return place{}
	}
	return place{t.Position.Line, t.Position.Column}
}

// plain follows anchors and aliases to the node that holds the value. It reports
// and returns nil when there is none.
func (d *decoder) plain(path string, n ast.Node) ast.Node {
	for {
		d.visits++
		if d.visits > maxVisits {
			if d.visits == maxVisits+1 {
				d.at(placeOf(n), path, "the file has too many values", fmt.Sprintf("stay below %d, aliases followed", maxVisits))
			}
			return nil
		}
		switch t := n.(type) {
		case *ast.AnchorNode:
			if name, ok := t.Name.(*ast.StringNode); ok {
				d.anchors[name.Value] = t.Value
			}
			n = t.Value
		case *ast.AliasNode:
			var target ast.Node
			if name, ok := t.Value.(*ast.StringNode); ok {
				target = d.anchors[name.Value]
			}
			if target == nil {
				d.at(placeOf(n), path, "the alias has no anchor before it", "write the value out")
				return nil
			}
			n = target
		case *ast.TagNode:
			d.at(placeOf(n), path, "tags are not used here", "remove the !tag")
			return nil
		default:
			return n
		}
		if n == nil {
			return nil
		}
	}
}

// value decodes a node into v. The tag is the field's jsonschema tag.
func (d *decoder) value(path string, n ast.Node, v reflect.Value, tag string) {
	if n == nil {
		return
	}
	if n = d.plain(path, n); n == nil {
		return
	}
	if _, seen := d.places[path]; !seen {
		d.places[path] = placeOf(n)
	}
	switch v.Interface().(type) {
	case Ref:
		d.ref(path, n, v)
		return
	case Value:
		d.headerValue(path, n, v)
		return
	case Rates:
		d.rates(path, n, v)
		return
	}
	if s, ok := scalars[v.Type()]; ok {
		d.scalar(path, n, v, s)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if _, null := n.(*ast.NullNode); null && v.Type().Elem().Kind() == reflect.Struct {
			d.at(placeOf(n), path, "has no value", "write its fields or remove the line")
			return
		}
		p := reflect.New(v.Type().Elem())
		d.value(path, n, p.Elem(), tag)
		v.Set(p)
	case reflect.Struct:
		d.structure(path, n, v)
	case reflect.Map:
		d.mapping(path, n, v)
	case reflect.Slice:
		d.sequence(path, n, v)
	case reflect.String:
		d.text(path, n, v, tag)
	case reflect.Int:
		d.integer(path, n, v, tag)
	case reflect.Bool:
		if b, ok := n.(*ast.BoolNode); ok {
			v.SetBool(b.Value)
			return
		}
		d.at(placeOf(n), path, "is not a truth value", "write true or false")
	default:
		panic("config: no decoder for " + v.Type().String()) // a field of a new type needs one
	}
}

// entries calls f for the entries of a mapping, whose keys must be plain names
// that do not repeat, not even in another case.
func (d *decoder) entries(path string, n ast.Node, f func(key string, keyAt place, value ast.Node)) {
	if _, null := n.(*ast.NullNode); null {
		return
	}
	m, ok := n.(ast.MapNode)
	if !ok {
		d.at(placeOf(n), path, "is not a mapping", "write fields as name: value below it")
		return
	}
	first := map[string]place{}
	for it := m.MapRange(); it.Next(); {
		at := placeOf(it.Key())
		key, ok := it.Key().(*ast.StringNode)
		if !ok {
			d.at(at, path, "a name here is not plain text", "write plain names, in quotes if they look like a number; merge keys are not used here")
			continue
		}
		if before, dup := first[strings.ToLower(key.Value)]; dup {
			d.at(at, join(path, key.Value), "is written twice", fmt.Sprintf("remove it, or the one in line %d", before.line))
			continue
		}
		first[strings.ToLower(key.Value)] = at
		f(key.Value, at, it.Value())
	}
}

// join writes the path of a field or a map entry.
func join(path, name string) string {
	if len(name) > 64 {
		name = name[:61] + "..."
	}
	if strings.ContainsFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-')
	}) {
		return path + "[" + strconv.QuoteToASCII(name) + "]"
	}
	if path == "" {
		return name
	}
	return path + "." + name
}

func (d *decoder) structure(path string, n ast.Node, v reflect.Value) {
	fields := fieldsOf(v.Type())
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	given := map[string]bool{}
	d.entries(path, n, func(key string, at place, value ast.Node) {
		i := slices.Index(names, key)
		if i < 0 {
			fix := "fields here are " + oneOf(names)
			if near := d.near(key, names); near != "" {
				fix = "did you mean " + near + "?"
			}
			d.at(at, path, "unknown field "+quote(key), fix)
			return
		}
		given[key] = true
		sub := join(path, key)
		if _, composite := value.(ast.ScalarNode); !composite {
			d.places[sub] = at
		}
		d.value(sub, value, v.FieldByIndex(fields[i].index), fields[i].tag)
	})
	for _, f := range fields {
		if hasOption(f.tag, "required") && !given[f.name] {
			d.at(d.placeFor(path, n), path, "has no "+f.name, "add the field "+f.name)
		}
	}
}

func (d *decoder) placeFor(path string, n ast.Node) place {
	if p, ok := d.places[path]; ok {
		return p
	}
	return placeOf(n)
}

// field is one field of a struct as files know it.
type field struct {
	name  string
	tag   string // jsonschema tag
	index []int
}

// fieldsOf lists the fields of a struct, those of embedded structs included.
func fieldsOf(t reflect.Type) []field {
	var fields []field
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name != "" && !f.Anonymous {
			fields = append(fields, field{name, f.Tag.Get("jsonschema"), f.Index})
		}
	}
	return fields
}

func hasOption(tag, option string) bool {
	return slices.Contains(strings.Split(tag, ","), option)
}

// options lists the values of a repeated option of a tag, such as enum.
func options(tag, name string) []string {
	var values []string
	for o := range strings.SplitSeq(tag, ",") {
		if v, ok := strings.CutPrefix(o, name+"="); ok {
			values = append(values, v)
		}
	}
	return values
}

func (d *decoder) mapping(path string, n ast.Node, v reflect.Value) {
	m := reflect.MakeMap(v.Type())
	d.entries(path, n, func(key string, at place, value ast.Node) {
		sub := join(path, key)
		d.places[sub] = at
		e := reflect.New(v.Type().Elem()).Elem()
		d.value(sub, value, e, "")
		m.SetMapIndex(reflect.ValueOf(key), e)
	})
	v.Set(m)
}

func (d *decoder) sequence(path string, n ast.Node, v reflect.Value) {
	if _, null := n.(*ast.NullNode); null {
		return
	}
	s, ok := n.(*ast.SequenceNode)
	if !ok {
		d.at(placeOf(n), path, "is not a list", "write its items below it, each behind a dash")
		return
	}
	items := reflect.MakeSlice(v.Type(), len(s.Values), len(s.Values))
	for i, item := range s.Values {
		sub := fmt.Sprintf("%s[%d]", path, i)
		if _, null := item.(*ast.NullNode); null || item == nil {
			d.at(placeOf(n), sub, "has no value", "write one or remove the item")
			continue
		}
		d.value(sub, item, items.Index(i), "")
	}
	v.Set(items)
}

// maxText bounds one text of a file.
const maxText = 4096

// words returns the text of a scalar that is a string on one line.
func (d *decoder) words(path string, n ast.Node) (string, bool) {
	text := ""
	switch t := n.(type) {
	case *ast.StringNode:
		text = t.Value
	case *ast.LiteralNode:
		text = strings.TrimSuffix(t.Value.Value, "\n")
	case *ast.NullNode:
		d.at(placeOf(n), path, "has no value", "write one or remove the line")
		return "", false
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		d.at(placeOf(n), path, "is not a text", "put it in quotes")
		return "", false
	default:
		d.at(placeOf(n), path, "is not a single value", "write one text")
		return "", false
	}
	switch {
	case text == "":
		d.at(placeOf(n), path, "is empty", "write a value or remove the line")
	case len(text) > maxText:
		d.at(placeOf(n), path, "is too long", fmt.Sprintf("write at most %d bytes", maxText))
	case strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }):
		d.at(placeOf(n), path, "holds a control character", "write it on one line")
	default:
		return text, true
	}
	return "", false
}

func (d *decoder) text(path string, n ast.Node, v reflect.Value, tag string) {
	s, ok := d.words(path, n)
	if !ok {
		return
	}
	if enum := options(tag, "enum"); enum != nil && !slices.Contains(enum, s) {
		fix := "write " + oneOf(enum)
		if near := d.near(s, enum); near != "" {
			fix = "did you mean " + near + "?"
		}
		d.at(placeOf(n), path, quote(s)+" is none of its values", fix)
		return
	}
	v.SetString(s)
}

// number returns the text of a scalar that is a number or a text.
func (d *decoder) number(n ast.Node) (string, bool) {
	switch t := n.(type) {
	case *ast.StringNode:
		return t.Value, true
	case *ast.IntegerNode, *ast.FloatNode:
		return t.GetToken().Value, true
	}
	return "", false
}

func (d *decoder) scalar(path string, n ast.Node, v reflect.Value, s scalar) {
	text, ok := d.number(n)
	if !ok {
		d.at(placeOf(n), path, "is not a single value", s.fix)
		return
	}
	parsed, err := s.parse(text)
	if err != nil {
		d.at(placeOf(n), path, quote(text)+" "+err.Error(), s.fix)
		return
	}
	v.Set(reflect.ValueOf(parsed))
}

func (d *decoder) integer(path string, n ast.Node, v reflect.Value, tag string) {
	least, most := bound(tag, "minimum"), bound(tag, "maximum")
	fix := fmt.Sprintf("write a whole number from %d to %d", least, most)
	if _, ok := n.(*ast.IntegerNode); !ok {
		d.at(placeOf(n), path, "is not a whole number", fix)
		return
	}
	i, err := strconv.ParseInt(n.GetToken().Value, 10, 64)
	if err != nil || i < least || i > most {
		d.at(placeOf(n), path, quote(n.GetToken().Value)+" is out of range", fix)
		return
	}
	v.SetInt(i)
}

// bound reads a numeric option of a tag.
func bound(tag, name string) int64 {
	for _, o := range options(tag, name) {
		if i, err := strconv.ParseInt(o, 10, 64); err == nil {
			return i
		}
	}
	panic("config: an integer field without " + name)
}

// rates decodes prices by class.
func (d *decoder) rates(path string, n ast.Node, v reflect.Value) {
	names := make([]string, llm.NumClasses)
	for class := range llm.NumClasses {
		names[class] = class.String()
	}
	r := Rates{}
	d.entries(path, n, func(key string, at place, value ast.Node) {
		class, ok := llm.ParseClass(key)
		if !ok {
			d.at(at, path, "unknown token class "+quote(key), "classes are "+oneOf(names))
			return
		}
		sub := join(path, key)
		if value = d.plain(sub, value); value == nil {
			return
		}
		text, ok := d.number(value)
		if !ok {
			d.at(placeOf(value), sub, "is not a price", "write USD per million tokens, such as 2.50")
			return
		}
		p, err := ParseUSD(text)
		if err != nil {
			d.at(placeOf(value), sub, quote(text)+" "+err.Error(), "write USD per million tokens, such as 2.50")
			return
		}
		r[class] = p
	})
	v.Set(reflect.ValueOf(r))
}
