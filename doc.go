// Package sallyport is the map of the repository; it holds no code. The program is cmd/sallyport.
//
// Packages are grouped by how much of the world they may touch. A package imports only what its line
// in the table of layers_test.go allows; identity and fault may be imported by all.
//
// Layer 0, pure nouns and rules: no file, no network, no database, no clock.
//
//	identity   Principal and every id type
//	llm        vocabulary of model APIs: request, message, part, tool, usage, event
//	label      data classes and upstream classes, their order
//	price      integer money, dated price cards, the cost of a usage
//	fault      the closed set of error kinds and their public messages
//	secret     a string that never prints, logs or marshals itself
//	stat       the audit's statistics: e-processes, two-sample tests, intervals, change detectors
//	verdict    what an audit concludes: hypotheses, e-values, labels, the report
//	policy     Decide: may this request go to this upstream, and why
//	route      the order in which permitted upstreams are tried
//	record     the kinds of journal record and their canonical encoding
//	exam       generated questions with one answer each, and how replies are graded
//
// Layer 1, one package per mechanism.
//
//	wire       dialects: bytes and server-sent events to and from llm, raw bytes kept
//	upstream   one configured endpoint: client, credential, dial guard
//	journal    framed, checksummed, hash-chained bytes in append-only segments
//	store      all rows and migrations, SQLite and PostgreSQL, one query text
//	auth       keys, administrators, sessions: credential to Principal, from a snapshot
//	ledger     holds and settlements, usage claimed and counted
//	auditlog   Merkle log of every record: leaves, checkpoints, verification
//	tokens     counts by vocabularies: published ones, and those in files of models
//	evidence   sealed files: a payload under its hash and a signature
//	reference  recorded samples of trusted deployments, drawn once each
//	report     an audit's report as a page and as text
//	keep       what clients refer to later: owners of upstream objects, sealed documents
//	projector  journal to database: rows, leaves and roll-ups in one transaction a batch
//
// Layer 2, services; they never import each other.
//
//	gateway    the data plane: HTTP and the exchange
//	probe      the audit of endpoints: detectors, experiments, verdicts
//	console    the admin listener: its API and the one-time link
//
// Layer 3, wiring.
//
//	config     file to structs: strict, all errors at once
//	app        New, Run, Stop: configuration into running parts
//	demo       a story with simulated providers and all else real: a relay cheats and is found
//
// For tests, and upstreamtest for demo.
//
//	upstreamtest  a faithful provider that can be told to fail, a model with chosen properties, a relay that cheats
package sallyport
