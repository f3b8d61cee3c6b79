// Package upstreamtest is a provider of models to test against: an HTTP server
// that speaks the OpenAI, the Anthropic and the Gemini API as the vendors do, over
// real sockets, and can be told to fail in every way that a provider can.
//
// # Honest by default
//
// With the zero Behaviour a Server checks its credential, the vendor's required
// headers, the content type and the body, and answers in the vendor's own form:
// error bodies, event order, header names. Sources are the vendors' API
// references (platform.openai.com/docs/api-reference,
// platform.claude.com/docs/en/api and ai.google.dev/api). Members that a vendor
// does not know are ignored, although Google refuses them.
//
// The answer is a function of the request, so no client passes on a canned one:
//
//   - the text is "digest:D nonce:N " followed by words drawn from D, where D is
//     the first 16 hex digits of the SHA-256 of the prompt text (see Expect) and
//     N is the first match of "nonce-[0-9A-Za-z]+" in the prompt, or "-";
//   - tokens are counted by CountTokens: one for every four bytes of UTF-8 text,
//     rounded up, plus four a message and three a request;
//   - a tool is called when tool_choice forces it, or when the last user text
//     names it and no tool result follows; its arguments are filled from its
//     JSON Schema and carry the digest;
//   - embeddings are unit vectors drawn from the SHA-256 of each input;
//   - pictures and sounds are bytes drawn from the SHA-256 of what they are made of
//     (Media), what is heard in a file is its SHA-256 (Transcript).
//
// Expect computes the same answer without a server.
//
// A Server also keeps what its vendor keeps: files, batches, conversations, vector
// stores and responses of OpenAI, files and message batches of Anthropic, cached
// contents of Google. It keeps them for whoever holds its credential, so whose they
// are is for others to know. A batch is done when it is looked at.
//
// # Made to fail
//
// A Behaviour says what goes wrong. It is set for a Server (Config.Behaviour,
// SetBehaviour), for its next requests (Next), or by a directive inside the last
// user text (the last input, for embeddings), which any client in any language
// can send:
//
//	[[status=429 retry-after=3]]
//	[[frames=40 gap=10ms cut=7 how=reset]]
//
// Knobs lists the names. A directive with an unknown name is answered with
// status 400, so that a misspelt test does not pass.
//
// # A model with chosen properties
//
// With Config.Oracle a Server plays a model whose every property that an audit
// measures is known, in all forms but pictures and sounds:
//
//	o := &upstreamtest.Oracle{Seed: "m1", Family: "f", Tokens: tokens.Of("gpt-4o"), Rate: 80, First: 200 * time.Millisecond, Jitter: .5}
//	s, err := upstreamtest.Start(upstreamtest.Config{Oracle: o, Models: []upstreamtest.Model{{ID: "gpt-4o"}}})
//
// A short question is answered from a Cell, a categorical distribution that the
// family determines and the model moves by Distance: of two models of one family,
// one at distance 0, every cell differs by exactly the other's distance in total
// variation. Take .1 for an honest variant, .4 for a sibling, another family for an
// unrelated model. Oracle.Cell tells the truth about a question, Oracle.Cells replaces
// it by what was recorded of a real model. Nonces make no difference.
//
// What asks for more than a word gets prose in the model's style. Before either, the
// model does as it is told, whatever its seed. In this order:
//
//   - a tool that is forced, or named, is called, with the string to use in its text arguments:
//     the last one in quotes, else the one to copy;
//   - a logit_bias of 100 makes it say that token up to max_tokens (64 at most, 16 by default);
//   - a JSON Schema is filled: const, enum, else the string to use;
//   - "the code word is X", anywhere, is what "what is the code word?" gets;
//   - "KEY-name: value" on a line of its own, anywhere, is what a mention of KEY-name
//     elsewhere in the last message gets;
//   - "copy", "repeat", "echo", "verbatim" or "exactly the following" gets what stands between two
//     marker lines (three or more signs, or BEGIN and END), else what follows the colon;
//   - an item that Solve knows is answered rightly with probability Accuracy.
//
// Sampling parameters, stop sequences, bounds, n and logprobs work as documented by
// the vendors, and what these refuse is refused: unknown parameters by name, values
// out of range. The bound on tokens is on the visible ones.
//
// # A relay that cheats
//
// A Relay stands before a Server or any other server of the OpenAI API and does to
// requests and answers what RelayConfig says: a knob for each manipulation, none by
// default. Preset names the usual ones. Without a knob bytes pass as they come, those
// of a stream too.
//
//	cfg, err := upstreamtest.Preset("R3:0.1")
//	cfg.Backend, cfg.Cheap, cfg.CheapModel = s.BaseURL(), cheap.BaseURL(), "modest-7b"
//	r, err := upstreamtest.StartRelay(cfg)
//
// Relay.Deeds is the truth: what was done to which request, by which a verdict can be
// judged. An answer that is rewritten (restyled, tampered with, spoofed) is fetched
// whole, so its stream is chopped as Streaming says, and logprobs are lost.
//
// # What it saw
//
// Server.Journal holds every request as it arrived, before it was answered.
// Config.LogPath mirrors it to an append-only file, one write(2) a request made
// before the first byte of the answer, which a test can judge by after killing
// everything else.
package upstreamtest
