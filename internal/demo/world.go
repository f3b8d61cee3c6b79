package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"sallyport/internal/app"
	"sallyport/internal/console"
	"sallyport/internal/upstreamtest"
)

// The model that is claimed and the one that the relay serves instead.
const (
	claimed = "meridian-large"
	cheap   = "meridian-mini"
)

// configuration is that of the gateway: what anybody would write who buys from a relay
// and wants it watched. The watch has its default number of comparisons a month, and so
// the default levels of alarm; only the share of traffic is higher than usual.
const configuration = `data: %q
listen: 127.0.0.1:0
admin: {listen: 127.0.0.1:0}
upstreams:
  - {name: relay,  kind: openai, base_url: %q, class: vetted, allow_private: true, provider: relay}
  - {name: direct, kind: openai, base_url: %q, class: vetted, allow_private: true, provider: maker}
  - {name: second, kind: openai, base_url: %q, class: vetted, allow_private: true, provider: maker}
models:
  meridian-large: {targets: [{upstream: relay}, {upstream: direct}]}
watch:
  - upstream: relay
    model: meridian-large
    references: [direct, second]
    projects: [demo]
    share: 1
    act: quarantine
prices:
  - {provider: maker, model: meridian-large, from: 2026-01-01, usd_per_million: {input: 3, output: 15}}
  - {provider: relay, model: meridian-large, from: 2026-01-01, usd_per_million: {input: 2, output: 10}}
`

// world is everything that runs: providers, relay, gateway.
type world struct {
	dir     string
	relay   *upstreamtest.Relay
	servers []*upstreamtest.Server
	log     *os.File // of the gateway
	app     *app.App
	http    http.Client // to the gateway's folder
	key     string      // of the project whose traffic is compared
}

// build starts it all.
func build(ctx context.Context, dir string, p pace, version string) (w *world, err error) {
	w = &world{dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	model := func(name string, o upstreamtest.Oracle) (*upstreamtest.Server, error) {
		o.Rate, o.First, o.Jitter = p.rate, p.first, .3
		s, err := upstreamtest.Start(upstreamtest.Config{Oracle: &o, Models: []upstreamtest.Model{{ID: name}}, NoDirectives: true})
		if err != nil {
			return nil, fmt.Errorf("start a simulated provider: %w", err)
		}
		w.servers = append(w.servers, s)
		return s, nil
	}
	direct, err := model(claimed, upstreamtest.Oracle{Seed: "first deployment", Family: claimed})
	if err != nil {
		return w, err
	}
	second, err := model(claimed, upstreamtest.Oracle{Seed: "second deployment", Family: claimed, Distance: .1})
	if err != nil {
		return w, err
	}
	mini, err := model(cheap, upstreamtest.Oracle{Seed: "mini", Family: cheap})
	if err != nil {
		return w, err
	}
	cfg, err := upstreamtest.Preset(fmt.Sprintf("R6:%d", honestRequests))
	if err != nil {
		return w, err
	}
	cfg.Backend, cfg.Cheap, cfg.CheapModel = direct.BaseURL(), mini.BaseURL(), cheap
	if w.relay, err = upstreamtest.StartRelay(cfg); err != nil {
		return w, fmt.Errorf("start the relay: %w", err)
	}
	return w, w.serve(ctx, version, direct, second)
}

// serve starts the gateway and makes a key.
func (w *world) serve(ctx context.Context, version string, direct, second *upstreamtest.Server) error {
	data, file := filepath.Join(w.dir, "data"), filepath.Join(w.dir, "sallyport.yaml")
	text := fmt.Sprintf(configuration, data, w.relay.BaseURL(), direct.BaseURL(), second.BaseURL())
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	var err error
	if w.log, err = os.OpenFile(filepath.Join(w.dir, "gateway.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600); err != nil {
		return fmt.Errorf("open the gateway's log: %w", err)
	}
	w.app, err = app.New(ctx, app.Options{
		ConfigFile: file, Version: version, Env: func(string) (string, bool) { return "", false }, Ports: []app.Port{},
		Logger: slog.New(slog.NewJSONHandler(w.log, nil)), Notice: io.Discard,
	})
	if err != nil {
		w.app = nil
		return fmt.Errorf("start the gateway: %w", err)
	}
	socket := app.SocketPath(data)
	w.http.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return app.DialSocket(ctx, socket) }}
	var key console.Key
	if err := w.call(ctx, http.MethodPost, "/keys", console.NewKey{Project: "demo", Name: "demo"}, &key); err != nil {
		return err
	}
	w.key = key.Key
	return nil
}

// call asks the gateway's admin API.
func (w *world) call(ctx context.Context, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("encode the request: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://sallyport/api/v1"+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("make the request: %w", err)
	}
	resp, err := w.http.Do(r)
	if err != nil {
		return fmt.Errorf("ask the gateway: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("read the gateway's answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the gateway answered %s %s with status %d: %s", method, path, resp.StatusCode, answer)
	}
	return json.Unmarshal(answer, out)
}

// close ends it all, the gateway first.
func (w *world) close() error {
	var errs []error
	if w.app != nil {
		errs = append(errs, w.app.Stop(context.Background()))
	}
	if w.relay != nil {
		errs = append(errs, w.relay.Close())
	}
	for _, s := range w.servers {
		errs = append(errs, s.Close())
	}
	w.http.CloseIdleConnections()
	if w.log != nil {
		errs = append(errs, w.log.Close())
	}
	return errors.Join(errs...)
}
