package config

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/netip"
	"reflect"
	"strings"

	"github.com/invopop/jsonschema"

	"sallyport/internal/label"
	"sallyport/internal/llm"
)

// source is the file that declares the fields; its comments describe them.
//
//go:embed config.go
var source string

//go:embed sample.yaml
var sample []byte

// Sample returns a complete configuration file with comments. It mentions every
// field; what is commented out shows the default or an alternative.
func Sample() []byte { return append([]byte(nil), sample...) }

// Schema returns the JSON Schema (draft 2020-12) of a configuration file, with the
// comments on the fields as descriptions and the defaults of Default.
func Schema() []byte {
	comments := fieldComments()
	r := jsonschema.Reflector{
		RequiredFromJSONSchemaTags: true, DoNotReference: true, Anonymous: true, Mapper: valueSchema,
		LookupComment: func(t reflect.Type, field string) string { return comments[t.Name()+"."+field] },
	}
	s := r.Reflect(&Config{})
	s.Title = "Sallyport configuration"
	setDefaults(s, Default())
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		panic("config: schema: " + err.Error()) // it is made of plain data
	}
	return append(b, '\n')
}

// fieldComments maps Type.Field and "Type." to the comments in config.go.
func fieldComments() map[string]string {
	file, err := parser.ParseFile(token.NewFileSet(), "config.go", source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		panic("config: its own source does not parse: " + err.Error())
	}
	comments := map[string]string{}
	for _, decl := range file.Decls {
		gen, ok := decl.(*ast.GenDecl)
		if !ok || gen.Tok != token.TYPE {
			continue
		}
		for _, spec := range gen.Specs {
			t := spec.(*ast.TypeSpec)
			comments[t.Name.Name+"."] = oneLine(gen.Doc.Text())
			if st, ok := t.Type.(*ast.StructType); ok {
				for _, f := range st.Fields.List {
					for _, name := range f.Names {
						comments[t.Name.Name+"."+name.Name] = oneLine(f.Doc.Text())
					}
				}
			}
		}
	}
	return comments
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// valueSchema describes the types that are written as one text.
func valueSchema(t reflect.Type) *jsonschema.Schema {
	text := func(pattern string) *jsonschema.Schema { return &jsonschema.Schema{Type: "string", Pattern: pattern} }
	names := func(ns ...string) *jsonschema.Schema {
		s := &jsonschema.Schema{Type: "string"}
		for _, n := range ns {
			s.Enum = append(s.Enum, n)
		}
		return s
	}
	switch t {
	case reflect.TypeFor[Duration]():
		return text(`^([0-9]+d)?([0-9.]+(h|m|s|ms))*$`)
	case reflect.TypeFor[Size]():
		return text(`^[0-9]+(B|KB|MB|GB|KiB|MiB|GiB)$`)
	case reflect.TypeFor[Share]():
		return &jsonschema.Schema{Type: "number", Minimum: "0", Maximum: "1"}
	case reflect.TypeFor[Money]():
		return &jsonschema.Schema{Type: "number", Minimum: "0"}
	case reflect.TypeFor[Date]():
		return text(`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`)
	case reflect.TypeFor[Ref]():
		return text(`^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$`)
	case reflect.TypeFor[Value]():
		return &jsonschema.Schema{Type: "string"}
	case reflect.TypeFor[netip.Prefix]():
		return text(`^[0-9A-Fa-f:.]+/[0-9]+$`)
	case reflect.TypeFor[label.Label]():
		return names("public", "internal", "confidential", "restricted")
	case reflect.TypeFor[label.Class]():
		return names("local", "in-region", "vetted", "any")
	case reflect.TypeFor[llm.Feature]():
		var all []string
		for f := range llm.NumFeatures {
			if name := f.String(); name != "" {
				all = append(all, name)
			}
		}
		return names(all...)
	case reflect.TypeFor[Rates]():
		s := &jsonschema.Schema{Type: "object", Properties: jsonschema.NewProperties(), AdditionalProperties: jsonschema.FalseSchema}
		for class := range llm.NumClasses {
			s.Properties.Set(class.String(), &jsonschema.Schema{OneOf: []*jsonschema.Schema{
				{Type: "number", Minimum: "0"}, {Type: "string", Pattern: decimal.String()},
			}})
		}
		return s
	}
	return nil
}

// setDefaults writes defaults into the properties of an object, deep.
func setDefaults(s *jsonschema.Schema, defaults any) {
	b, err := json.Marshal(defaults)
	var tree map[string]json.RawMessage
	if err == nil {
		err = json.Unmarshal(b, &tree)
	}
	if err != nil {
		panic(fmt.Sprintf("config: defaults: %v", err))
	}
	for name, raw := range tree {
		p, ok := s.Properties.Get(name)
		switch {
		case !ok:
		case p.Type == "object":
			setDefaults(p, raw)
		default:
			p.Default = raw
		}
	}
}
