package upstream

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/label"
	"sallyport/internal/secret"
)

// google is a token endpoint and a cloud behind it: it takes a token only when a
// valid assertion got it, and answers with what the token is.
type google struct {
	*httptest.Server
	key     *rsa.PrivateKey
	file    secret.String // of the service account
	asked   atomic.Int64  // for tokens
	status  atomic.Int64  // of the token endpoint; 0 for a token
	hold    atomic.Pointer[chan struct{}]
	problem atomic.Pointer[string]
}

func newGoogle(t *testing.T) *google {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file, err := json.Marshal(map[string]string{
		"type": "service_account", "client_email": "gateway@p.iam.gserviceaccount.com", "private_key_id": "kid1",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		"token_uri":   "https://evil.example/token", "universe_domain": "googleapis.com",
	})
	if err != nil {
		t.Fatal(err)
	}
	g := &google{key: key, file: secret.New(string(file))}
	g.Server = httptest.NewServer(g)
	t.Cleanup(g.Close)
	return g
}

func (g *google) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/token" {
		fmt.Fprint(w, r.Header.Get("Authorization"))
		return
	}
	n := g.asked.Add(1)
	if hold := g.hold.Load(); hold != nil {
		<-*hold
	}
	if s := int(g.status.Load()); s != 0 {
		w.Header().Set("Location", g.URL+"/elsewhere")
		w.WriteHeader(s)
		fmt.Fprintf(w, `{"error":"invalid_grant","error_description":%q}`, r.FormValue("assertion"))
		return
	}
	if err := g.check(r.FormValue("grant_type"), r.FormValue("assertion")); err != nil {
		g.problem.Store(new(err.Error()))
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"access_token":"ya29.canary-token-%d","expires_in":3600,"token_type":"Bearer"}`, n)
}

// check verifies an assertion (RFC 7523) with the account's public key.
func (g *google) check(grant, assertion string) error {
	parts := strings.Split(assertion, ".")
	if grant != "urn:ietf:params:oauth:grant-type:jwt-bearer" || len(parts) != 3 {
		return fmt.Errorf("grant %q with %d parts", grant, len(parts))
	}
	sig, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(&g.key.PublicKey, crypto.SHA256, sum[:], sig); err != nil {
		return err
	}
	var head struct{ Alg, Kid string }
	var claims struct {
		Iss, Aud, Scope string
		Exp, Iat        int64
	}
	for i, into := range []any{&head, &claims} {
		b, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			return err
		}
		if err := json.Unmarshal(b, into); err != nil {
			return err
		}
	}
	life := time.Duration(claims.Exp-claims.Iat) * time.Second
	if head.Alg != "RS256" || head.Kid != "kid1" || claims.Iss != "gateway@p.iam.gserviceaccount.com" || claims.Aud != g.URL+"/token" ||
		claims.Scope != tokenScope || life <= 0 || life > time.Hour+time.Minute || claims.Iat > time.Now().Unix() {
		return fmt.Errorf("%+v %+v", head, claims)
	}
	return nil
}

func (g *google) upstream(t *testing.T) *Upstream {
	t.Helper()
	u, err := New(Config{
		Name: "v", Kind: Vertex, BaseURL: g.URL + "/v1/projects/p/locations/l/publishers/google", Class: label.Vetted,
		AllowPrivate: true, Key: g.file, TokenURL: g.URL + "/token",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(u.Close)
	return u
}

// ask sends a request and returns the credential that the cloud saw.
func ask(ctx context.Context, u *Upstream) (string, error) {
	resp, err := u.Do(ctx, Request{Method: http.MethodPost, Path: "/models/m:generateContent"})
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b := make([]byte, 256)
	n, _ := resp.Body.Read(b)
	return string(b[:n]), nil
}

// expire ends the token in use; renew makes it due.
func (t *tokens) expire(renew, end time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.renew, t.expires = renew, end
}

func TestTokenIsKeptAndRenewed(t *testing.T) {
	g := newGoogle(t)
	u := g.upstream(t)
	for range 3 {
		if got, err := ask(t.Context(), u); err != nil || got != "Bearer ya29.canary-token-1" {
			t.Fatalf("sent %q, %v", got, err)
		}
	}
	left := time.Until(u.tokens.renew)
	if left < 50*time.Minute || left > 55*time.Minute {
		t.Errorf("a token of an hour is renewed after %s", left)
	}
	u.tokens.expire(time.Now(), time.Now().Add(time.Minute)) // due
	if got, err := ask(t.Context(), u); err != nil || got != "Bearer ya29.canary-token-2" {
		t.Errorf("a token that is due: %q, %v", got, err)
	}
	u.tokens.expire(time.Now(), time.Now().Add(time.Minute))
	g.status.Store(503) // the old one is still good
	for range 3 {
		if got, err := ask(t.Context(), u); err != nil || got != "Bearer ya29.canary-token-2" {
			t.Errorf("the endpoint is away: %q, %v", got, err)
		}
	}
	if n := g.asked.Load(); n != 3 {
		t.Errorf("tokens were asked for %d times", n)
	}
	if p := g.problem.Load(); p != nil {
		t.Errorf("the assertion is not valid: %s", *p)
	}
	for _, token := range []string{"ya29.canary-token-1", "ya29.canary-token-2"} {
		if !u.Leaks([]byte("it was " + token)) {
			t.Errorf("%s passes", token)
		}
	}
	if s := fmt.Sprintf("%v %+v", u.Config, u.tokens.text); strings.Contains(s, "canary") || strings.Contains(s, "PRIVATE") {
		t.Errorf("a credential shows in %s", s)
	}
	if u.Leaks([]byte(`"googleapis.com"}`)) || !u.Leaks([]byte(g.file.Reveal())) {
		t.Error("Leaks takes innocent text for the key, or the key for innocent")
	}
}

// TestTokenIsAskedForOnce: of many requests without a token one gets it; those who
// leave do not wait for it.
func TestTokenIsAskedForOnce(t *testing.T) {
	g := newGoogle(t)
	u := g.upstream(t)
	hold := make(chan struct{})
	g.hold.Store(&hold)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if got, err := ask(t.Context(), u); err != nil || got != "Bearer ya29.canary-token-1" {
				t.Errorf("sent %q, %v", got, err)
			}
		})
	}
	for g.asked.Load() == 0 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		<-ctx.Done()
		cancel()
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := ask(gone, u); !errors.Is(err, context.Canceled) {
		t.Errorf("who left got %v", err)
	}
	close(hold)
	wg.Wait()
	if n := g.asked.Load(); n != 1 {
		t.Errorf("tokens were asked for %d times", n)
	}
}

// TestTokenFailures: what the endpoint says shows nowhere, and it leads nowhere.
func TestTokenFailures(t *testing.T) {
	g := newGoogle(t)
	for _, status := range []int64{302, 400, 401, 500} {
		g.status.Store(status)
		_, err := ask(t.Context(), g.upstream(t))
		if err == nil || err.Error() != fmt.Sprintf("upstream v: the token endpoint answered with status %d", status) {
			t.Errorf("%d: %v", status, err)
		}
	}
	u := g.upstream(t)
	g.Close()
	if _, err := ask(t.Context(), u); err == nil || strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("no endpoint: %v", err)
	}
	for name, key := range map[string]string{
		"no JSON": "canary", "other type": `{"type":"authorized_user","client_email":"a","private_key":"canary"}`,
		"no PEM": `{"type":"service_account","client_email":"a","private_key":"canary"}`,
		"no key": `{"type":"service_account","client_email":"a","private_key":"-----BEGIN PRIVATE KEY-----\nY2FuYXJ5\n-----END PRIVATE KEY-----\n"}`,
	} {
		_, err := New(Config{Name: "v", Kind: Vertex, BaseURL: "https://x/publishers/google", Key: secret.New(key)})
		if err == nil || strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "Y2Fu") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := New(Config{Name: "v", Kind: Vertex, BaseURL: "https://x/publishers/meta", Key: g.file}); err == nil {
		t.Error("a publisher whose formats nobody knows is accepted")
	}
	if tokens, err := newTokens("v", g.file, "", nil); err != nil || tokens.config.TokenURL != "https://oauth2.googleapis.com/token" {
		t.Errorf("tokens come from %v, %v", tokens, err)
	}
}
