package main

import (
	"fmt"
	"slices"
)

// sent is one request that a client of the verb kill made.
type sent struct {
	nonce string
	req   string // hex SHA-256 of its body
	whole bool   // the client got the whole answer
	id    string // x-request-id of the answer, if it got that far
}

// row is one exchange as `sallyport logs --json` prints it.
type row struct {
	RID    string `json:"rid"`
	Leaf   *int64 `json:"leaf"`
	State  string `json:"state"`
	Usage  string `json:"usage"`
	Money  string `json:"money"`
	Amount *int64 `json:"amount_nano_usd"`
	Hashes hashes `json:"hashes"`
}

// hashes are the digests that `logs --hashes` adds to a row.
type hashes struct {
	Request string `json:"request"` // hex SHA-256 of the request's body
}

// States of a row as the gateway names them.
const (
	stateComplete = "complete"
	stateRefused  = "refused"
	stateLost     = "lost"
	moneyUnknown  = "unknown"
)

// judgement is what comparing the gateway's rows with the upstream's own log
// showed. It is sound when Problems is empty.
type judgement struct {
	Sent     int            `json:"sent"`     // by clients
	Received int            `json:"received"` // by the upstream, by its own log
	Whole    int            `json:"whole"`    // answers that a client got whole
	Rows     int            `json:"rows"`
	States   map[string]int `json:"states"`
	Problems []string       `json:"problems"`
}

// maxProblems bounds what is listed; the rest is counted.
const maxProblems = 50

func (j *judgement) problem(format string, args ...any) {
	switch n := len(j.Problems); {
	case n < maxProblems:
		j.Problems = append(j.Problems, fmt.Sprintf(format, args...))
	case n == maxProblems:
		j.Problems = append(j.Problems, "and more")
	}
}

// judge compares what clients sent, what the upstream received (its nonces, in
// order) and the gateway's rows:
//
//   - every request that the upstream received has exactly one row;
//   - a row without an entry of the upstream is refused or lost;
//   - a lost row has no amount and says that its usage and money are unknown;
//   - no request id, no request and no leaf stands twice;
//   - what a client got whole is complete, or lost when the kill came between
//     the last byte and the record of the end, and its id is the row's.
func judge(clients []sent, received []string, rows []row) judgement {
	j := judgement{Sent: len(clients), Received: len(received), Rows: len(rows), States: map[string]int{}}
	byReq := map[string]sent{}
	reqOf := map[string]string{}
	for _, s := range clients {
		byReq[s.req] = s
		reqOf[s.nonce] = s.req
	}
	arrived := map[string]bool{}
	for _, nonce := range received {
		req, ok := reqOf[nonce]
		if !ok {
			j.problem("the upstream received nonce %s, which no client sent", nonce)
			continue
		}
		if arrived[req] {
			j.problem("the upstream received nonce %s twice", nonce)
		}
		arrived[req] = true
	}
	rids, leaves, rowOf := map[string]bool{}, map[int64]bool{}, map[string]row{}
	for _, r := range rows {
		j.States[r.State]++
		if rids[r.RID] {
			j.problem("request id %s has two rows", r.RID)
		}
		rids[r.RID] = true
		switch {
		case r.Leaf == nil:
			j.problem("row %s names no leaf", r.RID)
		case leaves[*r.Leaf]:
			j.problem("leaf %d has two rows", *r.Leaf)
		default:
			leaves[*r.Leaf] = true
		}
		if _, ok := byReq[r.Hashes.Request]; !ok {
			j.problem("row %s is of no request that a client sent", r.RID)
			continue
		}
		if other, twice := rowOf[r.Hashes.Request]; twice {
			j.problem("one request has the rows %s and %s", other.RID, r.RID)
		}
		rowOf[r.Hashes.Request] = r
		j.checkRow(r, arrived[r.Hashes.Request])
	}
	for req := range arrived {
		if _, ok := rowOf[req]; !ok {
			j.problem("the upstream received nonce %s, which has no row", byReq[req].nonce)
		}
	}
	for _, s := range clients {
		j.checkClient(s, rowOf)
	}
	slices.Sort(j.Problems)
	return j
}

func (j *judgement) checkRow(r row, arrived bool) {
	if !arrived && r.State != stateRefused && r.State != stateLost {
		j.problem("row %s is %s, but the upstream never received it", r.RID, r.State)
	}
	if r.State == stateLost && (r.Amount != nil || r.Money != moneyUnknown || r.Usage != moneyUnknown) {
		j.problem("row %s is lost, but its usage is %q and its money %q", r.RID, r.Usage, r.Money)
	}
}

func (j *judgement) checkClient(s sent, rowOf map[string]row) {
	r, ok := rowOf[s.req]
	if s.whole {
		j.Whole++
		switch {
		case !ok:
			j.problem("a client got the answer to nonce %s whole, but it has no row", s.nonce)
		case r.State != stateComplete && r.State != stateLost:
			j.problem("a client got the answer to nonce %s whole, but row %s is %s", s.nonce, r.RID, r.State)
		}
	}
	if ok && s.id != "" && s.id != r.RID {
		j.problem("a client was told that nonce %s is %s, but its row is %s", s.nonce, s.id, r.RID)
	}
}
