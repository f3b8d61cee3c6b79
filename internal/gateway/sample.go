package gateway

import (
	"crypto/sha256"
	"encoding/binary"

	"sallyport/internal/label"
	"sallyport/internal/llm"
	"sallyport/internal/record"
	"sallyport/internal/upstream"
	"sallyport/internal/wire"
)

// Bounds on answers that wait to be counted: what is kept of one as it came, of all
// of them together, and how many are whole and wait for the counter.
const (
	maxSample  = 4 << 20
	maxSamples = 32 << 20
	maxWaiting = 256
)

// sampled reports whether the answer of an exchange is counted. It is a function of
// the salt, which is drawn at random and recorded before anything is sent, so that
// what is counted depends on no answer, and everybody who holds the record can check
// that it did not. No upstream knows the salt.
func sampled(salt string, share float64) bool {
	sum := sha256.Sum256([]byte("sallyport count\n" + salt))
	return float64(binary.BigEndian.Uint64(sum[:8])>>11)/(1<<53) < share
}

// sample is the answer of an exchange that is counted, as the upstream sends it. It
// is in memory only, and the request's way does no more with it than to copy it. The
// methods of a nil sample do nothing.
type sample struct {
	room    *samples
	format  wire.Format // of the answer
	known   bool        // it can be read
	body    []byte
	why     string // why it is not countable; nothing more is kept then
	dropped bool   // there was no room for it
	count   bool   // the answer is counted, not only compared
}

// counts reports whether the answer is counted.
func (s *sample) counts() bool { return s != nil && s.count }

// sampling decides whether the answer of the exchange is kept, to be counted or to be
// compared.
func (x *Exchange) sampling() *sample {
	count := x.endpoint.kind == generate && x.endpoint.name != wire.Compact && sampled(x.record.Salt, x.snapshot.Count.Share)
	if !count && x.pair == nil && x.inside == nil {
		return nil
	}
	return &sample{room: &x.gateway.samples, count: count}
}

// begin takes the answer of another attempt.
func (s *sample) begin(a *attempt) {
	if s == nil {
		return
	}
	s.release()
	s.why, s.dropped = "", false
	s.format, s.known = a.exchange.gateway.format(a.asked())
}

// add copies what the upstream sent: an event of a stream, or a whole body.
func (s *sample) add(b []byte) {
	if s == nil || s.why != "" || s.dropped || !s.known {
		return
	}
	if len(s.body)+len(b) > maxSample {
		s.release()
		s.why = whyTooLong
		return
	}
	if s.room.held.Add(int64(len(b))) > maxSamples {
		s.room.held.Add(-int64(len(b)))
		s.release()
		s.dropped = true
		return
	}
	s.body = append(s.body, b...)
}

// release gives the memory back.
func (s *sample) release() {
	if s != nil {
		s.room.held.Add(-int64(len(s.body)))
		s.body = nil
	}
}

// submit hands the sampled answer of an exchange whose outcome is recorded to the
// counter.
func (x *Exchange) submit(last *attempt) {
	s, r := x.sample, &x.record
	if s == nil {
		return
	}
	x.sample = nil
	if !s.count {
		s.release()
		return
	}
	c := counting{
		format: s.format, stream: x.call.Stream, body: s.body, upstream: last.upstream, label: x.label,
		record: record.Count{
			RID: r.RID, Arrived: r.TS, Key: r.Key, Project: r.Project, Model: r.Model, Upstream: r.Upstream, Target: r.Target, Why: s.why,
		},
	}
	tokens := r.Tokens()
	c.thoughts, c.record.Claimed = tokens[llm.Reasoning] > 0, tokens[llm.Output]
	switch {
	case s.dropped:
		s.room.metrics.dropped.Inc()
		return
	case r.State != string(llm.Complete):
		c.record.Why = whyIncomplete
	case r.Usage != string(llm.UsageClaimed):
		c.record.Why = whyNoClaim
	case !s.known:
		c.record.Why = whyUnread
	case tokens[llm.AudioOut] > 0:
		c.record.Why = whyNotText
	}
	s.room.offer(&c)
}

// counting is one answer to be counted.
type counting struct {
	format   wire.Format
	stream   bool
	body     []byte // as it came
	upstream *upstream.Upstream
	label    label.Label  // of the request
	thoughts bool         // thinking is claimed apart from the visible text
	record   record.Count // less what counting tells
	trouble  error        // of a tokenizer
}

// recount tells the events of an answer that was kept as it came; a whole answer is told
// as if it had been streamed, each part with all of its text at its start.
func recount(format wire.Format, stream bool, body []byte, each func(*llm.Event)) error {
	decoder := format.Decode()
	if !stream {
		answer, err := decoder.Whole(body)
		if err != nil {
			return err
		}
		for i, choice := range answer.Choices {
			for k, p := range choice.Parts {
				each(&llm.Event{Kind: llm.PartStart, Choice: i, Index: k, Part: p})
			}
			each(&llm.Event{Kind: llm.Finished, Choice: i, Finish: choice.Finish, Sequence: choice.Sequence})
		}
		return nil
	}
	split := wire.NewSplitter(len(body) + 1)
	split.Feed(body)
	var events []llm.Event
	for split.Next() {
		var err error
		if events, err = decoder.Frame(events[:0], split.Event()); err != nil {
			return err
		}
		for i := range events {
			each(&events[i])
		}
	}
	return nil
}
