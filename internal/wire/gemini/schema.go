package gemini

import (
	"strconv"
	"strings"

	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

// standardSchema writes a schema in this API's own form, a subset of OpenAPI 3.0
// (ai.google.dev/api/caching#Schema), as JSON Schema: types in lower case, null as
// a type of its own, bounds as numbers. What it does not know stays as it is.
func standardSchema(v wire.Value) llm.Lit {
	w := wire.NewBuilder(make([]byte, 0, 2*len(v.Lit())))
	schema(w, v)
	return w.Bytes()
}

// bounds are the members that protocol buffers write as strings.
var bounds = map[string]bool{
	"minItems": true, "maxItems": true, "minLength": true, "maxLength": true, "minProperties": true, "maxProperties": true,
}

func schema(w *wire.Builder, v wire.Value) {
	if v.Kind() != wire.Object {
		w.Lit(v.Lit())
		return
	}
	f := v.Fields()
	if f.Camel() != nil { // not of this form
		w.Lit(v.Lit())
		return
	}
	nullable := f.Take("nullable")
	w.Open()
	if nullable.Given() && nullable.Kind() != wire.Bool {
		w.Key("nullable").Lit(nullable.Lit())
	}
	for name, m := range f.Rest() {
		w.Name(name)
		switch lit := m.Lit(); {
		case name == "type" && m.Kind() == wire.String:
			typ := wire.Quote(strings.ToLower(m.String()))
			if !wire.True(nullable.Lit()) {
				w.Lit(typ)
				break
			}
			w.List().Lit(typ).Str("null").EndList()
		case name == "properties" && m.Kind() == wire.Object:
			w.Open()
			for name, p := range m.Fields().Rest() {
				schema(w.Name(name), p)
			}
			w.Close()
		case name == "items":
			schema(w, m)
		case name == "anyOf" && m.Kind() == wire.Array:
			w.List()
			for e := range m.Elements() {
				schema(w, e)
			}
			w.EndList()
		case bounds[name] && m.Kind() == wire.String:
			if n, err := strconv.ParseInt(m.String(), 10, 64); err == nil {
				w.Int(n)
				break
			}
			w.Lit(lit)
		default:
			w.Lit(lit)
		}
	}
	w.Close()
}
