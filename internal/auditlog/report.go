package auditlog

import "fmt"

// SelfSigned is what every report says about its own worth.
const SelfSigned = "self-signed, 0 witnesses: whoever holds the key can rewrite"

// Codes of findings, stable.
const (
	CodeLeafMissing    = "leaf.missing"         // a row of the log is gone
	CodeLeafStray      = "leaf.stray"           // a leaf outside the log's numbering
	CodeLeafChanged    = "leaf.changed"         // a leaf is not what its record gives
	CodeRecord         = "leaf.record"          // a record does not decode canonically
	CodeHash           = "hash.changed"         // a stored hash is not what the leaves give
	CodeHashMissing    = "hash.missing"         // a stored hash is gone
	CodeHashStray      = "hash.stray"           // a stored hash belongs to no leaf
	CodeHead           = "head.changed"         // the log's size or root is not what the leaves give
	CodeCheckpoint     = "checkpoint.root"      // a signed root is not what the leaves give
	CodeSignature      = "checkpoint.signature" // a checkpoint is not signed by the log's key
	CodeBeyond         = "checkpoint.beyond"    // more leaves were signed than there are
	CodeCheckpointGone = "checkpoint.missing"   // a published checkpoint is not in the table
	CodeHeadsFile      = "heads.malformed"      // a line of the heads file is not a head
	CodeOrigin         = "heads.origin"         // the heads file remembers another log
	CodeReopened       = "log.reopened"         // the log went on under another origin than the one before signed
	CodeAgainst        = "against.inconsistent" // the log does not extend the remembered checkpoint
	CodeVerifierKey    = "key.changed"          // the database names another verifier key, or its signing key does not open
	CodeMoved          = "folder.moved"         // the data folder is a copy, and nothing tells whether it is the newest
	CodeBehind         = "log.behind"           // what was recorded does not reach the database
	CodeEntryChanged   = "ledger.changed"       // a column is not what the record gives
	CodeEntryMissing   = "ledger.missing"       // an exchange has a leaf and no ledger row
	CodeEntryStray     = "ledger.stray"         // a ledger row has no leaf
	CodeCardChanged    = "card.changed"         // a price card is not what was announced
	CodeCardMissing    = "card.missing"         // a price card was announced or used and has no row
	CodeCardStray      = "card.stray"           // a price card was never announced
	CodeCountChanged   = "count.changed"        // a row of our own counts is not what the record gives
	CodeCountMissing   = "count.missing"        // a count has a leaf and no row
	CodeCountStray     = "count.stray"          // a row of our own counts has no leaf
	CodeVerdictChanged = "verdict.changed"      // a row of a verdict is not what the record gives
	CodeVerdictMissing = "verdict.missing"      // a verdict has a leaf and no row
	CodeVerdictStray   = "verdict.stray"        // a row of a verdict has no leaf
	CodeRollup         = "rollup.changed"       // a sum is not what the ledger rows give
)

// Finding is one thing that is not as it should be.
type Finding struct {
	Code   string `json:"code"`
	Table  string `json:"table"` // a table, "heads file" or "against"
	Where  string `json:"where"` // the row, and the column where one can be named
	Detail string `json:"detail"`
}

// Report is what a verification saw.
type Report struct {
	Origin      string    `json:"origin"`
	VerifierKey string    `json:"vkey"`
	Size        int64     `json:"size"`        // leaves that the log says it has
	Leaves      int64     `json:"leaves"`      // leaves checked
	Hashes      int64     `json:"hashes"`      // stored hashes checked
	Entries     int64     `json:"entries"`     // ledger rows checked
	Counts      int64     `json:"counts"`      // rows of our own counts checked
	Verdicts    int64     `json:"verdicts"`    // rows of verdicts checked
	Checkpoints int64     `json:"checkpoints"` // stored checkpoints checked
	Remembered  int64     `json:"remembered"`  // lines of the heads file checked
	Cards       int64     `json:"cards"`       // price cards checked
	Rollups     int64     `json:"rollups"`     // sums checked
	Unsigned    int64     `json:"unsigned"`    // leaves that no checkpoint covers yet
	Trust       string    `json:"trust"`       // always SelfSigned
	Findings    []Finding `json:"findings"`
	Suppressed  int64     `json:"suppressed"` // further findings of codes that had maxFindings already
}

// OK reports whether there is no finding.
func (r *Report) OK() bool { return len(r.Findings) == 0 }

// maxFindings bounds the findings of one code that are listed one by one.
const maxFindings = 100

// collector gathers findings within bounds.
type collector struct {
	report *Report
	byCode map[string]int
}

func (c *collector) add(code, table, where, detail string, args ...any) {
	if c.byCode[code]++; c.byCode[code] > maxFindings {
		c.report.Suppressed++
		return
	}
	c.report.Findings = append(c.report.Findings, Finding{code, table, where, fmt.Sprintf(detail, args...)})
}
