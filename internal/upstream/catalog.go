package upstream

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"sallyport/internal/label"
)

// Catalog is what an upstream offers, as it last said.
type Catalog struct {
	Known  bool            // the upstream has answered at least once
	Models []string        // its model names, as it spells them; hostile text
	Remote map[string]bool // models that a local server only passes on to somebody else
}

// maxCatalog bounds a model list's body, maxModels its length.
const (
	maxCatalog = 8 << 20
	maxModels  = 5000
)

// Catalog returns the last known model list; it does no I/O.
func (u *Upstream) Catalog() Catalog { return *u.catalog.Load() }

// Offers reports whether the upstream listed the model.
func (u *Upstream) Offers(model string) bool { return slices.Contains(u.Catalog().Models, model) }

// ClassOf is the class that holds for one model. A model that a local server
// marks as remote runs elsewhere, so it is Any whatever the server is; and so is
// every model of a local server that has not said yet what it serves.
func (u *Upstream) ClassOf(model string) label.Class {
	if u.Class != label.OnSite {
		return u.Class
	}
	c := u.Catalog()
	if !c.Known || c.Remote[model] || strings.HasSuffix(model, "-cloud") || strings.HasSuffix(model, ":cloud") {
		return label.Any
	}
	return u.Class
}

// Payee is whose price cards apply to one model. What a local server only passes
// on is paid to somebody unknown: it is not free, as local models are.
func (u *Upstream) Payee(model string) string {
	if u.Class == label.OnSite && u.Provider == "local" && u.ClassOf(model) != label.OnSite {
		return ""
	}
	return u.Provider
}

// Refresh asks the upstream for its models. When it fails the last list stays. One
// that has no list is asked whether it is there and takes the credential.
func (u *Upstream) Refresh(ctx context.Context) error {
	if u.Kind == Vertex || u.Kind == Bedrock {
		return u.reach(ctx)
	}
	var list struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
		Models []struct { // Gemini
			Name string `json:"name"`
		} `json:"models"`
	}
	q := Request{Method: http.MethodGet, Path: "/models", Header: http.Header{"Accept": {"application/json"}}}
	switch u.Family() {
	case Anthropic:
		q.Header.Set("anthropic-version", "2023-06-01")
	case Gemini:
		q.Query = "pageSize=1000" // the most that one page holds
	}
	u.place(&q)
	q.Path = u.base.Path + q.Path
	if err := u.get(ctx, q, &list); err != nil {
		return err
	}
	if !u.lists() {
		list.Data, list.Models = nil, nil
	}
	var names []string
	for _, m := range list.Data {
		names = append(names, m.ID)
	}
	for _, m := range list.Models {
		names = append(names, strings.TrimPrefix(m.Name, "models/"))
	}
	next := Catalog{Known: true, Models: slices.Clone(u.Models), Remote: map[string]bool{}}
	for _, name := range names {
		if len(next.Models) < maxModels && name != "" && len(name) <= 256 && !slices.Contains(next.Models, name) && !u.Leaks([]byte(name)) {
			next.Models = append(next.Models, name)
		}
	}
	if u.Class == label.OnSite {
		u.markRemote(ctx, next.Remote)
	}
	u.catalog.Store(&next)
	return nil
}

// reach asks for what is at the base URL, which may well be nothing.
func (u *Upstream) reach(ctx context.Context) error {
	resp, err := u.send(ctx, Request{Method: http.MethodGet, Path: u.base.Path})
	if err != nil {
		return err
	}
	resp.Body.Close()
	if s := resp.StatusCode; s == http.StatusUnauthorized || s == http.StatusForbidden || s >= http.StatusInternalServerError {
		return fmt.Errorf("upstream %s: status %d", u.Name, s)
	}
	u.catalog.Store(&Catalog{Known: true, Models: u.Models, Remote: map[string]bool{}})
	return nil
}

// markRemote asks an Ollama server which of its models run elsewhere
// (https://docs.ollama.com/api/tags: remote_host, remote_model). Other servers
// do not know the path and mark nothing.
func (u *Upstream) markRemote(ctx context.Context, remote map[string]bool) {
	var tags struct {
		Models []struct {
			Name        string `json:"name"`
			Model       string `json:"model"`
			RemoteHost  string `json:"remote_host"`
			RemoteModel string `json:"remote_model"`
		} `json:"models"`
	}
	if err := u.get(ctx, Request{Method: http.MethodGet, Path: "/api/tags"}, &tags); err != nil {
		return
	}
	for _, m := range tags.Models {
		if m.RemoteHost != "" || m.RemoteModel != "" {
			remote[m.Name], remote[m.Model] = true, true
		}
	}
}

func (u *Upstream) get(ctx context.Context, q Request, into any) error {
	resp, err := u.send(ctx, q)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("upstream %s: model list: status %d", u.Name, resp.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxCatalog))
	if err != nil {
		return fmt.Errorf("upstream %s: model list: %w", u.Name, err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("upstream %s: model list is not JSON", u.Name)
	}
	return nil
}

// NeedsCatalog reports whether the data plane depends on the upstream's list: its
// models are exposed by it, or a local server must say which ones are remote.
func (u *Upstream) NeedsCatalog() bool { return u.ExposeUnlisted || u.Class == label.OnSite }
