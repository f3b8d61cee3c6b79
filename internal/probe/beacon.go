package probe

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"

	"sallyport/internal/auditlog"
	"sallyport/internal/verdict"
)

// logSource begins what is said of a beacon that is the head of an audit log.
const logSource = "log head of "

// LogBeacon is the beacon that an audit log gives to a plan of the hash: the root that
// the log had when the commitment to the plan was its last leaf. Nobody knows it before
// the commitment is recorded, and there is no other one for that leaf.
func LogBeacon(p verdict.LogProof, commit string) (verdict.Beacon, error) {
	c, err := auditlog.VerifyCommitment([]byte(p.Proof), []byte(p.Leaf), p.Key, commit)
	if err != nil {
		return verdict.Beacon{}, fmt.Errorf("the proof that the audit log commits to the plan: %w", err)
	}
	return verdict.Beacon{
		Value: hex.EncodeToString(c.Root[:]), Source: fmt.Sprintf("%s%s at size %d", logSource, c.Origin, c.Index+1),
		Weak: "whoever holds the key of that log could have rewritten it until the questions suited; a beacon that nobody controls would exclude that",
		Log:  &p,
	}, nil
}

// drawn says what is wrong with the beacon of a record; empty when nothing is.
func (r *Record) drawn() string {
	if !bytes.Equal(jsonOf(r.Report.Beacon), jsonOf(r.Beacon)) {
		return "the report names another beacon"
	}
	if r.Beacon.Log == nil {
		if strings.HasPrefix(r.Beacon.Source, logSource) {
			return "the beacon is said to be the head of a log, of which there is no proof"
		}
		return ""
	}
	given, err := LogBeacon(*r.Beacon.Log, r.Report.Commit)
	if err != nil {
		return err.Error()
	}
	if !bytes.Equal(jsonOf(given), jsonOf(r.Beacon)) {
		return "the beacon is not what its proof gives"
	}
	return ""
}
