package secret

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestNeverShown(t *testing.T) {
	const text = "sk-canary-4711"
	s := New(text)
	wrapped := struct {
		S String
		P *String
	}{s, &s}
	type holder struct {
		s String
		p *String
		m map[String]String
	}
	hidden := holder{s, &s, map[String]String{s: s}}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&out, verb, s)
		fmt.Fprintf(&out, verb, wrapped)
		fmt.Fprintf(&out, verb, []String{s})
		fmt.Fprintf(&out, verb, hidden)
		fmt.Fprintf(&out, verb, &hidden)
		fmt.Fprintf(&out, verb, []holder{hidden})
		fmt.Fprintf(&out, verb, map[string]String{"k": s})
	}
	b, err := json.Marshal(wrapped)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(b)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "s", s, "w", wrapped, "h", hidden)
	slog.New(slog.NewTextHandler(&out, nil)).Info("m", "s", s, "w", wrapped, "h", hidden)
	hex := fmt.Sprintf("%x", text)
	if got := out.String(); strings.Contains(got, text) || strings.Contains(strings.ToLower(got), hex) {
		t.Fatalf("the secret shows in %s", got)
	}
	if s.Reveal() != text || s.Empty() || !New("").Empty() || !(String{}).Empty() || (String{}).Reveal() != "" {
		t.Fatal("Reveal or Empty is wrong")
	}
}
