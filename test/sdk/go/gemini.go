package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"google.golang.org/genai"
)

// geminiRun holds what the cases of Google's client share.
type geminiRun struct {
	plan   plan
	client *genai.Client
	model  string
}

func geminiSuite(p plan) suite {
	r := geminiRun{plan: p, model: p.Models["gemini"]}
	r.client = r.connect(p.Keys["gemini"], 1)
	return suite{
		"unary": r.unary, "stream": r.stream, "tools": r.tools, "tools_stream": r.toolsStream, "count_tokens": r.countTokens,
		"embeddings": r.embeddings, "list_models": r.listModels, "bad_key": r.badKey, "unknown_model": r.unknownModel,
		"bad_request": r.badRequest, "cancel": r.cancel, "cut": r.cut, "upstream_error": r.upstreamError, "retry": r.retry,
		"give_up": r.giveUp, "parallel": r.parallel, "structured": r.structured, "image": r.image, "reasoning": r.reasoning,
		"long": r.long, "lab_unary": r.labUnary, "lab_stream": r.labStream,
	}
}

// connect makes a client that asks so many times in all.
func (r geminiRun) connect(key string, attempts int32) *genai.Client {
	delay := 0.1
	return must(genai.NewClient(context.Background(), &genai.ClientConfig{
		APIKey: key, Backend: genai.BackendGeminiAPI,
		HTTPOptions: genai.HTTPOptions{BaseURL: r.plan.Roots["gemini"], RetryOptions: &genai.HTTPRetryOptions{Attempts: &attempts, InitialDelay: &delay}},
	}))
}

// chunks reads a stream until it ends or each returns false.
func (r geminiRun) chunks(ctx context.Context, model, text string, config *genai.GenerateContentConfig, each func(*genai.GenerateContentResponse) bool) error {
	for chunk, err := range r.client.Models.GenerateContentStream(ctx, model, genai.Text(text), config) {
		if err != nil {
			return err
		}
		if !each(chunk) {
			return nil
		}
	}
	return nil
}

func googleError(err error, code int) genai.APIError {
	var e genai.APIError
	expect(errors.As(err, &e), "error %T is not the client's own: %v", err, err)
	expect(e.Code == code, "code %d, not %d", e.Code, code)
	return e
}

func (r geminiRun) unary(ctx context.Context, nonce string) {
	text := "hello " + nonce
	answer := must(r.client.Models.GenerateContent(ctx, r.model, genai.Text(text), nil))
	expectAnswer(text, answer.Text(), nonce)
	expect(answer.Candidates[0].FinishReason == genai.FinishReasonStop, "finish reason %s", answer.Candidates[0].FinishReason)
	u := answer.UsageMetadata
	expect(u != nil && u.PromptTokenCount > 0 && u.CandidatesTokenCount > 0, "usage %+v", u)
}

func (r geminiRun) stream(ctx context.Context, nonce string) {
	text := "hello " + nonce + " [[frames=12]]"
	var whole string
	pieces := 0
	var last *genai.GenerateContentResponse
	err := r.chunks(ctx, r.model, text, nil, func(chunk *genai.GenerateContentResponse) bool {
		if piece := chunk.Text(); piece != "" {
			whole += piece
			pieces++
		}
		last = chunk
		return true
	})
	expect(err == nil, "%v", err)
	expect(pieces == 12, "%d pieces, not 12", pieces)
	expectAnswer(text, whole, nonce)
	expect(last.Candidates[0].FinishReason == genai.FinishReasonStop, "no finish reason")
}

// calling offers get_weather.
func calling(mode genai.FunctionCallingConfigMode, names ...string) *genai.GenerateContentConfig {
	schema := map[string]any{"type": "object", "properties": weather, "required": []string{"city"}}
	return &genai.GenerateContentConfig{
		Tools:      []*genai.Tool{{FunctionDeclarations: []*genai.FunctionDeclaration{{Name: "get_weather", ParametersJsonSchema: schema}}}},
		ToolConfig: &genai.ToolConfig{FunctionCallingConfig: &genai.FunctionCallingConfig{Mode: mode, AllowedFunctionNames: names}},
	}
}

func arguments(c *genai.FunctionCall) string { return string(must(json.Marshal(c.Args))) }

func (r geminiRun) tools(ctx context.Context, nonce string) {
	text := "weather? " + nonce
	first := must(r.client.Models.GenerateContent(ctx, r.model, genai.Text(text), calling(genai.FunctionCallingConfigModeAny, "get_weather")))
	calls := first.FunctionCalls()
	expect(len(calls) == 1 && city(arguments(calls[0])) == digestOf(text)+" \"é\" 🚀", "calls %+v", calls)
	result := &genai.Part{FunctionResponse: &genai.FunctionResponse{ID: calls[0].ID, Name: calls[0].Name, Response: map[string]any{"output": "sunny"}}}
	turns := append(genai.Text(text), first.Candidates[0].Content, &genai.Content{Role: genai.RoleUser, Parts: []*genai.Part{result}})
	second := must(r.client.Models.GenerateContent(ctx, r.model, turns, calling(genai.FunctionCallingConfigModeAuto)))
	expect(strings.HasPrefix(second.Text(), "digest:"), "no text after the tool result")
}

func (r geminiRun) toolsStream(ctx context.Context, nonce string) {
	text := "weather? " + nonce
	var calls []*genai.FunctionCall
	err := r.chunks(ctx, r.model, text, calling(genai.FunctionCallingConfigModeAny), func(chunk *genai.GenerateContentResponse) bool {
		calls = append(calls, chunk.FunctionCalls()...)
		return true
	})
	expect(err == nil, "%v", err)
	expect(len(calls) == 1 && strings.HasPrefix(city(arguments(calls[0])), digestOf(text)), "calls %+v", calls)
}

func (r geminiRun) countTokens(ctx context.Context, nonce string) {
	count := must(r.client.Models.CountTokens(ctx, r.model, genai.Text("hello "+nonce), nil))
	expect(count.TotalTokens > 0, "count %+v", count)
}

func (r geminiRun) embeddings(ctx context.Context, nonce string) {
	answer := must(r.client.Models.EmbedContent(ctx, r.plan.Models["gemini_embed"], genai.Text("one "+nonce), nil))
	expect(len(answer.Embeddings) == 1 && len(answer.Embeddings[0].Values) > 0, "no vector")
}

func (r geminiRun) listModels(ctx context.Context, _ string) {
	var names []string
	for m, err := range r.client.Models.All(ctx) {
		expect(err == nil, "%v", err)
		names = append(names, m.Name)
	}
	expect(slices.Contains(names, "models/"+r.model), "models %v", names)
	expect(must(r.client.Models.Get(ctx, r.model, nil)).Name == "models/"+r.model, "get gave another model")
}

func (r geminiRun) badKey(ctx context.Context, nonce string) {
	_, err := r.connect(r.plan.BadKey, 1).Models.GenerateContent(ctx, r.model, genai.Text("hello "+nonce), nil)
	googleError(err, 401)
	expect(!strings.Contains(err.Error(), r.plan.BadKey), "the error repeats the key")
}

func (r geminiRun) unknownModel(ctx context.Context, nonce string) {
	_, err := r.client.Models.GenerateContent(ctx, "no-such-model", genai.Text("hello "+nonce), nil)
	expect(googleError(err, 404).Status == "NOT_FOUND", "error %v", err)
}

func (r geminiRun) badRequest(ctx context.Context, nonce string) {
	_, err := r.client.Models.GenerateContent(ctx, r.model, genai.Text("hello "+nonce+" [[status=400]]"), nil)
	googleError(err, 400)
}

func (r geminiRun) cancel(ctx context.Context, nonce string) {
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	seen := 0
	_ = r.chunks(ctx, r.model, "hello "+nonce+" [[frames=3000 gap=20ms]]", nil, func(*genai.GenerateContentResponse) bool {
		seen++
		return seen < 3
	})
	expect(seen == 3, "%d chunks", seen)
}

func (r geminiRun) cut(ctx context.Context, nonce string) {
	for _, how := range []string{"reset", "close", "end"} {
		err := r.chunks(ctx, r.model, "hello "+nonce+" [[frames=20 cut=5 how="+how+"]]", nil, func(*genai.GenerateContentResponse) bool { return true })
		expect(err != nil, "%s: ended cleanly", how)
	}
}

func (r geminiRun) upstreamError(ctx context.Context, nonce string) {
	err := r.chunks(ctx, r.model, "hello "+nonce+" [[frames=20 error=5]]", nil, func(*genai.GenerateContentResponse) bool { return true })
	expect(err != nil, "ended cleanly")
}

func (r geminiRun) retry(ctx context.Context, nonce string) {
	text := "hello " + nonce + " [[status=429 retry-after=1 times=1]]"
	answer := must(r.connect(r.plan.Keys["gemini"], 3).Models.GenerateContent(ctx, r.model, genai.Text(text), nil))
	expectAnswer(text, answer.Text(), nonce)
}

func (r geminiRun) giveUp(ctx context.Context, nonce string) {
	_, err := r.connect(r.plan.Keys["gemini"], 2).Models.GenerateContent(ctx, r.model, genai.Text("hello "+nonce+" [[status=503]]"), nil)
	var e genai.APIError
	expect(errors.As(err, &e) && e.Code >= 500, "error %v", err)
}

// whole is an answer, or a stream put together.
type whole struct {
	text     string
	thoughts string
	calls    []call
}

func (w *whole) add(answer *genai.GenerateContentResponse) {
	for _, candidate := range answer.Candidates {
		if candidate.Content == nil {
			continue
		}
		for _, part := range candidate.Content.Parts {
			switch {
			case part.FunctionCall != nil:
				w.calls = append(w.calls, call{part.FunctionCall.ID, part.FunctionCall.Name, must(json.Marshal(part.FunctionCall.Args))})
			case part.Thought:
				w.thoughts += part.Text
			default:
				w.text += part.Text
			}
		}
	}
}

// bothWays asks once for a whole answer and once for a stream.
func (r geminiRun) bothWays(ctx context.Context, turns []*genai.Content, config *genai.GenerateContentConfig) [2]whole {
	var unary, streamed whole
	unary.add(must(r.client.Models.GenerateContent(ctx, r.model, turns, config)))
	for chunk, err := range r.client.Models.GenerateContentStream(ctx, r.model, turns, config) {
		expect(err == nil, "%v", err)
		streamed.add(chunk)
	}
	return [2]whole{unary, streamed}
}

func (r geminiRun) parallel(ctx context.Context, nonce string) {
	text := "call get_weather and get_time " + nonce
	schema := map[string]any{"type": "object", "properties": weather, "required": []string{"city"}}
	tool := &genai.Tool{}
	for _, name := range bothTools {
		tool.FunctionDeclarations = append(tool.FunctionDeclarations, &genai.FunctionDeclaration{Name: name, ParametersJsonSchema: schema})
	}
	for _, answer := range r.bothWays(ctx, genai.Text(text), &genai.GenerateContentConfig{Tools: []*genai.Tool{tool}}) {
		expectBoth(text, answer.calls)
	}
}

func (r geminiRun) structured(ctx context.Context, nonce string) {
	text := "which city? " + nonce
	config := &genai.GenerateContentConfig{ResponseMIMEType: "application/json", ResponseJsonSchema: cityFormat}
	for _, answer := range r.bothWays(ctx, genai.Text(text), config) {
		expect(strings.HasPrefix(city(answer.text), digestOf(text)), "answer %q", answer.text)
	}
}

func (r geminiRun) image(ctx context.Context, nonce string) {
	picture := must(base64.StdEncoding.DecodeString(onePixel))
	parts := []*genai.Part{genai.NewPartFromText("what is this? " + nonce), genai.NewPartFromBytes(picture, "image/png")}
	for _, answer := range r.bothWays(ctx, []*genai.Content{genai.NewContentFromParts(parts, genai.RoleUser)}, nil) {
		expectSeen(answer.text, nonce)
	}
}

func (r geminiRun) reasoning(ctx context.Context, nonce string) {
	budget := int32(1024)
	config := &genai.GenerateContentConfig{ThinkingConfig: &genai.ThinkingConfig{IncludeThoughts: true, ThinkingBudget: &budget}}
	for _, answer := range r.bothWays(ctx, genai.Text("think about "+nonce), config) {
		expect(strings.HasPrefix(answer.text, "digest:"), "answer %q", answer.text)
		expect(answer.thoughts != "" || !r.plan.Thinks["gemini"], "no thoughts")
	}
}

func (r geminiRun) long(ctx context.Context, nonce string) {
	text := longText(nonce)
	answers := r.bothWays(ctx, genai.Text(text), nil)
	expectLong(text, answers[0].text, answers[1].text, nonce)
}

func (r geminiRun) labUnary(ctx context.Context, _ string) {
	answer := must(r.client.Models.GenerateContent(ctx, r.plan.Lab["gemini"], genai.Text("Say hello."), &genai.GenerateContentConfig{MaxOutputTokens: 16}))
	expect(answer.Text() != "" && answer.UsageMetadata.CandidatesTokenCount > 0, "answer %+v", answer)
}

func (r geminiRun) labStream(ctx context.Context, _ string) {
	var whole string
	err := r.chunks(ctx, r.plan.Lab["gemini"], "Say hello.", &genai.GenerateContentConfig{MaxOutputTokens: 16}, func(chunk *genai.GenerateContentResponse) bool {
		whole += chunk.Text()
		return true
	})
	expect(err == nil && whole != "", "%v, text %q", err, whole)
}
