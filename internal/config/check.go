package config

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"sallyport/internal/llm"
	"sallyport/internal/price"
)

// Validate checks the configuration as Parse does, but for the files it names.
// It is for configurations that were not read from a file or were changed by
// command-line flags. Its error is an Errors without places.
func (c *Config) Validate() error {
	k := checker{report: &report{}, Config: c}
	k.all()
	return k.err()
}

// checker looks for what is wrong across fields.
type checker struct {
	*report
	*Config
	readFile  func(string) ([]byte, error) // nil: files are not looked at
	providers []string                     // whose price cards can apply
}

func (k *checker) all() {
	k.listeners()
	k.database()
	names := k.upstreamNames()
	k.providers = append(price.Providers(), price.Local)
	for _, p := range k.Prices {
		k.providers = append(k.providers, p.Provider)
	}
	for i := range k.Upstreams {
		k.upstream(fmt.Sprintf("upstreams[%d]", i), &k.Upstreams[i])
	}
	for _, name := range slices.Sorted(maps.Keys(k.Models)) {
		k.model(name, k.Models[name], names)
	}
	for _, name := range slices.Sorted(maps.Keys(k.Projects)) {
		if !nameRule.MatchString(name) {
			k.add(join("projects", name), "the name of a project is not valid", nameFix)
		}
	}
	for i := range k.Watch {
		k.watch(fmt.Sprintf("watch[%d]", i), i, names)
	}
	for i, p := range k.Prices {
		k.price(fmt.Sprintf("prices[%d]", i), p)
	}
	k.bounds()
}

// bounds checks durations and sizes against each other and against sense.
func (k *checker) bounds() {
	longest := func(field string, d, most Duration) {
		if d > most {
			k.add(field, d.String()+" is too long", "write at most "+most.String())
		}
	}
	const day = Duration(24 * 3600e9)
	check := func(prefix string, t UpstreamTimeouts) {
		longest(prefix+"connect", t.Connect, day)
		longest(prefix+"first_frame", t.FirstFrame, day)
		longest(prefix+"stall", t.Stall, day)
		longest(prefix+"total", t.Total, day)
		longest(prefix+"idle", t.Idle, day)
	}
	check("timeouts.", k.Timeouts.UpstreamTimeouts)
	longest("timeouts.body", k.Timeouts.Body, day)
	longest("timeouts.heartbeat", k.Timeouts.Heartbeat, Duration(60e9))
	for i, u := range k.Upstreams {
		if _, own := k.places[fmt.Sprintf("upstreams[%d].timeouts", i)]; own || k.places == nil {
			check(fmt.Sprintf("upstreams[%d].timeouts.", i), u.Timeouts)
		}
	}
	if k.Retention.Documents < Duration(60e9) {
		k.add("retention.documents", k.Retention.Documents.String()+" is too short", "keep turns for 1m at least, or let clients send store: false")
	}
	if k.Retention.Journal < Duration(3600e9) {
		k.add("retention.journal", k.Retention.Journal.String()+" is too short", "keep the journal for 1h at least")
	}
	if k.Count.CPU.Float() == 0 {
		k.add("count.cpu", "nothing can be counted in no time", "write more than 0, or count.share: 0 to count nothing")
	}
	for _, pattern := range slices.Sorted(maps.Keys(k.Count.Vocabularies)) {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			k.add(join("count.vocabularies", pattern), "is no pattern of model names", "write the name of a model, with * for any text")
		}
	}
	if k.Limits.Header < 4*KiB || k.Limits.Header > MiB {
		k.add("limits.header", k.Limits.Header.String()+" is out of range", "write 4KiB to 1MiB")
	}
	if k.Limits.Event > k.Limits.Answer {
		k.add("limits.event", "an event may be larger than a whole answer", "write at most limits.answer, "+k.Limits.Answer.String())
	}
}

// listeners checks both addresses and what protects them.
func (k *checker) listeners() {
	k.listener("", k.Listen, k.TLS, k.BehindProxy)
	k.listener("admin.", k.Admin.Listen, k.Admin.TLS, k.Admin.BehindProxy)
	if _, port, err := net.SplitHostPort(k.Listen); err == nil && port != "0" && k.Listen == k.Admin.Listen {
		k.add("admin.listen", "both listeners have the same address", "give admin.listen a port of its own, such as 8485")
	}
}

func (k *checker) listener(prefix, addr string, t *TLS, proxies []netip.Prefix) {
	host, port, err := net.SplitHostPort(addr)
	if n, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil || strconv.FormatUint(n, 10) != port {
		k.add(prefix+"listen", "is not an address", "write host:port, such as 127.0.0.1:8484")
		return
	}
	ip, err := netip.ParseAddr(host)
	if err != nil && host != "" && host != "localhost" {
		k.add(prefix+"listen", "the host is not an address of this machine", "write an IP address or localhost before the port")
		return
	}
	if t == nil && len(proxies) == 0 && host != "localhost" && !ip.IsLoopback() {
		k.add(prefix+"listen", "listens beyond loopback without TLS",
			"set "+prefix+"tls, or "+prefix+"behind_proxy to the networks of the proxy that ends TLS, or listen on 127.0.0.1")
	}
	for i, p := range proxies {
		if p.IsValid() && p.Bits() == 0 {
			k.add(fmt.Sprintf("%sbehind_proxy[%d]", prefix, i), "believes every sender", "name the networks of your proxies")
		}
	}
	if t != nil {
		k.tls(prefix+"tls", t)
	}
}

// tls checks that the files of a listener are there and belong together.
func (k *checker) tls(field string, t *TLS) {
	cert, okCert := k.file(field+".cert", t.Cert)
	key, okKey := k.file(field+".key", t.Key)
	if okCert && okKey {
		if _, err := tls.X509KeyPair(cert, key); err != nil {
			k.add(field+".cert", "cert and key are not a PEM certificate and its private key", "check both files")
		}
	}
	k.roots(field+".client_ca", t.ClientCA)
}

// roots checks a file of certificate authorities.
func (k *checker) roots(field, name string) {
	if pem, ok := k.file(field, name); ok && !x509.NewCertPool().AppendCertsFromPEM(pem) {
		k.add(field, "holds no certificate", "name a file with PEM certificates")
	}
}

// file reads a file that a field names.
func (k *checker) file(field, name string) ([]byte, bool) {
	if name == "" || k.readFile == nil {
		return nil, false
	}
	b, err := k.readFile(name)
	if err != nil {
		k.add(field, "the file "+quote(name)+" "+reason(err), "name a file that Sallyport may read, of at most 1MiB")
		return nil, false
	}
	return b, true
}

func (k *checker) database() {
	if k.Database.URL.IsZero() {
		return
	}
	url := k.Database.URL.Secret().Reveal()
	if !strings.HasPrefix(url, "postgres://") && !strings.HasPrefix(url, "postgresql://") {
		k.add("database.url", "what "+quote(k.Database.URL.String())+" holds is not a postgres:// URL", "write it as postgres://user:password@host/name")
	}
	_, given := k.places["secret"]
	if k.Secret.IsZero() && !given {
		k.add("database", "a shared database needs a shared secret", "set secret to a reference, such as env:SALLYPORT_SECRET")
	}
}

// nameRule is what names of upstreams and projects look like.
var nameRule = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

const nameFix = "use lower-case letters, digits, dots, dashes and underscores, at most 63, a letter or digit first"

// upstreamNames checks the names and returns those that targets may use.
func (k *checker) upstreamNames() []string {
	var names []string
	for i, u := range k.Upstreams {
		field := fmt.Sprintf("upstreams[%d].name", i)
		switch {
		case u.Name == "":
			continue // reported as missing
		case !nameRule.MatchString(u.Name):
			k.add(field, "the name of an upstream is not valid", nameFix)
		case slices.Contains(names, u.Name):
			k.add(field, "a second upstream is called "+u.Name, "give it a name of its own")
		}
		names = append(names, u.Name)
	}
	return names
}

// model checks one public model.
func (k *checker) model(name string, m Model, upstreams []string) {
	field := join("models", name)
	if !validModel(name) {
		k.add(field, "the public name of a model is not valid", "use at most 256 printable characters without spaces")
	}
	if _, given := k.places[field+".targets"]; len(m.Targets) == 0 && (given || k.places == nil) {
		k.add(field+".targets", "has no target", "name at least one upstream and model")
	}
	for i, t := range m.Targets {
		at := fmt.Sprintf("%s.targets[%d]", field, i)
		if t.Upstream != "" {
			k.isUpstream(at+".upstream", t.Upstream, upstreams)
		}
		if t.Model != name && t.Model != "" && !validModel(t.Model) {
			k.add(at+".model", "the name of a model is not valid", "use at most 256 printable characters without spaces")
		}
		if slices.Index(m.Targets, t) < i {
			k.add(at, "is the same target as an earlier one", "remove it")
		}
	}
}

// isUpstream checks that an upstream is configured.
func (k *checker) isUpstream(field, name string, upstreams []string) {
	if slices.Contains(upstreams, name) {
		return
	}
	fix := "there are no upstreams; add one"
	if near := k.near(name, upstreams); near != "" {
		fix = "did you mean " + near + "?"
	} else if len(upstreams) > 0 {
		fix = "upstreams are " + oneOf(upstreams)
	}
	k.add(field, "no upstream is called "+quote(name), fix)
}

// watch checks one watched upstream.
func (k *checker) watch(field string, i int, upstreams []string) {
	w := k.Watch[i]
	if w.Upstream != "" {
		k.isUpstream(field+".upstream", w.Upstream, upstreams)
	}
	if w.Model != "" && !validModel(w.Model) {
		k.add(field+".model", "the name of a model is not valid", "use at most 256 printable characters without spaces")
	}
	for j, other := range k.Watch[:i] {
		if other.Upstream == w.Upstream && other.Model == w.Model {
			k.add(field, fmt.Sprintf("the same model of the same upstream as in watch[%d]", j), "remove one of them")
		}
	}
	for j, name := range w.References {
		upstream, model := w.Reference(j)
		at := fmt.Sprintf("%s.references[%d]", field, j)
		k.isUpstream(at, upstream, upstreams)
		if upstream == w.Upstream && model == w.Model || slices.Index(w.References, name) < j {
			k.add(at, "is the watched one itself, or a second time the same", "name another deployment")
		}
	}
	if n := len(w.References); n > 4 {
		k.add(field+".references", "has more than 4 references", "keep those that differ most")
	}
	if w.Recorded != "" && !nameRule.MatchString(w.Recorded) {
		k.add(field+".recorded", "the name of a reference is not valid", "see: sallyport reference ls")
	}
	for j, p := range w.Projects {
		if !nameRule.MatchString(p) {
			k.add(fmt.Sprintf("%s.projects[%d]", field, j), "the name of a project is not valid", nameFix)
		}
	}
}

func validModel(name string) bool {
	return name != "" && len(name) <= 256 && !strings.ContainsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) })
}

// price checks one operator's price by building its card.
func (k *checker) price(field string, p Price) {
	if p.Provider == price.Local {
		k.add(field+".provider", "local models cost nothing by declaration", "name the provider that charges")
		return
	}
	if p.Provider != "" && !nameRule.MatchString(p.Provider) {
		k.add(field+".provider", "the name of a provider is not valid", nameFix)
		return
	}
	if len(p.USDPerMillion) == 0 {
		if _, given := k.places[field+".usd_per_million"]; (given || k.places == nil) && !k.reported(field+".usd_per_million") {
			k.add(field+".usd_per_million", "has no price", "write one for each token class that occurs, such as input and output")
		}
		return
	}
	if !p.Until.IsZero() && p.Until.Micros() <= p.From.Micros() {
		k.add(field+".until", "is not after from", "write a later day or remove it")
	}
	for i, t := range p.Tiers {
		at := fmt.Sprintf("%s.tiers[%d]", field, i)
		if i > 0 && t.Above <= p.Tiers[i-1].Above {
			k.add(at+".above", "tiers do not rise", "sort them by above")
		}
		for class := range llm.NumClasses {
			_, here := t.USDPerMillion[class]
			if _, base := p.USDPerMillion[class]; here && !base {
				k.add(at+".usd_per_million", "prices "+class.String()+", which the price itself does not", "add it to usd_per_million above")
			}
		}
	}
}
