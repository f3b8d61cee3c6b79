// Command sdk runs the official Go SDKs against a running Sallyport and prints
// one JSON line a case on standard output.
//
// It is run by test/sdk/run, which also judges what the upstream saw. The plan
// (addresses, keys, model names) is the JSON file named by the first argument.
// The cases are those of test/sdk/python/clients.py.
package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"
	"unicode/utf8"
)

// plan is what test/sdk/run writes.
type plan struct {
	Roots  map[string]string   `json:"roots"` // by vendor, without /v1
	Keys   map[string]string   `json:"keys"`  // by vendor
	BadKey string              `json:"bad_key"`
	Models map[string]string   `json:"models"` // chat, embed, claude, gemini, gemini_embed
	Lab    map[string]string   `json:"lab"`    // chat, claude, gemini
	Cases  map[string][]string `json:"cases"`  // by vendor
	Thinks map[string]bool     `json:"thinks"` // by vendor, whether its model's thoughts can be seen
}

// suite maps a case's name to the function that runs it; it panics with failure.
type suite map[string]func(ctx context.Context, nonce string)

// failure is what was expected and what came.
type failure string

func expect(ok bool, format string, args ...any) {
	if !ok {
		panic(failure(fmt.Sprintf(format, args...)))
	}
}

// must returns the value, or fails with the error.
func must[T any](value T, err error) T {
	expect(err == nil, "%T: %v", err, err)
	return value
}

// digestOf is the digest that the simulated provider puts into its answer to a single user message.
func digestOf(text string) string {
	sum := sha256.Sum256([]byte("user: " + text + "\n"))
	return hex.EncodeToString(sum[:])[:16]
}

func expectAnswer(text, answer, nonce string) {
	start := "digest:" + digestOf(text) + " nonce:" + strings.TrimPrefix(nonce, "nonce-")
	expect(strings.HasPrefix(answer, start), "%q does not start with %q", answer, start)
}

// city is the argument that the simulated model, and a willing real one, gives get_weather.
func city(arguments string) string {
	var object struct {
		City string `json:"city"`
	}
	expect(json.Unmarshal([]byte(arguments), &object) == nil, "arguments %q are not JSON", arguments)
	return object.City
}

// weather are the properties of get_weather's parameters.
var weather = map[string]any{"city": map[string]any{"type": "string"}}

// bothTools are the tools that the parallel case offers, both with weather as parameters.
var bothTools = []string{"get_weather", "get_time"}

// call is a tool call as a client gave it; its id is empty where the API gave none.
type call struct {
	id, name string
	input    json.RawMessage
}

// expectBoth demands one call of each of bothTools for the text, told apart by their ids if they have any.
func expectBoth(text string, calls []call) {
	expect(len(calls) == len(bothTools), "%d calls: %s", len(calls), calls)
	for i, name := range bothTools {
		expect(calls[i].name == name && strings.HasPrefix(city(string(calls[i].input)), digestOf(text)), "call %d is not %s with the digest: %s", i, name, calls[i])
	}
	none := calls[0].id == "" && calls[1].id == ""
	expect(none || calls[0].id != "" && calls[1].id != "" && calls[0].id != calls[1].id, "ids do not tell the calls apart: %s", calls)
}

// cityFormat is the schema of the structured case's answer.
var cityFormat = map[string]any{"type": "object", "properties": weather, "required": []string{"city"}, "additionalProperties": false}

// onePixel is the image case's picture, a PNG in base64.
const onePixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

// expectSeen demands an answer to the nonce, whatever the picture did to the digest.
func expectSeen(answer, nonce string) {
	expect(strings.HasPrefix(answer, "digest:") && strings.Contains(answer, strings.TrimPrefix(nonce, "nonce-")), "%q", answer)
}

// longText asks for an answer of 60000 bytes in 300 pieces.
func longText(nonce string) string { return "hello " + nonce + " [[frames=300 frame-bytes=200]]" }

// expectLong demands the whole long answer, the same both ways.
func expectLong(text, unary, streamed, nonce string) {
	expectAnswer(text, unary, nonce)
	expect(utf8.RuneCountInString(streamed) >= 50000, "%d characters streamed", utf8.RuneCountInString(streamed))
	expect(streamed == unary, "streamed %d bytes, unary %d bytes, not the same text", len(streamed), len(unary))
}

// result is one line of output.
type result struct {
	Client  string  `json:"client"`
	Case    string  `json:"case"`
	OK      bool    `json:"ok"`
	Detail  string  `json:"detail"`
	Nonce   string  `json:"nonce"`
	Seconds float64 `json:"seconds"`
}

func run(client, name string, one func(context.Context, string)) (r result) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	started := time.Now()
	r = result{Client: client, Case: name, Nonce: "nonce-" + strings.ToLower(rand.Text())}
	defer func() {
		r.Seconds = time.Since(started).Round(time.Millisecond).Seconds()
		switch problem := recover().(type) {
		case nil:
			r.OK = true
		case failure:
			r.Detail = string(problem)
		default:
			r.Detail = fmt.Sprintf("panic: %v", problem)
		}
	}()
	expect(one != nil, "no such case")
	one(ctx, r.Nonce)
	return r
}

func main() {
	if err := runAll(); err != nil {
		fmt.Fprintln(os.Stderr, "sdk:", err)
		os.Exit(1)
	}
}

func runAll() error {
	if len(os.Args) != 2 {
		return fmt.Errorf("usage: %s PLAN", os.Args[0])
	}
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		return fmt.Errorf("read the plan: %w", err)
	}
	var p plan
	if err := json.Unmarshal(text, &p); err != nil {
		return fmt.Errorf("read the plan: %w", err)
	}
	out := json.NewEncoder(os.Stdout)
	for _, c := range []struct {
		name, vendor string
		cases        suite
	}{
		{"openai-go", "openai", openAI(p)},
		{"anthropic-go", "anthropic", anthropicSuite(p, newV1)},
		{"anthropic-go-v2", "anthropic", anthropicSuite(p, newV2)},
		{"gemini-go", "gemini", geminiSuite(p)},
	} {
		for _, name := range p.Cases[c.vendor] {
			if err := out.Encode(run(c.name, name, c.cases[name])); err != nil {
				return err
			}
		}
	}
	return nil
}
