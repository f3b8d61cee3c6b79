package config

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/label"
	"sallyport/internal/llm"
	"sallyport/internal/price"
	"sallyport/internal/secret"
)

// everywhere is a world in which every reference of the sample leads somewhere.
func everywhere(t *testing.T) world {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	w := world{
		env: map[string]string{"DATABASE_URL": "postgres://u:canary@db/x"},
		files: map[string][]byte{
			"/etc/sallyport/key.pem": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}),
		},
	}
	for _, name := range []string{"cert", "clients", "operators", "roots"} {
		w.files["/etc/sallyport/"+name+".pem"] = cert
	}
	for _, name := range []string{"SALLYPORT_SECRET", "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GATEWAY_TOKEN", "METRICS_TOKEN", "AZURE_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} {
		w.env[name] = "canary-" + strings.ToLower(name)
	}
	w.files["/run/secrets/vertex.json"] = []byte(`{"private_key":"canary-vertex"}`)
	return w
}

// off finds the lines of the sample that hold a setting which is off.
var off = regexp.MustCompile(`(?m)^#(\S|  )`)

func uncommented() string { return off.ReplaceAllString(string(Sample()), "$1") }

func TestSampleLoads(t *testing.T) {
	w := everywhere(t)
	for name, text := range map[string]string{"as it is": string(Sample()), "with everything on": uncommented()} {
		if _, err := w.parse(text); err != nil {
			t.Errorf("%s:\n%v", name, err)
		}
	}
	if uncommented() == string(Sample()) {
		t.Error("nothing is commented out")
	}
}

// TestSampleMentionsEverything sets every field by uncommenting the sample.
func TestSampleMentionsEverything(t *testing.T) {
	c, err := everywhere(t).parse(uncommented())
	if err != nil {
		t.Fatal(err)
	}
	set := map[string]bool{}
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer:
			walk(v.Elem())
		case reflect.Slice:
			for i := range v.Len() {
				walk(v.Index(i))
			}
		case reflect.Map:
			for _, k := range v.MapKeys() {
				walk(v.MapIndex(k))
			}
		case reflect.Struct:
			for _, f := range fieldsOf(v.Type()) {
				if fv := v.FieldByIndex(f.index); !fv.IsZero() {
					set[v.Type().Name()+"."+f.name] = true
					walk(fv)
				}
			}
		}
	}
	walk(reflect.ValueOf(*c))
	for _, f := range everyField() {
		if !set[f.owner+"."+f.name] {
			t.Errorf("the sample does not set %s of %s", f.name, f.owner)
		}
	}
	// Fields that fill would set are looked for in the text.
	for _, f := range everyField() {
		if !regexp.MustCompile(`[\s{,#-]` + f.name + `:`).Match(Sample()) {
			t.Errorf("the sample does not mention %s of %s", f.name, f.owner)
		}
	}
}

type owned struct{ owner, name, goName string }

// everyField lists the fields of all structs that a configuration consists of.
func everyField() []owned {
	var all []owned
	seen := map[reflect.Type]bool{}
	var walk func(t reflect.Type)
	walk = func(t reflect.Type) {
		switch t.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			walk(t.Elem())
		case reflect.Struct:
			if seen[t] || t.PkgPath() != reflect.TypeFor[Config]().PkgPath() || len(fieldsOf(t)) == 0 {
				return
			}
			seen[t] = true
			for _, f := range fieldsOf(t) {
				sf := t.FieldByIndex(f.index)
				owner := t
				if len(f.index) > 1 {
					owner = t.Field(f.index[0]).Type
				}
				all = append(all, owned{owner.Name(), f.name, sf.Name})
				walk(sf.Type)
			}
		}
	}
	walk(reflect.TypeFor[Config]())
	return all
}

func TestEveryFieldIsDocumented(t *testing.T) {
	comments := fieldComments()
	fields := everyField()
	if len(fields) < 60 {
		t.Fatalf("only %d fields found", len(fields))
	}
	for _, f := range fields {
		if c := comments[f.owner+"."+f.goName]; len(c) < 10 || !strings.HasSuffix(c, ".") {
			t.Errorf("%s.%s: the comment %q is not a sentence", f.owner, f.goName, c)
		}
		if strings.ToLower(f.name) != f.name {
			t.Errorf("%s is not lower case", f.name)
		}
	}
}

// TestDefaultsAreDocumented: what an empty file means is in the comments.
func TestDefaultsAreDocumented(t *testing.T) {
	comments := fieldComments()
	d := Default()
	for field, value := range map[string]any{
		"Config.Listen": d.Listen, "Admin.Listen": d.Admin.Listen, "Config.Data": d.Data, "Config.Durability": d.Durability,
		"Config.DefaultLabel": d.DefaultLabel, "Limits.Body": d.Limits.Body, "Limits.Header": d.Limits.Header,
		"Limits.Depth": d.Limits.Depth, "Limits.Answer": d.Limits.Answer, "Limits.Event": d.Limits.Event,
		"Limits.Concurrency": d.Limits.Concurrency, "UpstreamTimeouts.Connect": d.Timeouts.Connect,
		"UpstreamTimeouts.FirstFrame": d.Timeouts.FirstFrame, "UpstreamTimeouts.Stall": d.Timeouts.Stall,
		"UpstreamTimeouts.Total": d.Timeouts.Total, "UpstreamTimeouts.Idle": d.Timeouts.Idle, "Timeouts.Body": d.Timeouts.Body,
		"Timeouts.Heartbeat": d.Timeouts.Heartbeat, "Retention.Journal": d.Retention.Journal, "Count.Share": d.Count.Share, "Count.CPU": d.Count.CPU, "Log.Level": d.Log.Level,
	} {
		if !strings.Contains(comments[field], fmt.Sprint(value)) {
			t.Errorf("the comment on %s does not name its default %v: %s", field, value, comments[field])
		}
	}
	if err := d.Validate(); err != nil {
		t.Errorf("the default is not valid: %v", err)
	}
}

func TestEffectiveValues(t *testing.T) {
	w := everywhere(t)
	c, err := w.parse(`
timeouts: { stall: 3m }
default_label: confidential
projects: { a: {}, b: { default_label: public } }
upstreams:
  - { name: o, kind: openai, base_url: "https://API.openai.com/v1", key: env:OPENAI_API_KEY, timeouts: { total: 1m } }
  - { name: l, kind: openai, base_url: "http://localhost:1234/v1", class: local, add_usage: false }
  - { name: z, kind: openai, base_url: "https://res.openai.azure.com/openai/v1", class: in-region }
  - { name: x, kind: anthropic, base_url: "https://relay.example/v1", headers: { x-team: core } }
models:
  gpt: { targets: [ { upstream: o } , { upstream: x, model: y } ] }
`)
	if err != nil {
		t.Fatal(err)
	}
	o, l := c.Upstreams[0], c.Upstreams[1]
	for what, ok := range map[string]bool{
		"the file's timeout":             c.Timeouts.Stall == Duration(3*time.Minute) && l.Timeouts.Stall == Duration(3*time.Minute),
		"an upstream's own timeout":      o.Timeouts.Total == Duration(time.Minute) && l.Timeouts.Total == Duration(30*time.Minute),
		"the provider by host":           o.Provider == "openai" && l.Provider == price.Local && c.Upstreams[2].Provider == "azure" && c.Upstreams[3].Provider == "",
		"the class":                      o.Class == label.Any && l.Class == label.OnSite && c.Upstreams[2].Class == label.InRegion,
		"usage asked for by default":     *o.AddUsage && !*l.AddUsage,
		"the key":                        o.Key.Secret().Reveal() == "canary-openai_api_key" && l.Key.IsZero() && l.Key.Secret().Empty(),
		"the target's model":             c.Models["gpt"].Targets[0].Model == "gpt" && c.Models["gpt"].Targets[1].Model == "y",
		"the label of a project":         c.Projects["a"].DefaultLabel == label.Confidential && c.Projects["b"].DefaultLabel == label.Public,
		"a plain header":                 c.Upstreams[3].Headers["x-team"].Secret().Reveal() == "core" && c.Upstreams[3].Headers["x-team"].Plain(),
		"what is exposed without asking": !o.ExposeUnlisted && !o.AllowPrivate,
	} {
		if !ok {
			t.Errorf("wrong: %s in %+v", what, c)
		}
	}
}

// TestSecretsAreNeverShown tries every way in which a configuration is written
// somewhere, also as an unexported field, which fmt prints without asking.
func TestSecretsAreNeverShown(t *testing.T) {
	c, err := everywhere(t).parse(uncommented())
	if err != nil {
		t.Fatal(err)
	}
	type holder struct{ c Config }
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb, c)
		fmt.Fprintf(&out, verb, *c)
		fmt.Fprintf(&out, verb, holder{*c})
		fmt.Fprintf(&out, verb, []any{c.Secret, c.Upstreams[0].Key, c.Upstreams[0].Headers, c.Metrics})
	}
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(b)
	for _, h := range []slog.Handler{slog.NewJSONHandler(&out, nil), slog.NewTextHandler(&out, nil)} {
		slog.New(h).Info("m", "c", *c, "k", c.Upstreams[0].Key, "h", c.Upstreams[0].Headers)
	}
	if got := strings.ToLower(out.String()); strings.Contains(got, "canary") || strings.Contains(got, fmt.Sprintf("%x", "canary")) {
		i := max(strings.Index(got, "canary"), strings.Index(got, fmt.Sprintf("%x", "canary")))
		t.Fatalf("a secret shows in ...%s...", got[max(0, i-200):min(len(got), i+50)])
	}
	if !bytes.Contains(b, []byte(`"env:OPENAI_API_KEY"`)) || !bytes.Contains(b, []byte(`"x-team":"platform"`)) {
		t.Errorf("references and plain values are missing in %s", b)
	}
}

func TestHash(t *testing.T) {
	w := everywhere(t)
	base := uncommented()
	hash := func(w world, text string) string {
		t.Helper()
		c, err := w.parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return c.Hash()
	}
	first := hash(w, base)
	if len(first) != 64 || first != hash(w, base) {
		t.Errorf("the hash %s is not stable", first)
	}
	rotated := everywhere(t)
	rotated.env["OPENAI_API_KEY"] = "another"
	if hash(rotated, base) != first {
		t.Error("the hash depends on a secret")
	}
	if hash(w, "# a comment\n"+base) != first {
		t.Error("the hash depends on the spelling of the file")
	}
	if hash(w, "") != Default().Hash() || Default().Hash() == first {
		t.Error("an empty file is not the default")
	}
	for _, change := range [][2]string{
		{"key: env:OPENAI_API_KEY", "key: env:ANTHROPIC_API_KEY"},
		{"class: vetted", "class: any"},
		{"depth: 100", "depth: 99"},
		{"gpt-5-mini }", "gpt-5 }"},
		{"input: 0.10", "input: 0.11"},
		{"x-team: platform", "x-team: core"},
		{"default_label: confidential", "default_label: restricted"},
		{"add_usage: false", "add_usage: true"},
		{"from: 2026-01-01", "from: 2026-01-02"},
		{"behind_proxy: [10.0.0.0/8]", "behind_proxy: [10.0.0.0/9]"},
		{"journal: 7d", "journal: 8d"},
	} {
		changed := strings.Replace(base, change[0], change[1], 1)
		if changed == base || hash(w, changed) == first {
			t.Errorf("changing %s to %s does not change the hash", change[0], change[1])
		}
	}
}

func TestDiff(t *testing.T) {
	base := func() *Config {
		c := Default()
		c.Secret = NewRef("env:S", secret.New("one"))
		return c
	}
	for name, change := range map[string]func(*Config){
		"listen":              func(c *Config) { c.Listen = "127.0.0.1:1" },
		"tls":                 func(c *Config) { c.TLS = &TLS{} },
		"admin.listen":        func(c *Config) { c.Admin.Listen = "127.0.0.1:1" },
		"admin.tls":           func(c *Config) { c.Admin.TLS = &TLS{} },
		"data":                func(c *Config) { c.Data = "x" },
		"database.url":        func(c *Config) { c.Database.URL = NewRef("env:D", secret.New("postgres://")) },
		"secret":              func(c *Config) { c.Secret = NewRef("env:S", secret.New("two")) },
		"durability":          func(c *Config) { c.Durability = Strict },
		"limits.header":       func(c *Config) { c.Limits.Header++ },
		"retention.journal":   func(c *Config) { c.Retention.Journal++ },
		"retention.documents": func(c *Config) { c.Retention.Documents++ },
		"log":                 func(c *Config) { c.Log.Format = JSON },
		"behind_proxy":        func(c *Config) { c.BehindProxy = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} },
		"admin.behind_proxy":  func(c *Config) { c.Admin.BehindProxy = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} },
		"metrics.token":       func(c *Config) { c.Metrics.Token = NewRef("env:M", secret.New("t")) },
	} {
		next := base()
		change(next)
		if got := Diff(base(), next); !slices.Equal(got, []string{name}) {
			t.Errorf("changing %s gives %q", name, got)
		}
	}
	live := base()
	live.Upstreams = []Upstream{{Name: "new"}}
	live.Count.Share = NewShare(0)
	live.Limits.Body, live.DefaultLabel, live.Timeouts.Stall = 1, label.Public, 1
	if got := Diff(base(), live); got != nil {
		t.Errorf("changes that need no restart give %q", got)
	}
}

func TestFromEnvironment(t *testing.T) {
	env := map[string]string{"OPENAI_BASE_URL": "https://evil.example/v1", "OPENAI_API_BASE": "https://evil.example", "GROQ_API_KEY": " ", "HTTPS_PROXY": "http://evil.example"}
	if c := FromEnvironment(world{env: env}.lookup); len(c.Upstreams) != 0 {
		t.Errorf("without a key there are upstreams: %+v", c.Upstreams)
	}
	for _, name := range EnvironmentKeys() {
		env[name] = "canary-" + name
	}
	c := FromEnvironment(world{env: env}.lookup)
	if len(c.Upstreams) != 9 {
		t.Fatalf("%d upstreams", len(c.Upstreams))
	}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	for _, u := range c.Upstreams {
		if strings.Contains(u.BaseURL, "evil") || u.Proxy != "" || !strings.HasPrefix(u.BaseURL, "https://") ||
			u.Class != label.Vetted || !u.ExposeUnlisted || u.AllowPrivate || u.Provider == "" || u.defaultProvider() != u.Provider ||
			!strings.HasPrefix(u.Key.String(), "env:") || !strings.HasPrefix(u.Key.Secret().Reveal(), "canary-") || u.Timeouts.Total == 0 {
			t.Errorf("upstream %+v", u)
		}
		if !slices.Contains(price.Providers(), u.Provider) {
			t.Errorf("%s: no price cards of %s", u.Name, u.Provider)
		}
	}
}

func TestValidateAfterFlags(t *testing.T) {
	c := Default()
	c.Listen = "0.0.0.0:8484"
	c.Upstreams = []Upstream{{Name: "a", Kind: OpenAI, BaseURL: "https://user:canary@a.example"}}
	err := c.Validate()
	want := "listen: listens beyond loopback without TLS; set tls, or behind_proxy to the networks of the proxy that ends TLS, or listen on 127.0.0.1\n" +
		"upstreams[0].base_url: holds a credential; remove everything between // and @; a key belongs into key, as a reference"
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

func TestCards(t *testing.T) {
	c, err := everywhere(t).parse(uncommented())
	if err != nil {
		t.Fatal(err)
	}
	cards := c.Cards()
	if len(cards) != 1 {
		t.Fatalf("%d cards", len(cards))
	}
	card := cards[0]
	if err := card.Check(); err != nil {
		t.Error(err)
	}
	want := price.Card{
		ID: card.ID, Provider: "lab", Model: "gpt-oss-120b", Source: card.Source,
		From:  time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro(),
		Until: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro(),
		Rates: price.Rates{llm.Input: 100_000, llm.CacheRead: 10_000, llm.Output: 400_000},
		Tiers: []price.Tier{{Above: 128_000, Rates: price.Rates{llm.Input: 200_000, llm.Output: 600_000}}},
	}
	if diff := cmp.Diff(want, card); diff != "" {
		t.Errorf("card (-want +got):\n%s", diff)
	}
	dearer, err := everywhere(t).parse(strings.Replace(uncommented(), "output: 0.40", "output: 0.41", 1))
	if err != nil {
		t.Fatal(err)
	}
	if other := dearer.Cards()[0]; other.ID == card.ID || !strings.HasPrefix(card.ID, "operator/lab/gpt-oss-120b@2026-01-01#") {
		t.Errorf("cards %s and %s have different prices", card.ID, other.ID)
	}
}

// TestLoad reads real files, and says what is wrong with one that it cannot read.
func TestLoad(t *testing.T) {
	folder := t.TempDir()
	key := filepath.Join(folder, "key")
	file := filepath.Join(folder, "sallyport.yaml")
	text := "upstreams: [ { name: a, kind: openai, base_url: \"https://a.example/v1\", key: \"file:" + key + "\" } ]\n"
	for name, content := range map[string]string{key: "canary\r\n", file: "\ufeff" + text} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Upstreams[0].Key.Secret().Reveal(); got != "canary" {
		t.Errorf("the key is %q", got)
	}
	for _, bad := range []string{filepath.Join(folder, "none"), folder} {
		if _, err := Load(bad); err == nil || !strings.HasPrefix(err.Error(), bad+": the configuration file ") {
			t.Errorf("loading %s: %v", bad, err)
		}
	}
	if err := os.WriteFile(file, bytes.Repeat([]byte("# \n"), maxFile/3+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(file); err == nil || !strings.Contains(err.Error(), "cannot be read") {
		t.Errorf("loading a file of more than 1 MiB: %v", err)
	}
}

func TestValues(t *testing.T) {
	for text, want := range map[string]Duration{
		"90s": Duration(90 * time.Second), "5m": Duration(5 * time.Minute), "1h30m": Duration(90 * time.Minute), "7d": Duration(168 * time.Hour),
		"1d12h": Duration(36 * time.Hour), "500ms": Duration(500 * time.Millisecond), "": 0, "0s": 0, "-5m": 0, "5": 0, "d": 0, "1d-1h": 0,
		"1w": 0, "99999999d": 0, "9999999h": 0, "1.5h": Duration(90 * time.Minute), "1d1d": 0, "+5m": 0,
	} {
		got, err := parseDuration(text)
		if got != want || (err == nil) != (want > 0) {
			t.Errorf("duration %q is %v, %v", text, got, err)
		}
		if want > 0 {
			if back, err := parseDuration(got.String()); err != nil || back != got {
				t.Errorf("duration %q is written %s, which is %v, %v", text, got, back, err)
			}
		}
	}
	for text, want := range map[string]Size{
		"1B": 1, "64KiB": 64 << 10, "32MiB": 32 << 20, "1GiB": 1 << 30, "5KB": 5000, "5MB": 5e6, "5GB": 5e9, "64GiB": 64 << 30,
		"65GiB": 0, "": 0, "MiB": 0, "-1MiB": 0, "1.5MiB": 0, "32": 0, "0B": 0, "1mib": 0, "99999999999GiB": 0, "4294967295GiB": 0,
	} {
		got, err := parseSize(text)
		if got != want || (err == nil) != (want > 0) {
			t.Errorf("size %q is %v, %v", text, int64(got), err)
		}
		if want > 0 {
			if back, err := parseSize(got.String()); err != nil || back != got {
				t.Errorf("size %q is written %s, which is %v, %v", text, got, back, err)
			}
		}
	}
	for text, want := range map[string]price.Pico{
		"2.50": 2_500_000, "0": 0, "0.000001": 1, "10000": price.MaxPico, "10": 10_000_000, "10000.000001": -1, "0.0000001": -1,
		"": -1, "1e3": -1, "-1": -1, ".5": -1, "0x10": -1, "1_000": -1, "NaN": -1, "1.": -1,
	} {
		got, err := ParseUSD(text)
		if want < 0 {
			if err == nil {
				t.Errorf("price %q is %d", text, got)
			}
			continue
		}
		back, backErr := ParseUSD(usd(got))
		if err != nil || got != want || backErr != nil || back != got {
			t.Errorf("price %q is %d, %v, written %s", text, got, err, usd(got))
		}
	}
	for _, c := range []struct {
		a, b string
		want int
	}{{"listen", "lsiten", 2}, {"", "abc", 3}, {"abc", "", 3}, {"kitten", "sitting", 3}, {"same", "same", 0}, {strings.Repeat("a", 65), "a", 64}} {
		if got := edits(c.a, c.b); got != c.want {
			t.Errorf("from %s to %s it takes %d edits, want %d", c.a, c.b, got, c.want)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	w := world{env: map[string]string{"OPENAI_API_KEY": "x", "ANTHROPIC_API_KEY": "y", "GEMINI_API_KEY": "z"}}
	text := string(Sample())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.parse(text); err != nil {
			b.Fatal(err)
		}
	}
}
