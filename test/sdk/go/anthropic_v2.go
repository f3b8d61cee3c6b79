package main

import (
	"context"
	"errors"
	"net/http"

	"github.com/anthropics/anthropic-sdk-go/v2"
	"github.com/anthropics/anthropic-sdk-go/v2/option"
)

// v2 adapts the second major, which sends anthropic-version 2026-10-21.
type v2 struct{ client anthropic.Client }

func newV2(root, key string, retries int) messenger {
	options := []option.RequestOption{option.WithBaseURL(root), option.WithAPIKey(key)}
	if retries >= 0 {
		options = append(options, option.WithMaxRetries(retries))
	}
	return v2{anthropic.NewClient(options...)}
}

func (v2) params(q question) anthropic.MessageNewParams {
	content := []anthropic.ContentBlockParamUnion{anthropic.NewTextBlock(q.text)}
	if q.image != "" {
		content = append(content, anthropic.NewImageBlockBase64("image/png", q.image))
	}
	p := anthropic.MessageNewParams{
		Model:     anthropic.Model(q.model),
		MaxTokens: q.maxTokens,
		Messages:  []anthropic.MessageParam{anthropic.NewUserMessage(content...)},
	}
	for _, name := range q.tools {
		schema := anthropic.ToolInputSchemaParam{Properties: weather, Required: []string{"city"}}
		p.Tools = append(p.Tools, anthropic.ToolUnionParamOfTool(schema, name))
	}
	if q.format != nil {
		p.OutputConfig.Format.Schema = q.format
	}
	if q.thinking > 0 {
		p.Thinking = anthropic.ThinkingConfigParamOfEnabled(q.thinking)
	}
	switch q.force {
	case "":
	case "any":
		p.ToolChoice = anthropic.ToolChoiceUnionParam{OfAny: &anthropic.ToolChoiceAnyParam{}}
	default:
		p.ToolChoice = anthropic.ToolChoiceParamOfTool(q.force)
	}
	if q.called != nil {
		p.Messages = append(p.Messages,
			anthropic.NewAssistantMessage(anthropic.NewToolUseBlock(q.called.id, q.called.input, "get_weather")),
			anthropic.NewUserMessage(anthropic.NewToolResultBlock(q.called.id, q.result, false)))
	}
	return p
}

func (v2) reply(m *anthropic.Message) reply {
	r := reply{stop: string(m.StopReason), input: m.Usage.InputTokens, output: m.Usage.OutputTokens}
	for _, block := range m.Content {
		switch block.Type {
		case "text":
			r.text += block.Text
		case "thinking":
			r.thinking += block.Thinking
		case "tool_use":
			r.calls = append(r.calls, call{block.ID, block.Name, block.Input})
		}
	}
	return r
}

func (c v2) message(ctx context.Context, q question) (reply, error) {
	var raw *http.Response
	m, err := c.client.Messages.New(ctx, c.params(q), option.WithResponseInto(&raw))
	if err != nil {
		return reply{}, err
	}
	r := c.reply(m)
	r.requestID = raw.Header.Get("Request-Id")
	return r, nil
}

func (c v2) stream(ctx context.Context, q question, each func(int) bool) (reply, error) {
	stream := c.client.Messages.NewStreaming(ctx, c.params(q))
	defer stream.Close()
	var whole anthropic.Message
	pieces := 0
	for stream.Next() {
		event := stream.Current()
		if err := whole.Accumulate(event); err != nil {
			return reply{}, err
		}
		if event.Type == "content_block_delta" && event.Delta.Type == "text_delta" {
			if pieces++; !each(pieces) {
				break
			}
		}
	}
	r := c.reply(&whole)
	r.pieces = pieces
	return r, stream.Err()
}

func (c v2) count(ctx context.Context, model, text string) (int64, error) {
	n, err := c.client.Messages.CountTokens(ctx, anthropic.MessageCountTokensParams{
		Model: anthropic.Model(model), Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock(text))},
	})
	if err != nil {
		return 0, err
	}
	return n.InputTokens, nil
}

func (c v2) models(ctx context.Context) ([]string, error) {
	var ids []string
	page := c.client.Models.ListAutoPaging(ctx, anthropic.ModelListParams{})
	for page.Next() {
		ids = append(ids, page.Current().ID)
	}
	return ids, page.Err()
}

func (c v2) model(ctx context.Context, id string) (string, error) {
	m, err := c.client.Models.Get(ctx, id, anthropic.ModelGetParams{})
	if err != nil {
		return "", err
	}
	return m.ID, nil
}

func (v2) problem(err error) (problem, bool) {
	typed, ok := errors.AsType[*anthropic.Error](err)
	if !ok {
		return problem{}, false
	}
	p := problem{status: typed.StatusCode, body: typed.RawJSON()}
	if typed.Response != nil {
		p.header = typed.Response.Header
	}
	return p, true
}
