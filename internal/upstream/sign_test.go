package upstream

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sallyport/internal/label"
	"sallyport/internal/secret"
	"sallyport/internal/wire"
)

// TestKindsOfClouds: a cloud serves what its kind says, whatever the configuration
// leaves open, and asking whether it is there takes the credential.
func TestKindsOfClouds(t *testing.T) {
	var status int
	var asked *http.Request
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r
		w.WriteHeader(status)
		fmt.Fprint(w, `{"data":[{"id":"not-deployed"}]}`)
	}))
	defer srv.Close()
	key := secret.New("canary-secret-1234567890")
	for _, c := range []struct {
		cfg    Config
		family Kind
		serves wire.Endpoint
		path   string
		fine   int // of a status that says the upstream is there
	}{
		{Config{Kind: Azure, Key: key, APIVersion: "2024-10-21"}, OpenAI, wire.Responses, "/openai/models?api-version=2024-10-21", 200},
		{Config{Kind: Azure, Key: key}, OpenAI, wire.Chat, "/openai/v1/models", 200},
		{Config{Kind: Bedrock, Key: key, KeyID: secret.New("AKIACANARYEXAMPLE123"), Region: "eu-central-1"}, Bedrock, wire.Converse, "/", 404},
	} {
		c.cfg.Name, c.cfg.BaseURL, c.cfg.Class, c.cfg.AllowPrivate, c.cfg.Models = "u", srv.URL, label.Vetted, true, []string{"mine"}
		u, err := New(c.cfg)
		if err != nil {
			t.Fatal(err)
		}
		if u.Family() != c.family || !u.Serves(c.serves) || u.Serves(wire.Compact) || u.Serves(wire.Models) {
			t.Errorf("%s: of family %s", c.cfg.Kind, u.Family())
		}
		for _, status = range []int{401, 403, 500, c.fine} {
			err := u.Refresh(t.Context())
			if (err == nil) != (status == c.fine) || err != nil && strings.Contains(err.Error(), "canary") {
				t.Errorf("%s: status %d: %v", c.cfg.Kind, status, err)
			}
		}
		if asked.RequestURI != c.path || asked.Header.Get("Authorization")+asked.Header.Get("Api-Key") == "" {
			t.Errorf("%s: asked %s with %v", c.cfg.Kind, asked.RequestURI, asked.Header)
		}
		if models := u.Catalog().Models; len(models) != 1 || models[0] != "mine" {
			t.Errorf("%s: offers %v", c.cfg.Kind, models)
		}
		if s := fmt.Sprintf("%v %+v", u.Config, u); strings.Contains(s, "canary") || strings.Contains(s, "CANARY") {
			t.Errorf("%s: a credential shows in %s", c.cfg.Kind, s)
		}
		u.Close()
	}
	for _, cfg := range []Config{{}, {Key: key}, {Key: key, KeyID: key}} {
		cfg.Name, cfg.Kind, cfg.BaseURL = "u", Bedrock, srv.URL
		if _, err := New(cfg); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%v: %v", cfg, err)
		}
	}
}
