package upstream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"sallyport/internal/label"
)

// ErrNoTokenizer is returned by Tokenize when the server does not tokenize.
var ErrNoTokenizer = errors.New("the upstream has no tokenizer to ask")

// tokenizeTime bounds one question to a tokenizer, maxTokenized its answer.
const (
	tokenizeTime = 10 * time.Second
	maxTokenized = 32 << 20
)

// Tokenize counts the tokens of a text by the server's own vocabulary, without the
// tokens that begin or end a sequence: POST /tokenize at the root of the host, as
// llama.cpp's server has it (tools/server/README.md there). Only a model of class
// local is asked, and only what it wrote itself should be: ErrNoTokenizer otherwise
// and from servers that do not know the path.
func (u *Upstream) Tokenize(ctx context.Context, model, text string) (int64, error) {
	if u.ClassOf(model) != label.OnSite {
		return 0, ErrNoTokenizer
	}
	body, err := json.Marshal(map[string]any{"model": model, "content": text, "add_special": false, "parse_special": false})
	if err != nil {
		return 0, fmt.Errorf("upstream %s: tokenize: %w", u.Name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, tokenizeTime)
	defer cancel()
	// The connection is not kept: what a server does to one that was idle is not to
	// meet a client's request. For the same reason a lost one is tried again.
	ask := func() (*http.Response, error) {
		return u.send(ctx, Request{
			Method: http.MethodPost, Path: "/tokenize", Header: http.Header{"Content-Type": {"application/json"}},
			Body: io.NopCloser(bytes.NewReader(body)), Length: int64(len(body)), Alone: true,
		})
	}
	resp, err := ask()
	if err != nil && ctx.Err() == nil {
		resp, err = ask()
	}
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return 0, ErrNoTokenizer
	default:
		return 0, fmt.Errorf("upstream %s: tokenize: status %d", u.Name, resp.StatusCode)
	}
	var answer struct {
		Tokens []json.RawMessage `json:"tokens"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxTokenized)).Decode(&answer); err != nil || answer.Tokens == nil {
		return 0, fmt.Errorf("upstream %s: tokenize: the answer is not a list of tokens", u.Name)
	}
	return int64(len(answer.Tokens)), nil
}
