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

// column is the value of one column: a text, an integer, or NULL.
type column struct {
	kind columnKind
	text string
	n    int64
}

type columnKind uint8

const (
	isNull columnKind = iota
	isInteger
	isText
)

func text(s string) column { return column{kind: isText, text: storable(s)} }

func integer(n int64) column { return column{kind: isInteger, n: n} }

// known is n, or NULL for 0.
func known(n int64) column {
	if n == 0 {
		return column{}
	}
	return integer(n)
}

func truth(b bool) column {
	if b {
		return integer(1)
	}
	return integer(0)
}

// row is a row of the ledger in the order of entryColumns.
type row [maxColumns]column

const maxColumns = 48

// columns fills in the columns of the row and returns them.
func (e *Entry) columns(r *row) []column {
	c := append(r[:0], integer(e.Leaf), text(e.RID), integer(e.TS), integer(e.End), known(e.TTFB), text(e.Principal), text(e.Key),
		text(e.Project), text(e.Client), text(e.Dialect), text(e.Endpoint), text(e.Model), truth(e.Stream), text(e.Label),
		text(e.Decision), text(e.Upstream), text(e.Target), text(e.Declared), text(e.State), text(e.Fault), integer(e.Status), text(e.Usage))
	for i := range tokenColumns {
		if e.Tokens == nil {
			c = append(c, column{})
		} else {
			c = append(c, integer(e.Tokens[i]))
		}
	}
	c = append(c, text(e.Claim), text(e.Counted), text(e.Money))
	if e.Amount == nil {
		c = append(c, column{})
	} else {
		c = append(c, integer(int64(*e.Amount)))
	}
	return append(c, integer(e.Hold), text(e.Card), text(e.CardHash), integer(e.InBytes), integer(e.OutBytes), text(e.Attempts), text(e.Findings))
}

// values appends the columns of the row as a driver takes them. A nil is SQL NULL.
func (e *Entry) values(dst []any) []any {
	var r row
	for _, c := range e.columns(&r) {
		switch c.kind {
		case isText:
			dst = append(dst, c.text)
		case isInteger:
			dst = append(dst, c.n)
		default:
			dst = append(dst, nil)
		}
	}
	return dst
}

// storable makes a text that both engines can keep: PostgreSQL has no NUL in
// text, and text from outside must not be able to stop a projection.
func storable(s string) string {
	if strings.IndexByte(s, 0) < 0 {
		return s
	}
	return strings.ReplaceAll(s, "\x00", "\uFFFD")
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
	var r row
	columns := e.columns(&r)
	b = append(b, '{')
	for _, i := range canonicalOrder {
		c := &columns[i]
		if c.kind == isNull {
			continue
		}
		if b[len(b)-1] != '{' {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, entryColumns[i]...)
		b = append(b, '"', ':')
		if c.kind == isText {
			b = record.AppendString(b, c.text)
		} else {
			b = strconv.AppendInt(b, c.n, 10)
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
