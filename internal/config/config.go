// Package config turns a configuration file into structs: strictly, and with all
// problems reported at once, each with its file, line, column, field and fix.
//
// The comments on the fields below are the reference: the JSON Schema takes its
// descriptions from them, and the sample file mentions every field. An absent
// field takes the value that its comment names, which is a safe one.
//
// Secrets are written as references (env:NAME or file:PATH), never in clear.
// They are resolved while loading and kept as secret.String: no error, log line,
// hash, JSON or formatted value of this package holds one.
package config

import (
	"net/netip"
	"strings"

	"sallyport/internal/label"
	"sallyport/internal/llm"
)

// Config is one effective configuration: what the file says, with every absent
// field replaced by its default. It is not changed after loading.
type Config struct {
	// Address of the data plane, host:port. Default 127.0.0.1:8484. An address beyond loopback needs tls or behind_proxy.
	Listen string `json:"listen,omitzero"`
	// Serve the data plane over TLS. Certificates are read again when they change.
	TLS *TLS `json:"tls,omitzero"`
	// Networks of the reverse proxies in front of the data plane, as CIDR. X-Forwarded-* is believed from there only. None by default.
	BehindProxy []netip.Prefix `json:"behind_proxy,omitzero"`
	// The second listener: administration, console and metrics.
	Admin Admin `json:"admin,omitzero"`
	// Folder of the journal, the SQLite database and the files that Sallyport makes. Default ./data. Relative paths count from the working directory, here and everywhere.
	Data string `json:"data,omitzero"`
	// A PostgreSQL database instead of SQLite in the data folder.
	Database Database `json:"database,omitzero"`
	// The master secret. Default: the file secret in the data folder, made on first start with mode 0600. Required with a database url, because all replicas share it.
	Secret Ref `json:"secret,omitzero"`
	// When a record counts as written: grouped (the default; fsync at most 50 ms or 64 records later, survives a killed process) or strict (after fsync, survives a power cut).
	Durability Durability `json:"durability,omitzero" jsonschema:"enum=grouped,enum=strict"`
	// The endpoints that requests may go to. Without any, Sallyport serves no model.
	Upstreams []Upstream `json:"upstreams,omitzero"`
	// Public model names and the upstreams that serve them.
	Models map[string]Model `json:"models,omitzero"`
	// What happens to what the API of an upstream cannot express, of requests that come in another one.
	Translation Translation `json:"translation,omitzero"`
	// Bounds on requests and answers.
	Limits Limits `json:"limits,omitzero"`
	// How long things may take, for every upstream that does not say otherwise.
	Timeouts Timeouts `json:"timeouts,omitzero"`
	// How long things are kept.
	Retention Retention `json:"retention,omitzero"`
	// How many answers Sallyport counts the tokens of itself, to be shown beside what upstreams claim.
	Count Count `json:"count,omitzero"`
	// Upstreams whose answers to real requests are compared with those of trusted ones. None by default.
	Watch []Watch `json:"watch,omitzero"`
	// Label of a request in which nothing was found: public, internal (the default), confidential or restricted.
	DefaultLabel label.Label `json:"default_label,omitzero"`
	// What differs by project. Projects need no entry here to exist.
	Projects map[string]Project `json:"projects,omitzero"`
	// Prices that replace or add to the built-in price cards.
	Prices []Price `json:"prices,omitzero"`
	// What the program writes to standard error.
	Log Log `json:"log,omitzero"`
	// The Prometheus endpoint on the admin listener.
	Metrics Metrics `json:"metrics,omitzero"`
}

// Admin is the admin listener.
type Admin struct {
	// Address of the admin listener, host:port. Default 127.0.0.1:8485. An address beyond loopback needs tls or behind_proxy.
	Listen string `json:"listen,omitzero"`
	// Serve the admin listener over TLS. Certificates are read again when they change.
	TLS *TLS `json:"tls,omitzero"`
	// Networks of the reverse proxies in front of the admin listener, as CIDR. X-Forwarded-* is believed from there only. None by default.
	BehindProxy []netip.Prefix `json:"behind_proxy,omitzero"`
	// Host names by which operators reach the admin listener, such as that of the reverse proxy. Loopback, the address listened on and the names of the certificate are always accepted; every other Host is refused.
	Hosts []string `json:"hosts,omitzero"`
}

// TLS is what a listener shows and asks for.
type TLS struct {
	// File with the certificate chain, PEM, the listener's own certificate first.
	Cert string `json:"cert" jsonschema:"required"`
	// File with the private key of the certificate, PEM.
	Key string `json:"key" jsonschema:"required"`
	// File with the certificate authorities, PEM, of which clients must show a certificate. Clients need none by default.
	ClientCA string `json:"client_ca,omitzero"`
}

// Database says where rows are kept.
type Database struct {
	// A reference to a postgres:// URL. Default: SQLite in the data folder.
	URL Ref `json:"url,omitzero"`
}

// Durability says when a journal record counts as written.
type Durability string

// The durabilities.
const (
	Grouped Durability = "grouped"
	Strict  Durability = "strict"
)

// Kind is the API family that an upstream speaks.
type Kind string

// The kinds.
const (
	OpenAI    Kind = "openai"
	Anthropic Kind = "anthropic"
	Gemini    Kind = "gemini"
	Azure     Kind = "azure"
	Vertex    Kind = "vertex"
	Bedrock   Kind = "bedrock"
)

// Upstream is one configured way to reach a provider.
type Upstream struct {
	// Unique name: lower-case letters, digits, dots, dashes and underscores, at most 63.
	Name string `json:"name" jsonschema:"required"`
	// The API it speaks: openai (OpenAI's and everything compatible with it), anthropic, gemini, azure (OpenAI's in Azure), vertex (Gemini's or Anthropic's in Google Cloud), or bedrock (Converse of Amazon Bedrock).
	Kind Kind `json:"kind" jsonschema:"required,enum=openai,enum=anthropic,enum=gemini,enum=azure,enum=vertex,enum=bedrock"`
	// Address up to and including the version, such as https://api.openai.com/v1; of kind azure the resource alone, such as https://NAME.openai.azure.com; of kind vertex up to the publisher, such as https://REGION-aiplatform.googleapis.com/v1/projects/PROJECT/locations/REGION/publishers/google; of kind bedrock https://bedrock-runtime.REGION.amazonaws.com. http:// is for loopback and private addresses only. Credentials do not belong here.
	BaseURL string `json:"base_url" jsonschema:"required"`
	// A reference to the credential. None for servers without one. Of kind vertex the key file of a service account, such as file:/run/secrets/vertex.json; of kind bedrock the secret access key.
	Key Ref `json:"key,omitzero"`
	// A reference to the access key id that key belongs to. Kind bedrock only.
	KeyID Ref `json:"key_id,omitzero"`
	// A reference to a bearer token in the place of key (kind azure), or to the session token of temporary keys (kind bedrock). Of these kinds only.
	Token Ref `json:"token,omitzero"`
	// Region that requests are signed for, such as eu-central-1. Default: that of base_url. Kind bedrock only.
	Region string `json:"region,omitzero"`
	// Version of the API, such as 2024-10-21: models are then asked below their deployments. Default: the API without versions, below /openai/v1. Kind azure only.
	APIVersion string `json:"api_version,omitzero"`
	// How far it is trusted with data: local (run by you, on a loopback or private address), in-region, vetted or any (the default).
	Class label.Class `json:"class,omitzero"`
	// Whose price cards apply. Default: found by the host name; local, which costs nothing, for class local; none for other hosts.
	Provider string `json:"provider,omitzero"`
	// Headers sent with every request. Values are texts or references; names that carry credentials demand a reference.
	Headers map[string]Value `json:"headers,omitzero"`
	// URL of an HTTP proxy to reach it through, without credentials. None by default; HTTP_PROXY and the like are ignored.
	Proxy string `json:"proxy,omitzero"`
	// File with certificate authorities, PEM, that replace the system's for this upstream.
	CA string `json:"ca,omitzero"`
	// How long things may take with this upstream. Default: the top-level timeouts.
	Timeouts UpstreamTimeouts `json:"timeouts,omitzero"`
	// Make every model that it offers reachable as name/model, without an entry under models. Default false.
	ExposeUnlisted bool `json:"expose_unlisted,omitzero"`
	// Ask for token usage in streams (stream_options.include_usage) when the client did not, and take the extra chunk out again. Default true; turn it off for servers that refuse the option. Kinds openai and azure only.
	AddUsage *bool `json:"add_usage,omitzero"`
	// Let it resolve to a private or loopback address though its class is not local. Default false.
	AllowPrivate bool `json:"allow_private,omitzero"`
	// Models that it offers, for servers that cannot list them.
	Models []string `json:"models,omitzero"`
	// Endpoints of its API that it serves: chat, responses, compact, embeddings, images, image_edits, image_variations, speech, transcriptions, translations, moderations, rerank, files, batches, conversations, vector_stores and stored_responses of kind openai, chat, responses and embeddings of kind azure, messages, count_tokens, files and message_batches of kind anthropic. Requests to others are translated, or refused where they cannot be. Default: all, or what is known of the provider; compact and what has to be kept only of the vendor itself.
	Endpoints []string `json:"endpoints,omitzero"`
	// What the server does not understand though its API can express it, such as image_url or json_schema: requests of other APIs that need it are not translated for this upstream, and what only tunes is left out. docs/translation.md lists the names.
	Lacks []llm.Feature `json:"lacks,omitzero"`
}

// Translation says what happens to what the API of an upstream cannot express.
type Translation struct {
	// What changes the meaning of the answer, such as tools, schemas and images: reject (the default) answers 400 and names it, drop leaves it out and lists it in x-sallyport-dropped.
	Meaning Uncarried `json:"meaning,omitzero" jsonschema:"enum=reject,enum=drop"`
	// What tunes the answer, such as penalties and seeds: drop (the default) or reject.
	Tuning Uncarried `json:"tuning,omitzero" jsonschema:"enum=reject,enum=drop"`
}

// Uncarried is what happens to what cannot be carried.
type Uncarried string

// The ways.
const (
	Reject Uncarried = "reject"
	Drop   Uncarried = "drop"
)

// Model is one public model name.
type Model struct {
	// The upstreams that serve it, tried in this order.
	Targets []Target `json:"targets" jsonschema:"required"`
}

// Target is one way to serve a model.
type Target struct {
	// Name of an upstream.
	Upstream string `json:"upstream" jsonschema:"required"`
	// The upstream's own name of the model. Default: the public name.
	Model string `json:"model,omitzero"`
}

// Limits bound requests and answers.
type Limits struct {
	// Largest request body after decoding. Default 32MiB.
	Body Size `json:"body,omitzero"`
	// Largest request header. Default 64KiB.
	Header Size `json:"header,omitzero"`
	// Deepest nesting of a request's JSON. Default 100.
	Depth int `json:"depth,omitzero" jsonschema:"minimum=4,maximum=1000"`
	// Largest answer, streamed or whole. Default 64MiB.
	Answer Size `json:"answer,omitzero"`
	// Largest single event of a stream. Default 8MiB.
	Event Size `json:"event,omitzero"`
	// Requests of one key that may run at the same time. Default 512.
	Concurrency int `json:"concurrency,omitzero" jsonschema:"minimum=1,maximum=100000"`
}

// UpstreamTimeouts is how long an upstream may take.
type UpstreamTimeouts struct {
	// To connect, TLS included. Default 10s.
	Connect Duration `json:"connect,omitzero"`
	// From sending the request to the first frame of the answer. Default 5m.
	FirstFrame Duration `json:"first_frame,omitzero"`
	// Between two frames; any frame counts, pings included. Default 2m.
	Stall Duration `json:"stall,omitzero"`
	// For the whole answer. Default 30m.
	Total Duration `json:"total,omitzero"`
	// How long an unused connection is kept. Default 1m30s.
	Idle Duration `json:"idle,omitzero"`
}

// Timeouts is how long things may take.
type Timeouts struct {
	UpstreamTimeouts
	// For a client to send its request body. Default 2m.
	Body Duration `json:"body,omitzero"`
	// Silence after which a streaming client that waits for the first frame gets a heartbeat. Default 10s.
	Heartbeat Duration `json:"heartbeat,omitzero"`
}

// Retention is how long things are kept.
type Retention struct {
	// Journal segments after the database has taken them over. Default 7d.
	Journal Duration `json:"journal,omitzero"`
	// Turns that clients refer to by previous_response_id and that no upstream keeps for them, sealed under the master secret. Default 1d.
	Documents Duration `json:"documents,omitzero"`
}

// Count says how answers are sampled and counted, off the way of requests.
type Count struct {
	// Share of the exchanges whose answer is counted, from 0 (none) to 1 (all). Default 0.01.
	Share Share `json:"share,omitzero"`
	// Share of one processor core that counting may take, above 0 and at most 1; what does not fit is not counted. Default 0.05.
	CPU Share `json:"cpu,omitzero"`
	// Files with the vocabularies of models, by the models' names at their upstreams: a tokenizer.json, a sentencepiece tokenizer.model or a GGUF file. In a name * stands for any text without a slash; one without a slash is compared with what follows the model's last slash. The longest that fits counts, before any published vocabulary. None by default.
	Vocabularies map[string]string `json:"vocabularies,omitzero"`
	// Send what Claude and Gemini answered through api.anthropic.com and generativelanguage.googleapis.com back to the same host, which counts it without charge. Nothing goes to a host that did not write it. Default false.
	Vendor bool `json:"vendor,omitzero"`
}

// Watch compares what an upstream answers with what trusted ones answer to the same.
// Unless words or items are asked, the upstream gets nothing but the requests that it
// gets anyway.
type Watch struct {
	// The upstream to be watched.
	Upstream string `json:"upstream" jsonschema:"required"`
	// Its name of the model, as targets write it.
	Model string `json:"model" jsonschema:"required"`
	// Trusted upstreams of the same model that the requests are put to as well, as UPSTREAM or UPSTREAM/MODEL. The first is the reference; further ones show how far honest deployments differ, and without one nothing takes the watched upstream out of routing. All speak the watched upstream's API.
	References []string `json:"references" jsonschema:"required"`
	// Projects whose requests may be put to the references as well. Policy is asked for each reference, as for any other upstream.
	Projects []string `json:"projects" jsonschema:"required"`
	// Share of the eligible requests that are compared. Default 0.02.
	Share Share `json:"share,omitzero"`
	// Most comparisons of real requests a month. The levels of alarm are set by it: more comparisons, higher levels. Default 3000.
	Pairs int `json:"pairs,omitzero" jsonschema:"minimum=1,maximum=1000000"`
	// One-word questions a month that each process asks the watched upstream and the references besides, at random times; 2900 is four an hour. Their texts are built in and look like ordinary work. Default 0: the watched upstream gets real requests only.
	Words int `json:"words,omitzero" jsonschema:"minimum=0,maximum=1000000"`
	// Generated items with known answers a month, asked in the same way; 300 is ten a day. Default 0.
	Items int `json:"items,omitzero" jsonschema:"minimum=0,maximum=1000000"`
	// Most answers a month whose claimed tokens are held against those that were counted (see count). Default 3000; 0 for none.
	Bills *int `json:"bills,omitzero" jsonschema:"minimum=0,maximum=1000000"`
	// Most USD a month for all that the watch of this upstream asks; of several entries of one upstream the sum. What has no price cannot be held to a budget: then nothing is asked. Default: none, and the numbers above bound what is asked.
	Budget Money `json:"budget,omitzero"`
	// Name of a stored reference of the first of the references. That one is held against it, and where it no longer answers as it was recorded nothing is concluded of the watched upstream.
	Recorded string `json:"recorded,omitzero"`
	// What a verdict does at most: notice (the default), lower (the upstream is tried after all others from a warning on), or quarantine (it is out of routing, on the strongest level only, until an operator releases it; before that it keeps its place, for without traffic nothing more would be found out). With several references only a difference from all of them acts; with one, quarantine does no more than lower.
	Act Act `json:"act,omitzero" jsonschema:"enum=notice,enum=lower,enum=quarantine"`
	// Your word that temperature, top_p and the like, where a request leaves them out, mean the same at the watched upstream and at its references. Default false: only requests that say temperature, top_p and a limit on tokens are compared.
	SameDefaults bool `json:"same_defaults,omitzero"`
	// Who ends a quarantine: operator (the default) or evidence. By evidence a fresh stream must find nothing for as long as it would have taken to find one answer in ten that differs; then the upstream gets a tenth of its traffic for a day, then all.
	Release Release `json:"release,omitzero" jsonschema:"enum=operator,enum=evidence"`
	// Share of the requests of the watch's projects that a quarantined upstream goes on to get, so that real requests can show that it changed. Default 0: it can show so by questions only.
	Trickle Share `json:"trickle,omitzero"`
}

// Release says who ends a quarantine.
type Release string

// The releases.
const (
	ByOperator Release = "operator"
	ByEvidence Release = "evidence"
)

// Reference is the upstream and the model of a reference.
func (w *Watch) Reference(i int) (upstream, model string) {
	upstream, model, named := strings.Cut(w.References[i], "/")
	if !named {
		model = w.Model
	}
	return upstream, model
}

// Act is what a verdict of a watch may do.
type Act string

// The acts.
const (
	Notice     Act = "notice"
	Lower      Act = "lower"
	Quarantine Act = "quarantine"
)

// Project is what differs for one project.
type Project struct {
	// Label of the project's requests in which nothing was found. Default: the top-level default_label.
	DefaultLabel label.Label `json:"default_label,omitzero"`
}

// Price is one dated price of one model. It wins over the built-in cards
// whenever it is valid.
type Price struct {
	// Who charges it: a provider of the built-in cards, or a name of your own that an upstream's provider field uses.
	Provider string `json:"provider" jsonschema:"required"`
	// The provider's name of the model, exactly, without regard to case.
	Model string `json:"model" jsonschema:"required"`
	// First day it is valid, UTC. Default: always was.
	From Date `json:"from,omitzero"`
	// First day it is no longer valid, UTC. Default: open.
	Until Date `json:"until,omitzero"`
	// USD per million tokens by token class: input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, audio_in, audio_out, image_in. A class that is absent has no price, which is not a price of 0.
	USDPerMillion Rates `json:"usd_per_million" jsonschema:"required"`
	// Prices for long prompts, by rising size. The highest tier that a prompt exceeds holds for all its tokens.
	Tiers []PriceTier `json:"tiers,omitzero"`
}

// PriceTier replaces prices for prompts above a size.
type PriceTier struct {
	// Prompt tokens that must be exceeded.
	Above int `json:"above" jsonschema:"required,minimum=1,maximum=1000000000"`
	// USD per million tokens, for the classes that change.
	USDPerMillion Rates `json:"usd_per_million" jsonschema:"required"`
}

// Log is what the program writes to standard error.
type Log struct {
	// Form of a line: json or text. Default: text on a terminal, json elsewhere.
	Format Format `json:"format,omitzero" jsonschema:"enum=json,enum=text"`
	// Least severe level that is written: debug, info (the default), warn or error.
	Level Level `json:"level,omitzero" jsonschema:"enum=debug,enum=info,enum=warn,enum=error"`
}

// Format is the form of log lines; empty means text on a terminal, JSON elsewhere.
type Format string

// The formats.
const (
	JSON Format = "json"
	Text Format = "text"
)

// Level is a log level by its name; slog.Level's UnmarshalText reads all four.
type Level string

// Metrics is the Prometheus endpoint.
type Metrics struct {
	// A reference to the bearer token that /metrics demands. Without one it answers loopback callers only.
	Token Ref `json:"token,omitzero"`
}
