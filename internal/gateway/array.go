package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"

	"sallyport/internal/wire"
)

// array turns a stream of events into one JSON array of their data, element by
// element as they come: the form in which Google's API streams unless it is asked
// for events. A nil array leaves events as they are. Heartbeats, which are blank
// lines, are white space in either form.
type array struct {
	split *wire.Splitter
	begun bool      // the first element is out
	ended bool      // nothing follows
	told  hash.Hash // of what the client got; nil when hashes are skipped
}

// asArray makes the stream that follows an array. limit bounds one element.
func (p *reply) asArray(limit int64, hashed bool) {
	p.array = &array{split: wire.NewSplitter(int(limit))}
	if hashed {
		p.array.told = sha256.New()
	}
}

// elements is what the client gets of whole events.
func (a *array) elements(events []byte) (out []byte) {
	if a == nil {
		return events
	}
	a.split.Feed(events)
	for a.split.Next() {
		data := a.split.Event().Data
		if len(data) == 0 {
			continue
		}
		if a.begun {
			out = append(out, ",\r\n"...)
		} else {
			out = append(out, '[')
		}
		a.begun = true
		out = append(out, data...)
	}
	return out
}

// last is elements for the last events of a stream, and its end.
func (a *array) last(events []byte) []byte {
	if a == nil {
		return events
	}
	if a.ended {
		return nil
	}
	a.ended = true
	out := append(a.elements(events), a.elements([]byte("\n\n"))...) // whatever was not ended
	if !a.begun {
		out = append(out, '[')
	}
	return append(out, "]\n"...)
}

// sent notes what is written to the client.
func (a *array) sent(b []byte) {
	if a != nil && a.told != nil {
		a.told.Write(b)
	}
}

// closeArray ends the array of an answer that the client got whole, or that ended
// with an error of the upstream's own.
func (p *reply) closeArray() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.array == nil || p.ended {
		return
	}
	p.write(p.array.last(nil))
	p.flush()
	p.ended = true
}

// arraySum is the hex SHA-256 of what the client got as an array; empty when it got
// events, or when hashes are skipped.
func (p *reply) arraySum() string {
	p.mu.Lock() // an attempt that came to nothing leaves the heartbeats on
	defer p.mu.Unlock()
	if p.array == nil || p.array.told == nil {
		return ""
	}
	return hex.EncodeToString(p.array.told.Sum(nil))
}
