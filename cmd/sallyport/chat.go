package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"sallyport/internal/console"
	"sallyport/internal/upstream"
	"sallyport/internal/wire"
)

func chatCommand(f *flags) *cobra.Command {
	var model string
	c := &cobra.Command{
		Use: "chat TEXT", Short: "Send one message and stream the answer", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return chat(cmd, f, model, args[0]) },
	}
	c.Flags().StringVar(&model, "model", "", "public model name (default: the first one)")
	return c
}

// chat speaks to the data plane through the data folder's socket, whose user
// needs no key, and then shows what the exchange took.
func chat(cmd *cobra.Command, f *flags, model, text string) error {
	ctx := cmd.Context()
	f.founds = true // with a provider's key in the environment it needs nothing else
	c, err := f.connect(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	model, kind, err := c.chooseModel(ctx, model)
	if err != nil {
		return err
	}
	rid, err := c.stream(ctx, kind, model, text, func(delta string) { fmt.Fprint(cmd.OutOrStdout(), visibleText(delta)) }, f.json)
	if rid == "" {
		return err
	}
	var e console.Entry
	if logErr := c.call(context.WithoutCancel(ctx), "GET", "/logs/"+url.PathEscape(rid), nil, &e); logErr != nil {
		return cmp.Or(err, logErr) // what was refused early has no entry
	}
	o := f.output(cmd)
	return errors.Join(err, o.value(e, func() {
		fmt.Fprintf(o.out, "\n\n%s on %s: %s, USD %s, %d ms, %s\n", visible(e.Model), visible(e.Upstream), tokensOrUnknown(e), money(e), e.Millis, e.RID)
	}))
}

func tokensOrUnknown(e console.Entry) string {
	if e.Tokens == nil {
		return "usage unknown"
	}
	return "tokens: " + tokens(e)
}

// chooseModel is the model to use, the first one when none is named, and the API
// family that its upstream speaks.
func (c *client) chooseModel(ctx context.Context, model string) (name, kind string, err error) {
	var ms []console.Model
	if err := c.call(ctx, "GET", "/models", nil, &ms); err != nil {
		return "", "", err
	}
	for _, m := range ms {
		if model == "" || m.Name == model {
			return m.Name, m.Kind, nil
		}
	}
	if model == "" {
		return "", "", errors.New("no model is served; see: sallyport doctor")
	}
	return "", "", fmt.Errorf("no model is called %q; see: sallyport models ls", model)
}

// stream sends one message, hands over the pieces of the answer unless quiet, and
// returns the request id when the request was taken.
func (c *client) stream(ctx context.Context, kind, model, text string, piece func(string), quiet bool) (rid string, err error) {
	path, request := "/v1/chat/completions", map[string]any{
		"model": model, "stream": true, "messages": []map[string]string{{"role": "user", "content": text}},
	}
	if kind == string(upstream.Anthropic) {
		path, request["max_tokens"] = "/v1/messages", 1024
	}
	body, err := json.Marshal(request)
	if err != nil {
		return "", fmt.Errorf("encode the request: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://sallyport"+path, bytes.NewReader(body))
	if err != nil {
		return "", fmt.Errorf("make the request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "sallyport-chat")
	resp, err := c.http.Do(req)
	if err != nil {
		return "", unreachable(err)
	}
	defer resp.Body.Close()
	rid = resp.Header.Get("X-Request-Id")
	if resp.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		return rid, refusedAnswer(resp.StatusCode, errorText(b, resp.StatusCode))
	}
	split := wire.NewSplitter(8 << 20)
	buf := make([]byte, 4096)
	for {
		n, readErr := resp.Body.Read(buf)
		split.Feed(buf[:n])
		for split.Next() {
			delta, failure := chunk(split.Event().Data)
			if failure != "" {
				return rid, errors.New(failure)
			}
			if !quiet {
				piece(delta)
			}
		}
		if err := split.Err(); err != nil {
			return rid, err
		}
		if errors.Is(readErr, io.EOF) {
			return rid, nil
		}
		if readErr != nil {
			return rid, fmt.Errorf("the answer broke off: %w", readErr)
		}
	}
}

// chunk reads the text of one event of either API family, or its error.
func chunk(data []byte) (text, failure string) {
	var c struct {
		Delta struct { // Anthropic
			Text     string `json:"text"`
			Thinking string `json:"thinking"`
		} `json:"delta"`
		Choices []struct {
			Delta struct {
				Content   string `json:"content"`
				Reasoning string `json:"reasoning_content"`
			} `json:"delta"`
		} `json:"choices"`
		Error *struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	if json.Unmarshal(data, &c) != nil {
		return "", ""
	}
	if c.Error != nil {
		return "", c.Error.Message
	}
	text = c.Delta.Thinking + c.Delta.Text
	for _, choice := range c.Choices {
		text += choice.Delta.Reasoning + choice.Delta.Content
	}
	return text, ""
}

// refusedAnswer is a failure with the exit code that fits the data plane's status.
func refusedAnswer(status int, text string) error {
	switch status {
	case http.StatusUnauthorized:
		return &exitError{exitAuth, text}
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return &exitError{exitUnreachable, text + "; see: sallyport upstreams ls"}
	}
	return errors.New(text)
}

func errorText(b []byte, status int) string {
	var e struct {
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	if json.Unmarshal(b, &e) != nil || e.Error.Message == "" {
		return fmt.Sprintf("the gateway answered with status %d", status)
	}
	return e.Error.Message
}
