package app

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Port is where a local model server may listen, with the name that the upstream
// gets.
type Port struct {
	Number string
	Name   string
}

// usualPorts are where local model servers listen by default.
var usualPorts = []Port{
	{"11434", "ollama"},
	{"8080", "llamacpp"},
	{"8081", "llamacpp-8081"},
	{"8000", "vllm"},
	{"1234", "lmstudio"},
}

// found is a local model server that answered.
type found struct {
	name    string
	baseURL string
	models  []string
}

// probeTime bounds a look at one port.
const probeTime = 700 * time.Millisecond

// discover looks for model servers on loopback ports, except on the
// addresses that are Sallyport's own. It only asks for the list of models.
func discover(ctx context.Context, ports []Port, own []string) []found {
	results := make([]*found, len(ports))
	var wg sync.WaitGroup
	for i, p := range ports {
		if slices.ContainsFunc(own, func(a string) bool { _, port, _ := net.SplitHostPort(a); return port == p.Number }) {
			continue
		}
		wg.Go(func() {
			base := "http://127.0.0.1:" + p.Number + "/v1"
			if models := listModels(ctx, base); models != nil {
				results[i] = &found{p.Name, base, models}
			}
		})
	}
	wg.Wait()
	var all []found
	for _, f := range results {
		if f != nil {
			all = append(all, *f)
		}
	}
	return all
}

// listModels asks one address for its models; nil means that no model server is there.
func listModels(ctx context.Context, base string) []string {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/models", nil)
	if err != nil {
		return nil
	}
	client := http.Client{
		Transport:     &http.Transport{Proxy: nil, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil
	}
	var list struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil || json.Unmarshal(b, &list) != nil || list.Data == nil {
		return nil
	}
	models := []string{}
	for _, m := range list.Data {
		models = append(models, m.ID)
	}
	return models
}
