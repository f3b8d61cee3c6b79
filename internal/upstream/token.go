package upstream

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/jwt"

	"sallyport/internal/identity"
	"sallyport/internal/secret"
)

const (
	// tokenURL is where Google's service accounts get access tokens
	// (developers.google.com/identity/protocols/oauth2/service-account). What a key
	// file says about it is not believed: whoever writes one would get the assertions.
	tokenURL = "https://oauth2.googleapis.com/token"

	tokenScope  = "https://www.googleapis.com/auth/cloud-platform"
	tokenTime   = 20 * time.Second // that getting one may take
	tokenMargin = 5 * time.Minute  // before its end that a token is replaced
	tokenPause  = 10 * time.Second // after a failure while the token in use is still good
	maxToken    = 16 << 10
)

// tokens gets the access tokens of a service account and keeps the newest. It is
// safe for concurrent use.
type tokens struct {
	name    identity.Upstream
	config  jwt.Config
	client  *http.Client
	private []secret.String // a line of the private key, which stands for it

	mu      sync.Mutex
	text    secret.String // the token in use; empty before the first
	expires time.Time     // of text
	renew   time.Time     // from when on text is to be replaced
	flight  *flight       // the refresh under way; nil when there is none

	// watched are the token in use, and those before it that may be good still.
	watched []secret.String
}

// flight is one refresh, which several requests may wait for.
type flight struct {
	done chan struct{} // closed at its end
	text secret.String
	err  error
}

// newTokens reads a service account's key file, which the errors do not show.
func newTokens(name identity.Upstream, key secret.String, url string, transport http.RoundTripper) (*tokens, error) {
	var account struct {
		Type  string `json:"type"`
		Email string `json:"client_email"`
		ID    string `json:"private_key_id"`
		Key   string `json:"private_key"`
	}
	if json.Unmarshal([]byte(key.Reveal()), &account) != nil || account.Type != "service_account" || account.Email == "" {
		return nil, fmt.Errorf("upstream %s: key is not the key file of a service account", name)
	}
	block, _ := pem.Decode([]byte(account.Key))
	if block == nil {
		return nil, fmt.Errorf("upstream %s: the service account's private_key is not PEM", name)
	}
	if _, err := x509.ParsePKCS8PrivateKey(block.Bytes); err != nil {
		return nil, fmt.Errorf("upstream %s: the service account's private_key is not PKCS #8", name)
	}
	if url == "" {
		url = tokenURL
	}
	lines := strings.Fields(account.Key)
	return &tokens{
		name: name, private: spellings(lines[len(lines)/2]),
		config: jwt.Config{
			Email: account.Email, PrivateKey: []byte(account.Key), PrivateKeyID: account.ID, Scopes: []string{tokenScope}, TokenURL: url,
		},
		client: &http.Client{
			Transport: transport, Timeout: tokenTime,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// get returns a token that is good for a while. One request at a time gets a new
// one; while the old one is good the others go on with it, else they wait.
func (t *tokens) get(ctx context.Context) (secret.String, error) {
	now := time.Now()
	t.mu.Lock()
	text, good := t.text, now.Before(t.expires)
	if good && (t.flight != nil || now.Before(t.renew)) {
		t.mu.Unlock()
		return text, nil
	}
	f, first := t.flight, t.flight == nil
	if first {
		f = &flight{done: make(chan struct{})}
		t.flight = f
	}
	t.mu.Unlock()
	if first {
		t.refresh(f)
	}
	select {
	case <-f.done:
	case <-ctx.Done():
		return secret.String{}, context.Cause(ctx)
	}
	if f.err != nil && good {
		return text, nil
	}
	return f.text, f.err
}

// refresh gets a new token, for all who wait: so it does not end with the request
// that began it, but with its own time.
func (t *tokens) refresh(f *flight) {
	token, err := t.fetch()
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if f.err = err; err == nil {
		f.text = secret.New(token.AccessToken)
		t.text, t.expires = f.text, token.Expiry
		t.renew = t.expires.Add(-min(tokenMargin, t.expires.Sub(now)/2))
		t.watched = append(spellings(token.AccessToken), t.watched[:min(len(t.watched), maxWatched)]...)
	} else {
		t.renew = now.Add(tokenPause)
	}
	t.flight = nil
	close(f.done)
}

// maxWatched bounds the spellings of earlier tokens that are looked for.
const maxWatched = 4

// fetch asks for a token. Its errors hold nothing of what the endpoint said.
func (t *tokens) fetch() (*oauth2.Token, error) {
	ctx := context.WithValue(context.Background(), oauth2.HTTPClient, t.client)
	token, err := t.config.TokenSource(ctx).Token()
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		return nil, fmt.Errorf("upstream %s: the token endpoint answered with status %d", t.name, refused.Response.StatusCode)
	}
	if err != nil {
		return nil, fmt.Errorf("upstream %s: the token endpoint gave no answer that is valid", t.name)
	}
	text := token.AccessToken
	if len(text) < minCredential || len(text) > maxToken || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, fmt.Errorf("upstream %s: the token endpoint gave no token", t.name)
	}
	if token.Expiry.IsZero() {
		token.Expiry = time.Now().Add(tokenMargin)
	}
	return token, nil
}

// leaks reports whether b contains one of the tokens, or the key.
func (t *tokens) leaks(b []byte) bool {
	t.mu.Lock()
	watched := t.watched
	t.mu.Unlock()
	return contains(b, watched) || contains(b, t.private)
}
