package config

import (
	"maps"
	"net"
	"net/netip"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"sallyport/internal/label"
	"sallyport/internal/price"
)

// upstream checks one upstream. What depends on name resolution is checked again
// whenever it is dialled.
func (k *checker) upstream(field string, u *Upstream) {
	if u.BaseURL != "" {
		if base := k.endpoint(field+".base_url", u.BaseURL); base != nil {
			k.address(field, u, base)
		}
	}
	if u.Proxy != "" {
		if proxy := k.endpoint(field+".proxy", u.Proxy); proxy != nil && strings.Trim(proxy.Path, "/") != "" {
			k.add(field+".proxy", "has a path", "write only scheme, host and port")
		}
		if u.Class == label.OnSite {
			k.add(field+".proxy", "the address of a local upstream cannot be checked behind a proxy", "remove the proxy, or class local")
		}
	}
	k.cloud(field, u)
	k.roots(field+".ca", u.CA)
	k.headers(field, u)
	if u.Provider != "" && !slices.Contains(k.providers, u.Provider) {
		fix := "name one with price cards, or add its prices"
		if near := k.near(u.Provider, k.providers); near != "" {
			fix = "did you mean " + near + "?"
		}
		k.add(field+".provider", "no price cards of "+quote(u.Provider), fix)
	}
	if k.given(field+".add_usage") && u.Kind != OpenAI && u.Kind != Azure {
		k.add(field+".add_usage", "kind "+string(u.Kind)+" always reports usage", "remove it")
	}
	for i, name := range u.Endpoints {
		if !slices.Contains(kindEndpoints[u.Kind], name) || slices.Contains(u.Endpoints[:i], name) {
			k.add(field+".endpoints", "holds "+quote(name)+", which kind "+string(u.Kind)+" does not have, or twice", "list some of "+strings.Join(kindEndpoints[u.Kind], ", "))
		}
	}
	seen := make(map[string]bool, len(u.Models))
	for _, m := range u.Models {
		if m != "" && !validModel(m) || seen[m] {
			k.add(field+".models", "holds a name that is not valid or occurs twice", "list every model once, without spaces")
			break
		}
		seen[m] = true
	}
}

// given reports whether the file sets a field.
func (k *checker) given(field string) bool {
	_, given := k.places[field]
	return given
}

// kindEndpoints are the endpoints of each kind that can be served or not.
var kindEndpoints = map[Kind][]string{
	OpenAI: {
		"chat", "responses", "compact", "embeddings", "images", "image_edits", "image_variations", "speech", "transcriptions",
		"translations", "moderations", "rerank", "files", "batches", "conversations", "vector_stores", "stored_responses",
	},
	Azure:     {"chat", "responses", "embeddings"},
	Anthropic: {"messages", "count_tokens", "files", "message_batches"},
}

// endpoint checks the form of a URL. No text of the URL is shown: it may hold a
// credential.
func (k *checker) endpoint(field, text string) *url.URL {
	u, err := url.Parse(text)
	switch {
	case err != nil, u.Scheme != "https" && u.Scheme != "http", u.Hostname() == "", u.Opaque != "":
		k.add(field, "is not an http or https URL", "write it as https://host/path")
	case u.User != nil:
		k.add(field, "holds a credential", "remove everything between // and @; a key belongs into key, as a reference")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		k.add(field, "has a query or a fragment", "remove everything from ? or # on")
	case strings.ContainsFunc(u.Host, func(r rune) bool { return r <= ' ' || r > '~' }):
		k.add(field, "the host is not written in ASCII", "write an international name in its xn-- form")
	case u.Port() != "" && !validPort(u.Port()):
		k.add(field, "the port is not valid", "write a number from 1 to 65535")
	default:
		return u
	}
	return nil
}

func validPort(port string) bool {
	p, err := netip.ParseAddrPort("127.0.0.1:" + port)
	return err == nil && p.Port() != 0
}

// metadata are the names and addresses where clouds hand out instance
// credentials outside the link-local range.
var metadata = []string{"metadata", "metadata.google.internal", "fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16"}

// carrierNAT is the shared address space of RFC 6598.
var carrierNAT = netip.MustParsePrefix("100.64.0.0/10")

// address checks where a base URL points, as far as that shows without asking a
// name server.
func (k *checker) address(field string, u *Upstream, base *url.URL) {
	host := strings.ToLower(strings.TrimSuffix(base.Hostname(), "."))
	at := field + ".base_url"
	ip, literal := literalAddr(host)
	inside := literal && (ip.IsLoopback() || ip.IsPrivate() || carrierNAT.Contains(ip))
	trusted := u.Class == label.OnSite || u.AllowPrivate
	official := officialProvider(host)
	switch {
	case slices.Contains(metadata, host), literal && (ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified()):
		k.add(at, "is a metadata, link-local or multicast address", "name a model server")
		return
	case literal && !inside && u.Class == label.OnSite, official != "" && u.Class == label.OnSite:
		k.add(field+".class", "class local on a public address", "write vetted, in-region or any; local is for servers on loopback and private addresses")
	case inside && !trusted:
		k.add(at, "is a private or loopback address", "set class: local if you run the server, else allow_private: true")
	case base.Scheme == "http" && literal && !inside, base.Scheme == "http" && official != "":
		k.add(at, "http:// to a public address would send prompts and key in clear", "write https://")
	case base.Scheme == "http" && !literal && !trusted:
		k.add(at, "http:// is for loopback and private addresses only", "write https://, or set class: local or allow_private: true if the name resolves to a private address")
	}
	if k.given(field+".provider") && u.Provider == price.Local && (literal && !inside || official != "") {
		k.add(field+".provider", "provider local means free, and this address is not local", "remove it or name who charges")
	}
	if k.own(host, base) {
		k.add(at, "is Sallyport's own address", "name the model server behind it")
	}
}

// literalAddr reads a host that is an address, or a name that means one.
func literalAddr(host string) (netip.Addr, bool) {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1}), true
	}
	ip, err := netip.ParseAddr(host)
	return ip.Unmap().WithZone(""), err == nil
}

// own reports whether a URL points at one of the two listeners.
func (k *checker) own(host string, base *url.URL) bool {
	port := base.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[base.Scheme]
	}
	target, literal := literalAddr(host)
	for _, listen := range []string{k.Listen, k.Admin.Listen} {
		h, p, err := net.SplitHostPort(listen)
		if err != nil || p != port || !literal {
			continue
		}
		ip, ok := literalAddr(h)
		if ok && ip == target || (h == "" || ok && ip.IsUnspecified()) && target.IsLoopback() {
			return true
		}
	}
	return false
}

// reserved are header names, canonical, that Sallyport sets or takes away itself.
var reserved = []string{
	"Host", "Content-Length", "Content-Type", "Content-Encoding", "Transfer-Encoding", "Connection", "Keep-Alive",
	"Te", "Trailer", "Upgrade", "Expect", "Accept-Encoding", "Proxy-Authenticate", "Proxy-Authorization",
	"Proxy-Connection", "Forwarded", "Via", "X-Real-Ip", "Cookie", "X-Goog-Api-Key",
}

// carriers are the headers that key and token are sent in.
var carriers = []string{"Authorization", "X-Api-Key", "Api-Key"}

// headers checks the names and values of additional headers.
func (k *checker) headers(field string, u *Upstream) {
	for _, name := range slices.Sorted(maps.Keys(u.Headers)) {
		value := u.Headers[name]
		at := join(field+".headers", name)
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		text := value.Secret().Reveal()
		switch {
		case !headerName(name):
			k.add(at, "is not a header name", "use letters, digits and dashes (RFC 9110, section 5.1)")
		case slices.Contains(reserved, canonical), strings.HasPrefix(canonical, "X-Forwarded-"), strings.HasPrefix(canonical, "X-Sallyport-"):
			k.add(at, "Sallyport sets or removes this header itself", "remove it")
		case value.IsZero(): // reported while decoding
		case !(u.Key.IsZero() && u.Token.IsZero()) && slices.Contains(carriers, canonical):
			k.add(at, "carries a credential beside key", "remove one of the two")
		case strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
			k.add(at, "the value holds a control character", "write it on one line")
		}
	}
}

// headerName reports whether a text is a token of RFC 9110, section 5.6.2.
func headerName(s string) bool {
	return s != "" && len(s) <= 128 && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", r))
	})
}
