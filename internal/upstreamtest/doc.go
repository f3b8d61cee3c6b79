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
// # What it saw
//
// Server.Journal holds every request as it arrived, before it was answered.
// Config.LogPath mirrors it to an append-only file, one write(2) a request made
// before the first byte of the answer, which a test can judge by after killing
// everything else.
package upstreamtest
