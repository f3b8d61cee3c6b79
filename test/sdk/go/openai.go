package main

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/param"
	"github.com/openai/openai-go/v3/packages/ssestream"
	"github.com/openai/openai-go/v3/responses"
)

// labToolPrompts are phrasings that a 135M model answers with a tool call; it is choosy.
var labToolPrompts = []string{"Call get_weather for Lisbon.", "Weather in Oslo now?", "Weather in Rome?", "Call get_weather for Berlin."}

// openAIRun holds what the cases of the OpenAI client share.
type openAIRun struct {
	plan   plan
	client openai.Client
	model  string
}

func openAI(p plan) suite {
	r := openAIRun{plan: p, model: p.Models["chat"]}
	r.client = r.dial(p.Keys["openai"])
	return suite{
		"unary": r.unary, "stream": r.stream, "stream_usage": r.streamUsage, "tools": r.tools, "tools_stream": r.toolsStream,
		"responses": r.responses, "responses_tools": r.responsesTools, "embeddings": r.embeddings, "list_models": r.listModels, "bad_key": r.badKey,
		"unknown_model": r.unknownModel, "bad_request": r.badRequest, "cancel": r.cancel, "cut": r.cut,
		"upstream_error": r.upstreamError, "retry": r.retry, "give_up": r.giveUp,
		"parallel": r.parallel, "structured": r.structured, "image": r.image, "reasoning": r.reasoning, "long": r.long,
		"lab_unary": r.labUnary, "lab_stream": r.labStream, "lab_tools": r.labTools, "lab_embeddings": r.labEmbeddings,
	}
}

func (r openAIRun) dial(key string) openai.Client {
	return openai.NewClient(option.WithAPIKey(key), option.WithBaseURL(r.plan.Roots["openai"]+"/v1"))
}

func (r openAIRun) ask(text string) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{Model: r.model, Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(text)}}
}

var weatherTool = cityTool("get_weather", "Current weather for a city")

func cityTool(name, description string) openai.ChatCompletionToolUnionParam {
	return openai.ChatCompletionFunctionTool(openai.FunctionDefinitionParam{
		Name:        name,
		Description: openai.String(description),
		Parameters:  openai.FunctionParameters{"type": "object", "properties": weather, "required": []string{"city"}},
	})
}

// collect reads a stream to its end.
func (r openAIRun) collect(ctx context.Context, q openai.ChatCompletionNewParams) ([]openai.ChatCompletionChunk, error) {
	stream := r.client.Chat.Completions.NewStreaming(ctx, q)
	defer stream.Close()
	var chunks []openai.ChatCompletionChunk
	for stream.Next() {
		chunks = append(chunks, stream.Current())
	}
	return chunks, stream.Err()
}

// pieces are the non-empty text deltas.
func pieces(chunks []openai.ChatCompletionChunk) []string {
	var texts []string
	for _, chunk := range chunks {
		for _, choice := range chunk.Choices {
			if choice.Delta.Content != "" {
				texts = append(texts, choice.Delta.Content)
			}
		}
	}
	return texts
}

// refused demands that the call failed with the status and returns the typed error.
func refused(err error, status int) *openai.Error {
	var typed *openai.Error
	expect(errors.As(err, &typed), "error %T, not *openai.Error: %v", err, err)
	expect(typed.StatusCode == status, "status %d, not %d", typed.StatusCode, status)
	return typed
}

func (r openAIRun) unary(ctx context.Context, nonce string) {
	text := "hello " + nonce
	var raw *http.Response
	answer := must(r.client.Chat.Completions.New(ctx, r.ask(text), option.WithResponseInto(&raw)))
	expectAnswer(text, answer.Choices[0].Message.Content, nonce)
	expect(answer.Choices[0].FinishReason == "stop", "finish reason %q", answer.Choices[0].FinishReason)
	expect(answer.Usage.PromptTokens > 0 && answer.Usage.CompletionTokens > 0, "usage %+v", answer.Usage)
	expect(raw.Header.Get("X-Request-Id") != "", "no x-request-id")
}

func (r openAIRun) stream(ctx context.Context, nonce string) {
	text := "hello " + nonce + " [[frames=12]]"
	chunks := must(r.collect(ctx, r.ask(text)))
	expect(!slices.ContainsFunc(chunks, func(c openai.ChatCompletionChunk) bool { return len(c.Choices) == 0 }), "a usage chunk that was not asked for")
	texts := pieces(chunks)
	expect(len(texts) == 12, "%d pieces, not 12", len(texts))
	expectAnswer(text, strings.Join(texts, ""), nonce)
	expect(chunks[len(chunks)-1].Choices[0].FinishReason == "stop", "no finish reason")
}

func (r openAIRun) streamUsage(ctx context.Context, nonce string) {
	q := r.ask("hello " + nonce)
	q.StreamOptions.IncludeUsage = openai.Bool(true)
	chunks := must(r.collect(ctx, q))
	last := chunks[len(chunks)-1]
	expect(len(last.Choices) == 0 && last.Usage.CompletionTokens > 0, "last chunk %s", last.RawJSON())
}

func (r openAIRun) tools(ctx context.Context, nonce string) {
	q := r.ask("weather? " + nonce)
	q.Tools = []openai.ChatCompletionToolUnionParam{weatherTool}
	q.ToolChoice = openai.ToolChoiceOptionFunctionToolChoice(openai.ChatCompletionNamedToolChoiceFunctionParam{Name: "get_weather"})
	message := must(r.client.Chat.Completions.New(ctx, q)).Choices[0].Message
	expect(len(message.ToolCalls) == 1, "%d tool calls", len(message.ToolCalls))
	call := message.ToolCalls[0]
	expect(city(call.Function.Arguments) == digestOf("weather? "+nonce)+" \"é\" 🚀", "arguments %s", call.Function.Arguments)

	q.ToolChoice = openai.ChatCompletionToolChoiceOptionUnionParam{}
	q.Messages = append(q.Messages, message.ToParam(), openai.ToolMessage("sunny", call.ID))
	answer := must(r.client.Chat.Completions.New(ctx, q)).Choices[0].Message.Content
	expect(strings.HasPrefix(answer, "digest:"), "no text after the tool result: %q", answer)
}

func (r openAIRun) toolsStream(ctx context.Context, nonce string) {
	q := r.ask("weather? " + nonce)
	q.Tools = []openai.ChatCompletionToolUnionParam{weatherTool}
	q.ToolChoice.OfAuto = openai.String("required")
	var whole openai.ChatCompletionAccumulator
	for _, chunk := range must(r.collect(ctx, q)) {
		expect(whole.AddChunk(chunk), "chunk does not fit: %s", chunk.RawJSON())
	}
	calls := whole.Choices[0].Message.ToolCalls
	expect(len(calls) == 1 && strings.HasPrefix(city(calls[0].Function.Arguments), digestOf("weather? "+nonce)), "calls %+v", calls)
}

func (r openAIRun) responses(ctx context.Context, nonce string) {
	q := responses.ResponseNewParams{Model: r.model, Input: responses.ResponseNewParamsInputUnion{OfString: openai.String("hello " + nonce)}}
	answer := must(r.client.Responses.New(ctx, q))
	expect(strings.HasPrefix(answer.OutputText(), "digest:") && answer.Status == "completed", "%s: %q", answer.Status, answer.OutputText())
	stream := r.client.Responses.NewStreaming(ctx, q)
	defer stream.Close()
	var kinds []string
	for stream.Next() {
		event := stream.Current()
		expect(event.SequenceNumber == int64(len(kinds)), "sequence number %d, not %d", event.SequenceNumber, len(kinds))
		kinds = append(kinds, event.Type)
	}
	must(0, stream.Err())
	expect(len(kinds) > 2 && kinds[0] == "response.created" && kinds[len(kinds)-1] == "response.completed", "events %v", kinds)
}

// responsesTools keeps the conversation itself: what an answer held goes back as it came.
func (r openAIRun) responsesTools(ctx context.Context, nonce string) {
	text := "weather? " + nonce
	question := responses.ResponseInputItemParamOfMessage(text, responses.EasyInputMessageRoleUser)
	tool := responses.FunctionToolParam{
		Name: "get_weather", Strict: openai.Bool(false),
		Parameters: map[string]any{"type": "object", "properties": weather, "required": []string{"city"}},
	}
	turns := responses.ResponseInputParam{question}
	ask := func(choice responses.ToolChoiceOptions) *responses.Response {
		q := responses.ResponseNewParams{
			Model: r.model, Input: responses.ResponseNewParamsInputUnion{OfInputItemList: turns},
			Tools: []responses.ToolUnionParam{{OfFunction: &tool}},
		}
		q.ToolChoice.OfToolChoiceMode = openai.Opt(choice)
		answer := must(r.client.Responses.New(ctx, q))
		for _, item := range answer.Output {
			turns = append(turns, param.Override[responses.ResponseInputItemUnionParam](json.RawMessage(item.RawJSON())))
		}
		return answer
	}
	first := ask(responses.ToolChoiceOptionsRequired)
	i := slices.IndexFunc(first.Output, func(item responses.ResponseOutputItemUnion) bool { return item.Type == "function_call" })
	expect(i >= 0, "no call in %s", first.RawJSON())
	call := first.Output[i].AsFunctionCall()
	expect(strings.HasPrefix(city(call.Arguments), digestOf(text)), "arguments %s", call.Arguments)
	result := responses.ResponseInputItemParamOfFunctionCallOutput("sunny")
	result.OfFunctionCallOutput.CallID = openai.String(call.CallID)
	turns = append(turns, result)
	second := ask(responses.ToolChoiceOptionsAuto)
	expect(strings.HasPrefix(second.OutputText(), "digest:"), "no text after the tool result")
	turns = append(turns, question)
	third := ask(responses.ToolChoiceOptionsAuto)
	expect(strings.HasPrefix(third.OutputText(), "digest:"), "no text in the third turn")
}

func (r openAIRun) embed(ctx context.Context, encoding openai.EmbeddingNewParamsEncodingFormat, model string, inputs ...string) *openai.CreateEmbeddingResponse {
	return must(r.client.Embeddings.New(ctx, openai.EmbeddingNewParams{
		Model: model, EncodingFormat: encoding, Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: inputs},
	}))
}

func (r openAIRun) embeddings(ctx context.Context, nonce string) {
	answer := r.embed(ctx, "", r.plan.Models["embed"], "a "+nonce, "b "+nonce)
	expect(len(answer.Data) == 2, "%d vectors", len(answer.Data))
	for _, item := range answer.Data {
		var sum float64
		for _, x := range item.Embedding {
			sum += x * x
		}
		expect(math.Abs(math.Sqrt(sum)-1) < 1e-3, "length %v", math.Sqrt(sum))
	}
	plain := r.embed(ctx, "float", r.plan.Models["embed"], "a "+nonce)
	expect(slices.Equal(plain.Data[0].Embedding, answer.Data[0].Embedding), "the same input, two vectors")
	var raw *http.Response
	_, err := r.client.Embeddings.New(ctx, openai.EmbeddingNewParams{
		Model: r.plan.Models["embed"], EncodingFormat: "base64", Input: openai.EmbeddingNewParamsInputUnion{OfString: openai.String("a " + nonce)},
	}, option.WithResponseInto(&raw)) // this SDK does not decode base64 itself
	expect(raw != nil && raw.StatusCode == http.StatusOK, "base64: %v", err)
}

func (r openAIRun) listModels(ctx context.Context, _ string) {
	var ids []string
	for page := r.client.Models.ListAutoPaging(ctx); page.Next(); {
		ids = append(ids, page.Current().ID)
	}
	expect(slices.Contains(ids, r.model) && slices.Contains(ids, r.plan.Models["embed"]), "models %v", ids)
	expect(must(r.client.Models.Get(ctx, r.model)).ID == r.model, "another model")
	_, err := r.client.Models.Get(ctx, "no-such-model")
	refused(err, http.StatusNotFound)
}

func (r openAIRun) badKey(ctx context.Context, nonce string) {
	client := r.dial(r.plan.BadKey)
	_, err := client.Chat.Completions.New(ctx, r.ask("hello "+nonce))
	expect(!strings.Contains(refused(err, http.StatusUnauthorized).Error(), r.plan.BadKey), "the error repeats the key")
}

func (r openAIRun) unknownModel(ctx context.Context, nonce string) {
	q := r.ask("hello " + nonce)
	q.Model = "no-such-model"
	_, err := r.client.Chat.Completions.New(ctx, q)
	expect(refused(err, http.StatusNotFound).Response.Header.Get("X-Sallyport-Reason") != "", "no x-sallyport-reason")
}

func (r openAIRun) badRequest(ctx context.Context, nonce string) {
	_, err := r.client.Chat.Completions.New(ctx, r.ask("hello "+nonce+" [[status=400]]"))
	refused(err, http.StatusBadRequest)
}

func (r openAIRun) cancel(ctx context.Context, nonce string) {
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	stream := r.client.Chat.Completions.NewStreaming(ctx, r.ask("hello "+nonce+" [[frames=3000 gap=20ms]]"))
	for range 3 {
		expect(stream.Next(), "ended early: %v", stream.Err())
	}
}

func (r openAIRun) cut(ctx context.Context, nonce string) {
	for _, how := range []string{"reset", "close", "end"} {
		_, err := r.collect(ctx, r.ask("hello "+nonce+" [[frames=20 cut=5 how="+how+"]]"))
		_, typed := errors.AsType[*ssestream.StreamError](err)
		expect(typed, "cut by %s: %T %v, not *ssestream.StreamError", how, err, err)
	}
}

func (r openAIRun) upstreamError(ctx context.Context, nonce string) {
	_, err := r.collect(ctx, r.ask("hello "+nonce+" [[frames=20 error=5]]"))
	_, typed := errors.AsType[*ssestream.StreamError](err)
	expect(typed, "%T %v, not *ssestream.StreamError", err, err)
}

func (r openAIRun) retry(ctx context.Context, nonce string) {
	text := "hello " + nonce + " [[status=429 retry-after=1 times=1]]"
	started := time.Now()
	expectAnswer(text, must(r.client.Chat.Completions.New(ctx, r.ask(text))).Choices[0].Message.Content, nonce)
	expect(time.Since(started) > 900*time.Millisecond, "did not wait for Retry-After")
}

func (r openAIRun) giveUp(ctx context.Context, nonce string) {
	_, err := r.client.Chat.Completions.New(ctx, r.ask("hello "+nonce+" [[status=503 retry-after-ms=10]]"), option.WithMaxRetries(1))
	var typed *openai.Error
	expect(errors.As(err, &typed) && typed.StatusCode >= 500, "%T %v", err, err)
}

// bothWays asks once for a whole answer and once for a stream, and puts the stream together.
func (r openAIRun) bothWays(ctx context.Context, q openai.ChatCompletionNewParams) [2]openai.ChatCompletionMessage {
	unary := must(r.client.Chat.Completions.New(ctx, q))
	var whole openai.ChatCompletionAccumulator
	for _, chunk := range must(r.collect(ctx, q)) {
		expect(whole.AddChunk(chunk), "chunk does not fit: %s", chunk.RawJSON())
	}
	expect(len(unary.Choices) == 1 && len(whole.Choices) == 1, "%d choices, %d streamed", len(unary.Choices), len(whole.Choices))
	return [2]openai.ChatCompletionMessage{unary.Choices[0].Message, whole.Choices[0].Message}
}

func (r openAIRun) parallel(ctx context.Context, nonce string) {
	text := "call get_weather and get_time " + nonce
	q := r.ask(text)
	q.Tools = []openai.ChatCompletionToolUnionParam{weatherTool, cityTool("get_time", "Current time in a city")}
	for _, message := range r.bothWays(ctx, q) {
		var calls []call
		for _, c := range message.ToolCalls {
			expect(c.ID != "", "a call without an id: %+v", c)
			calls = append(calls, call{c.ID, c.Function.Name, json.RawMessage(c.Function.Arguments)})
		}
		expectBoth(text, calls)
	}
}

func (r openAIRun) structured(ctx context.Context, nonce string) {
	text := "which city? " + nonce
	q := r.ask(text)
	q.ResponseFormat.OfJSONSchema = &openai.ResponseFormatJSONSchemaParam{
		JSONSchema: openai.ResponseFormatJSONSchemaJSONSchemaParam{Name: "city", Strict: openai.Bool(true), Schema: cityFormat},
	}
	for _, message := range r.bothWays(ctx, q) {
		expect(strings.HasPrefix(city(message.Content), digestOf(text)), "answer %q", message.Content)
	}
}

func (r openAIRun) image(ctx context.Context, nonce string) {
	q := r.ask("")
	q.Messages = []openai.ChatCompletionMessageParamUnion{openai.UserMessage([]openai.ChatCompletionContentPartUnionParam{
		openai.TextContentPart("what is this? " + nonce),
		openai.ImageContentPart(openai.ChatCompletionContentPartImageImageURLParam{URL: "data:image/png;base64," + onePixel}),
	})}
	for _, message := range r.bothWays(ctx, q) {
		expectSeen(message.Content, nonce)
	}
}

func (r openAIRun) reasoning(ctx context.Context, nonce string) {
	q := r.ask("think about " + nonce)
	q.ReasoningEffort = openai.ReasoningEffortLow
	for _, message := range r.bothWays(ctx, q) {
		expect(strings.HasPrefix(message.Content, "digest:"), "answer %q", message.Content)
	}
}

func (r openAIRun) long(ctx context.Context, nonce string) {
	text := longText(nonce)
	messages := r.bothWays(ctx, r.ask(text))
	expectLong(text, messages[0].Content, messages[1].Content, nonce)
}

func (r openAIRun) askLab(text string, tokens int64) openai.ChatCompletionNewParams {
	q := r.ask(text)
	q.Model, q.MaxTokens = r.plan.Lab["chat"], openai.Int(tokens)
	return q
}

func (r openAIRun) labUnary(ctx context.Context, _ string) {
	answer := must(r.client.Chat.Completions.New(ctx, r.askLab("Say hello.", 16)))
	expect(answer.Choices[0].Message.Content != "" && answer.Usage.CompletionTokens > 0, "answer %s", answer.RawJSON())
}

func (r openAIRun) labStream(ctx context.Context, _ string) {
	chunks := must(r.collect(ctx, r.askLab("Say hello.", 16)))
	expect(!slices.ContainsFunc(chunks, func(c openai.ChatCompletionChunk) bool { return len(c.Choices) == 0 }), "a usage chunk that was not asked for")
	expect(len(pieces(chunks)) > 0, "no text")
}

func (r openAIRun) labTools(ctx context.Context, _ string) {
	for _, prompt := range labToolPrompts {
		q := r.askLab(prompt, 120)
		q.Temperature, q.Tools = openai.Float(0), []openai.ChatCompletionToolUnionParam{weatherTool}
		for _, call := range must(r.client.Chat.Completions.New(ctx, q)).Choices[0].Message.ToolCalls {
			expect(city(call.Function.Arguments) != "", "arguments %s", call.Function.Arguments)
			return
		}
	}
	expect(false, "no prompt was answered with a tool call")
}

func (r openAIRun) labEmbeddings(ctx context.Context, _ string) {
	answer := r.embed(ctx, "", r.plan.Lab["chat"], "a gate", "a door")
	expect(len(answer.Data) == 2 && len(answer.Data[0].Embedding) == 576, "not two vectors of 576")
}
