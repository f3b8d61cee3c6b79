package store

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sallyport/internal/price"
	"sallyport/internal/record"
)

// Entry is one row of the ledger: one exchange, flat. Every field but Leaf is
// immutable and covered by the commitment "row" of the exchange's leaf. Text
// from clients and upstreams (Client, Declared, Claim) is hostile.
type Entry struct {
	Leaf int64 // index of the exchange's leaf in the audit log

	RID       string
	TS        int64 // when the request arrived
	End       int64 // when the exchange ended
	TTFB      int64 // microseconds to the first content frame; 0 is not known
	Principal string
	Key       string
	Project   string
	Client    string
	Dialect   string
	Endpoint  string
	Model     string
	Stream    bool
	Label     string
	Decision  string
	Upstream  string
	Target    string
	Declared  string
	State     string
	Fault     string
	Status    int64
	Usage     string
	Tokens    *record.Counts // nil when not known
	Claim     string         // the upstream's usage claim, verbatim
	Counted   string
	Money     string
	Amount    *price.Nano // nil when not known
	Hold      int64
	Card      string
	CardHash  string
	InBytes   int64
	OutBytes  int64
	Attempts  string // JSON
	Findings  string // JSON
}

// tokenColumns are the token classes in the order of llm.Class.
var tokenColumns = [len(record.Counts{})]string{
	"input", "cache_read", "cache_write_5m", "cache_write_1h", "output",
	"reasoning", "audio_in", "audio_out", "image_in",
}

// entryColumns are the columns of the ledger in the order of Entry.values.
var entryColumns = slices.Concat(
	[]string{
		"leaf", "rid", "ts", "ended", "ttfb", "principal", "key_id", "project", "client", "dialect", "endpoint",
		"model", "stream", "label", "decision", "upstream", "target", "declared", "state", "fault", "status", "usage_status",
	},
	tokenColumns[:],
	[]string{
		"claim", "counted", "money", "nano", "hold", "card", "card_hash", "in_bytes", "out_bytes", "attempts", "findings",
	},
)

// values appends the columns of the row. A nil is SQL NULL.
func (e *Entry) values(dst []any) []any {
	dst = append(dst, e.Leaf, storable(e.RID), e.TS, e.End, known(e.TTFB), storable(e.Principal), storable(e.Key),
		storable(e.Project), storable(e.Client), storable(e.Dialect), storable(e.Endpoint), storable(e.Model),
		number(e.Stream), storable(e.Label), storable(e.Decision), storable(e.Upstream), storable(e.Target),
		storable(e.Declared), storable(e.State), storable(e.Fault), e.Status, storable(e.Usage))
	for i := range tokenColumns {
		if e.Tokens == nil {
			dst = append(dst, nil)
		} else {
			dst = append(dst, e.Tokens[i])
		}
	}
	dst = append(dst, storable(e.Claim), storable(e.Counted), storable(e.Money))
	if e.Amount == nil {
		dst = append(dst, nil)
	} else {
		dst = append(dst, int64(*e.Amount))
	}
	return append(dst, e.Hold, storable(e.Card), storable(e.CardHash), e.InBytes, e.OutBytes,
		storable(e.Attempts), storable(e.Findings))
}

// storable makes a text that both engines can keep: PostgreSQL has no NUL in
// text, and text from outside must not be able to stop a projection.
func storable(s string) string {
	if strings.IndexByte(s, 0) < 0 {
		return s
	}
	return strings.ReplaceAll(s, "\x00", "\uFFFD")
}

// known is n, or NULL for 0.
func known(n int64) any {
	if n == 0 {
		return nil
	}
	return n
}

func number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// canonicalOrder lists the immutable columns sorted by name, as places in
// entryColumns.
var canonicalOrder = func() []int {
	order := make([]int, 0, len(entryColumns))
	for i, name := range entryColumns {
		if name != "leaf" {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(entryColumns[a], entryColumns[b]) })
	return order
}()

// AppendCanonical appends the one text of the row's immutable columns: a JSON
// object in canonical form (RFC 8785) with a member per column that is not NULL.
func (e *Entry) AppendCanonical(b []byte) []byte {
	var scratch [64]any
	return appendRow(b, e.values(scratch[:0]))
}

func appendRow(b []byte, values []any) []byte {
	b = append(b, '{')
	for _, i := range canonicalOrder {
		if values[i] == nil {
			continue
		}
		if b[len(b)-1] != '{' {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, entryColumns[i]...)
		b = append(b, '"', ':')
		switch v := values[i].(type) {
		case int64:
			b = strconv.AppendInt(b, v, 10)
		case string:
			b = record.AppendString(b, v)
		}
	}
	return append(b, '}')
}

// StoredEntry is one ledger row exactly as it is stored: an int64, a string or
// nil per column.
type StoredEntry []any

// Leaf is the index of the exchange's leaf.
func (s StoredEntry) Leaf() int64 {
	n, _ := s[0].(int64)
	return n
}

// RID is the request id of the row.
func (s StoredEntry) RID() string {
	rid, _ := s[1].(string)
	return rid
}

// Difference is one column in which a stored row is not what it should be.
type Difference struct {
	Column string
	Have   any
	Should any
}

// Compare lists the columns in which the row differs from what it should be.
func (s StoredEntry) Compare(should *Entry) []Difference {
	var scratch [64]any
	want := should.values(scratch[:0])
	var diffs []Difference
	for i, name := range entryColumns {
		if s[i] != want[i] {
			diffs = append(diffs, Difference{Column: name, Have: s[i], Should: want[i]})
		}
	}
	return diffs
}

// Entry reads the row. A column of another type than it was written with is an
// error.
func (s StoredEntry) Entry() (Entry, error) {
	r := columnReader{values: s}
	e := Entry{
		Leaf: r.integer(), RID: r.text(), TS: r.integer(), End: r.integer(), TTFB: r.maybe(),
		Principal: r.text(), Key: r.text(), Project: r.text(), Client: r.text(), Dialect: r.text(),
		Endpoint: r.text(), Model: r.text(), Stream: r.integer() != 0, Label: r.text(), Decision: r.text(),
		Upstream: r.text(), Target: r.text(), Declared: r.text(), State: r.text(), Fault: r.text(),
		Status: r.integer(), Usage: r.text(),
	}
	if r.null() {
		r.at += len(tokenColumns)
	} else {
		e.Tokens = new(record.Counts)
		for i := range tokenColumns {
			e.Tokens[i] = r.maybe()
		}
	}
	e.Claim, e.Counted, e.Money = r.text(), r.text(), r.text()
	if r.null() {
		r.at++
	} else {
		e.Amount = new(price.Nano(r.integer()))
	}
	e.Hold, e.Card, e.CardHash = r.integer(), r.text(), r.text()
	e.InBytes, e.OutBytes, e.Attempts, e.Findings = r.integer(), r.integer(), r.text(), r.text()
	return e, r.err
}

// columnReader takes the columns of a row in turn and keeps the first error.
type columnReader struct {
	values []any
	at     int
	err    error
}

func (r *columnReader) null() bool { return r.values[r.at] == nil }

// maybe is an integer, or 0 for NULL.
func (r *columnReader) maybe() int64 {
	if r.null() {
		r.at++
		return 0
	}
	return r.integer()
}

func (r *columnReader) integer() int64 {
	n, ok := r.values[r.at].(int64)
	r.check(ok)
	return n
}

func (r *columnReader) text() string {
	s, ok := r.values[r.at].(string)
	r.check(ok)
	return s
}

func (r *columnReader) check(ok bool) {
	if !ok && r.err == nil {
		r.err = fmt.Errorf("ledger column %s holds a %T", entryColumns[r.at], r.values[r.at])
	}
	r.at++
}
