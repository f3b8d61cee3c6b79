package upstream

import (
	"bytes"
	"context"
	"net/http"
	"strings"

	"sallyport/internal/secret"
)

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
