package upstream

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"sallyport/internal/secret"
)

// prepare makes ready what the kind authorizes requests with, and what Leaks looks
// for.
func (u *Upstream) prepare() (err error) {
	switch u.Kind {
	case Bedrock:
		if u.Key.Empty() || u.KeyID.Empty() || u.Region == "" {
			return fmt.Errorf("upstream %s: an access key id, its secret and a region are needed", u.Name)
		}
		u.signer = v4.NewSigner()
	case Vertex: // whose key is a file, and never sent
		u.tokens, err = newTokens(u.Name, u.Key, u.TokenURL, u.transport)
		u.Key = secret.String{}
	}
	for _, credential := range []secret.String{u.Key, u.Token, u.KeyID} {
		u.watch(credential)
	}
	for _, credential := range u.SecretHeaders {
		u.watch(credential)
	}
	return err
}

// carriers are the headers that a kind's credential may stand in.
var carriers = []string{"Authorization", "X-Api-Key", "X-Goog-Api-Key", "Api-Key"}

// authorize sets the credential in the carrier that the kind demands, and makes
// sure that no other carrier is used. It may have to ask for a token first.
func (u *Upstream) authorize(ctx context.Context, h http.Header) error {
	for _, name := range carriers {
		h.Del(name)
	}
	name, value := "Authorization", u.Key
	switch u.Kind {
	case Anthropic:
		name = "X-Api-Key"
	case Gemini:
		name = "X-Goog-Api-Key"
	case Azure:
		if name = "Api-Key"; !u.Token.Empty() {
			name, value = "Authorization", u.Token
		}
	case Bedrock: // signed when the request is whole
		return nil
	case Vertex:
		var err error
		if value, err = u.tokens.get(ctx); err != nil {
			return err
		}
	}
	text := value.Reveal()
	switch {
	case text == "":
		return nil
	case name == "Authorization":
		text = "Bearer " + text
	}
	h[name] = []string{text}
	return nil
}

// minCredential is how long a credential must be for Leaks to look for it:
// shorter ones stand in innocent text.
const minCredential = 8

// watch makes Leaks look for a credential, without the scheme before it if there
// is one, and as JSON encoders write it that escape slashes.
func (u *Upstream) watch(credential secret.String) {
	text := credential.Reveal()
	text = text[strings.LastIndexByte(text, ' ')+1:]
	u.credentials = append(u.credentials, spellings(text)...)
}

// spellings are the forms in which a credential may be written.
func spellings(text string) []secret.String {
	if len(text) < minCredential {
		return nil
	}
	forms := []secret.String{secret.New(text)}
	if escaped := strings.ReplaceAll(text, "/", `\/`); escaped != text {
		forms = append(forms, secret.New(escaped))
	}
	return forms
}

// Leaks reports whether b contains a credential of the upstream.
func (u *Upstream) Leaks(b []byte) bool {
	return contains(b, u.credentials) || u.tokens != nil && u.tokens.leaks(b)
}

func contains(b []byte, credentials []secret.String) bool {
	for _, c := range credentials {
		if bytes.Contains(b, []byte(c.Reveal())) {
			return true
		}
	}
	return false
}
