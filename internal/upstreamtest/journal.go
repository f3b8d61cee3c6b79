package upstreamtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"sync"
	"time"
)

// Request is one request as it arrived.
type Request struct {
	Seq    int       // 1 for the first
	At     time.Time // when its headers had been read
	Conn   uint64    // the connection, 1 for the first
	Use    int       // which request on that connection, 1 for the first
	Method string
	Target string // path and query as sent
	Host   string
	Proto  string
	Header http.Header // canonical names; Host is apart
	Length int64       // declared content length, -1 when chunked
	Body   []byte      // nil once the journal holds more than its bound
	SHA256 string      // hex digest of the body
	Nonce  string      // first match of "nonce-[0-9A-Za-z]+" in the body, without "nonce-"
}

// Outcome is how a Server ended an exchange.
type Outcome string

// The outcomes.
const (
	Answered   Outcome = "answered"    // the whole answer was written
	Refused    Outcome = "refused"     // an error status was written
	WasCut     Outcome = "cut"         // the behaviour cut it
	Dropped    Outcome = "dropped"     // the behaviour closed the connection unanswered
	ClientGone Outcome = "client_gone" // the client left first
)

// Ending is how one exchange ended, and how far it got.
type Ending struct {
	Outcome Outcome
	Status  int // HTTP status written, 0 when none
	Frames  int // frames of a stream written
}

const (
	keepRequests = 50_000
	keepBytes    = 512 << 20
)

// Journal is what a Server saw, oldest first. It keeps the newest 50,000
// requests or a little fewer, and the bodies of the newest 512 MiB. It is safe for concurrent use.
type Journal struct {
	mirror  *os.File // append-only, nil when there is none
	headers bool     // mirror headers
	bodies  int      // mirror this many bytes of each body

	mu       sync.Mutex
	total    int            // requests ever seen
	requests []Request      // the newest of them
	bytes    int            // of bodies kept
	endings  map[int]Ending // by Seq, of the requests kept
	changed  chan struct{}  // closed and replaced at every change
}

func newJournal() *Journal {
	return &Journal{endings: map[int]Ending{}, changed: make(chan struct{})}
}

// Len is how many requests have arrived.
func (j *Journal) Len() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.total
}

// Requests returns the requests kept. Their headers and bodies are shared: do
// not change them.
func (j *Journal) Requests() []Request {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.requests)
}

// ByNonce returns the requests kept that carried the nonce.
func (j *Journal) ByNonce(nonce string) []Request {
	return slices.DeleteFunc(j.Requests(), func(r Request) bool { return r.Nonce != nonce })
}

// Wait waits until n requests have arrived and returns those kept.
func (j *Journal) Wait(ctx context.Context, n int) ([]Request, error) {
	err := j.until(ctx, func() bool { return j.total >= n })
	if err != nil {
		return nil, fmt.Errorf("wait for %d requests, %d arrived: %w", n, j.Len(), err)
	}
	return j.Requests(), nil
}

// WaitEnd waits until the exchange with the sequence number has ended.
func (j *Journal) WaitEnd(ctx context.Context, seq int) (Ending, error) {
	var e Ending
	err := j.until(ctx, func() (ok bool) { e, ok = j.endings[seq]; return ok })
	if err != nil {
		return Ending{}, fmt.Errorf("wait for the end of request %d: %w", seq, err)
	}
	return e, nil
}

// until waits for a condition that is evaluated under the lock.
func (j *Journal) until(ctx context.Context, met func() bool) error {
	for {
		j.mu.Lock()
		ok, changed := met(), j.changed
		j.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

var nonceForm = regexp.MustCompile(`nonce-([0-9A-Za-z]+)`)

func findNonce(b []byte) string {
	if m := nonceForm.FindSubmatch(b); m != nil {
		return string(m[1])
	}
	return ""
}

// line is what the mirror holds of a request: one JSON object a line.
type line struct {
	Seq    int         `json:"seq"`
	At     string      `json:"at"` // RFC 3339 with microseconds
	Conn   uint64      `json:"conn"`
	Use    int         `json:"use"`
	Method string      `json:"method"`
	Target string      `json:"target"`
	Nonce  string      `json:"nonce,omitempty"`
	SHA256 string      `json:"sha256"`
	Bytes  int         `json:"bytes"`
	Header http.Header `json:"header,omitempty"`
	Body   string      `json:"body,omitempty"`
}

// add records a request: in the mirror with one write, then in memory. It
// returns the sequence number.
func (j *Journal) add(r Request) (int, error) {
	sum := sha256.Sum256(r.Body)
	r.SHA256 = hex.EncodeToString(sum[:])
	r.Nonce = findNonce(r.Body)

	j.mu.Lock()
	defer j.mu.Unlock()
	r.Seq = j.total + 1
	if j.mirror != nil {
		l := line{
			Seq: r.Seq, At: r.At.UTC().Format("2006-01-02T15:04:05.000000Z"), Conn: r.Conn, Use: r.Use,
			Method: r.Method, Target: r.Target, Nonce: r.Nonce, SHA256: r.SHA256, Bytes: len(r.Body),
			Body: string(r.Body[:min(len(r.Body), j.bodies)]),
		}
		if j.headers {
			l.Header = r.Header
		}
		b, err := json.Marshal(l)
		if err != nil {
			return 0, fmt.Errorf("encode request %d: %w", r.Seq, err)
		}
		if _, err := j.mirror.Write(append(b, '\n')); err != nil {
			return 0, fmt.Errorf("mirror request %d: %w", r.Seq, err)
		}
	}
	j.total++
	j.bytes += len(r.Body)
	j.requests = append(j.requests, r)
	if len(j.requests) > keepRequests {
		const some = keepRequests / 10 // many at once: removing moves all that stay
		for _, old := range j.requests[:some] {
			j.bytes -= len(old.Body)
			delete(j.endings, old.Seq)
		}
		j.requests = slices.Delete(j.requests, 0, some)
	}
	for i := 0; j.bytes > keepBytes && i < len(j.requests); i++ {
		j.bytes -= len(j.requests[i].Body)
		j.requests[i].Body = nil
	}
	j.notify()
	return r.Seq, nil
}

func (j *Journal) end(seq int, e Ending) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.endings[seq] = e
	j.notify()
}

// notify wakes every waiter. The lock is held.
func (j *Journal) notify() {
	close(j.changed)
	j.changed = make(chan struct{})
}
