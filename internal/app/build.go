package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"sallyport/internal/config"
	"sallyport/internal/gateway"
	"sallyport/internal/identity"
	"sallyport/internal/label"
	"sallyport/internal/llm"
	"sallyport/internal/price"
	"sallyport/internal/secret"
	"sallyport/internal/store"
	"sallyport/internal/tokens"
	"sallyport/internal/upstream"
	"sallyport/internal/wire"
)

// parts is what a configuration was built into, kept so that a reload can keep
// what did not change.
type parts struct {
	config    *config.Config
	found     map[identity.Upstream]bool // upstreams that were discovered
	upstreams map[identity.Upstream]*upstream.Upstream
	settings  map[identity.Upstream]upstream.Config
	snapshot  *gateway.Snapshot
	book      *price.Book
	longest   time.Duration // that answering one request may take
}

// answerRoom is what a request may take besides its longest attempt: to be read,
// and to be written to a slow client.
const answerRoom = 5 * time.Minute

// build turns a configuration into what the data plane runs on. Upstreams whose
// settings are those of the former parts are taken over with their connections.
func build(ctx context.Context, cfg *config.Config, found map[identity.Upstream]bool, former *parts) (*parts, error) {
	builtin, err := price.Builtin()
	if err != nil {
		return nil, fmt.Errorf("price cards: %w", err)
	}
	p := &parts{
		config: cfg, found: found, book: price.NewBook(builtin, cfg.Cards()),
		upstreams: map[identity.Upstream]*upstream.Upstream{}, settings: map[identity.Upstream]upstream.Config{},
	}
	var errs []error
	for _, c := range cfg.Upstreams {
		set, err := settings(ctx, c)
		if err == nil {
			err = p.add(set, former)
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	p.snapshot = snapshot(cfg, p.upstreams)
	if p.snapshot.Count.Vocabularies, err = vocabularies(cfg.Count.Vocabularies); err != nil {
		return nil, err
	}
	p.longest = time.Duration(cfg.Timeouts.Total)
	for _, set := range p.settings {
		p.longest = max(p.longest, set.Total)
	}
	p.longest += answerRoom
	p.learn(ctx)
	return p, nil
}

// learnTime bounds how long a new configuration waits for model lists. What is
// not known then is asked for again in the background.
const learnTime = 2 * time.Second

// learn asks upstreams whose model lists the data plane depends on for them, so
// that the first request does not meet a model that nobody knows yet.
func (p *parts) learn(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, learnTime)
	defer cancel()
	var wg sync.WaitGroup
	for _, u := range p.upstreams {
		if u.NeedsCatalog() && !u.Catalog().Known {
			wg.Go(func() { _ = u.Refresh(ctx) }) // tried again, and then logged
		}
	}
	wg.Wait()
}

// add takes over an upstream of the former parts or makes a new one.
func (p *parts) add(set upstream.Config, former *parts) error {
	p.settings[set.Name] = set
	if former != nil && reflect.DeepEqual(former.settings[set.Name], set) {
		p.upstreams[set.Name] = former.upstreams[set.Name]
		return nil
	}
	u, err := upstream.New(set)
	if err != nil {
		return err
	}
	p.upstreams[set.Name] = u
	return nil
}

// Configured is what the upstream of a name comes to, as the configuration says.
func Configured(ctx context.Context, c *config.Config, name string) (upstream.Config, error) {
	for _, u := range c.Upstreams {
		if u.Name == name {
			return settings(ctx, u)
		}
	}
	return upstream.Config{}, fmt.Errorf("the configuration has no upstream that is called %q", name)
}

// settings is what one configured upstream comes to. A local upstream whose name
// resolves to a public address is refused here already.
func settings(ctx context.Context, c config.Upstream) (upstream.Config, error) {
	set := upstream.Config{
		Name: identity.Upstream(c.Name), Kind: upstream.Kind(c.Kind), BaseURL: c.BaseURL, Key: c.Key.Secret(), KeyID: c.KeyID.Secret(), Token: c.Token.Secret(), Region: c.Region, APIVersion: c.APIVersion,
		Class: c.Class, Provider: c.Provider, Proxy: c.Proxy, AllowPrivate: c.AllowPrivate,
		ExposeUnlisted: c.ExposeUnlisted, AddUsage: c.AddUsage != nil && *c.AddUsage, Models: c.Models, Lacks: llm.Set(c.Lacks...),
		ConnectTimeout: time.Duration(c.Timeouts.Connect), IdleTimeout: time.Duration(c.Timeouts.Idle),
		FirstFrame: time.Duration(c.Timeouts.FirstFrame), Stall: time.Duration(c.Timeouts.Stall), Total: time.Duration(c.Timeouts.Total),
	}
	set.Headers, set.SecretHeaders = map[string]string{}, map[string]secret.String{}
	for name, v := range c.Headers {
		if v.Plain() {
			set.Headers[name] = v.Secret().Reveal()
		} else {
			set.SecretHeaders[name] = v.Secret()
		}
	}
	for _, name := range c.Endpoints {
		set.Endpoints = append(set.Endpoints, wire.Endpoint(name))
	}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return set, fmt.Errorf("upstream %s: read ca: %w", c.Name, err)
		}
		set.CA = pem
	}
	if c.Class == label.OnSite {
		return set, insideOnly(ctx, c)
	}
	return set, nil
}

// insideOnly refuses a local upstream whose host resolves to a public address. A
// name that does not resolve now is checked when it is dialled.
func insideOnly(ctx context.Context, c config.Upstream) error {
	base, err := url.Parse(c.BaseURL)
	if err != nil {
		return fmt.Errorf("upstream %s: base_url is not a URL", c.Name)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", base.Hostname())
	if err != nil {
		return nil
	}
	for _, a := range addrs {
		if !upstream.Private(a) {
			return fmt.Errorf("upstream %s: class local, but its host resolves to the public address %s; use another class", c.Name, a.Unmap())
		}
	}
	return nil
}

// vocabularies reads the files of vocabularies, by patterns of models. Several patterns
// may name one file.
func vocabularies(files map[string]string) (map[string]*tokens.Vocabulary, error) {
	read, by := map[string]*tokens.Vocabulary{}, map[string]*tokens.Vocabulary{}
	var errs []error
	for _, pattern := range slices.Sorted(maps.Keys(files)) {
		file := files[pattern]
		if read[file] == nil {
			v, err := tokens.Open(file)
			if err != nil {
				errs = append(errs, fmt.Errorf("count.vocabularies[%q]: %w", pattern, err))
				continue
			}
			read[file] = v
		}
		by[pattern] = read[file]
	}
	return by, errors.Join(errs...)
}

func snapshot(cfg *config.Config, ups map[identity.Upstream]*upstream.Upstream) *gateway.Snapshot {
	s := &gateway.Snapshot{
		Hash: cfg.Hash(), Upstreams: ups, Label: cfg.DefaultLabel,
		DropMeaning: cfg.Translation.Meaning == config.Drop, RejectTuning: cfg.Translation.Tuning == config.Reject,
		Count:  gateway.Count{Share: cfg.Count.Share.Float(), CPU: cfg.Count.CPU.Float(), Vendor: cfg.Count.Vendor},
		Models: map[identity.Model][]gateway.Target{}, Labels: map[identity.ProjectID]label.Label{},
		Limits: gateway.Limits{
			Body: int64(cfg.Limits.Body), Depth: cfg.Limits.Depth, Answer: int64(cfg.Limits.Answer), Event: int(cfg.Limits.Event),
			BodyTime:   time.Duration(cfg.Timeouts.Body),
			FirstFrame: time.Duration(cfg.Timeouts.FirstFrame), Stall: time.Duration(cfg.Timeouts.Stall),
			Total: time.Duration(cfg.Timeouts.Total), Heartbeat: time.Duration(cfg.Timeouts.Heartbeat),
			KeySlots: cfg.Limits.Concurrency,
		},
	}
	for name, m := range cfg.Models {
		for _, t := range m.Targets {
			s.Models[identity.Model(name)] = append(s.Models[identity.Model(name)], gateway.Target{Upstream: identity.Upstream(t.Upstream), Model: t.Model})
		}
	}
	for name, p := range cfg.Projects {
		s.Labels[identity.ProjectID(name)] = p.DefaultLabel
	}
	return s
}

// zeroConfig is the configuration without a file: keys of the environment, and
// model servers on the usual loopback ports. Servers that were found are of class
// any until an operator confirmed them.
func (a *App) zeroConfig(ctx context.Context) (*config.Config, map[identity.Upstream]bool, error) {
	cfg, err := a.loadConfig()
	if err != nil {
		return nil, nil, err
	}
	ports := a.opts.Ports
	if ports == nil {
		ports = usualPorts
	}
	found := map[identity.Upstream]bool{}
	for _, f := range discover(ctx, ports, []string{cfg.Listen, cfg.Admin.Listen}) {
		u := config.Upstream{
			Name: f.name, Kind: config.OpenAI, BaseURL: f.baseURL, AllowPrivate: true, ExposeUnlisted: true,
			AddUsage: new(true), Timeouts: cfg.Timeouts.UpstreamTimeouts,
		}
		class, err := a.confirmed(ctx, f.name, f.baseURL)
		if err != nil {
			return nil, nil, err
		}
		if u.Class = class; class == label.OnSite {
			u.Provider = price.Local
		}
		cfg.Upstreams = append(cfg.Upstreams, u)
		found[identity.Upstream(f.name)] = true
	}
	return cfg, found, nil
}

// confirmed is the class that an operator gave to a discovered upstream. It
// holds for the address that was confirmed and for no other.
func (a *App) confirmed(ctx context.Context, name, baseURL string) (label.Class, error) {
	var text string
	err := a.store.View(ctx, func(tx *store.Tx) (err error) {
		text, err = tx.Meta(ctx, confirmKey(name))
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return label.Any, nil
	}
	if err != nil {
		return label.Any, fmt.Errorf("read what was confirmed: %w", err)
	}
	class, address, _ := strings.Cut(text, " ")
	if address != baseURL {
		return label.Any, nil
	}
	return label.ParseClass(class)
}

func confirmKey(name string) string { return "confirmed upstream " + name }

// loopback reports whether an address to listen on is reachable from this
// machine only.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}
