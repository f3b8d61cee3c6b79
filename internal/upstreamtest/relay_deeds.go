package upstreamtest

import (
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// Act is one thing that a relay did to a request or its answer.
type Act string

// The acts.
const (
	Diverted     Act = "diverted"  // the cheap backend answered
	FellBack     Act = "fell back" // the same, for want of the model
	Spoofed      Act = "spoofed"   // answered from a table of the claimed model's answers
	Restyled     Act = "restyled"  // the text was rewritten
	Resampled    Act = "resampled" // sampling parameters changed
	Prompted     Act = "prompted"  // a hidden system prompt added
	Truncated    Act = "truncated" // context dropped
	Replayed     Act = "replayed"  // answered from the cache
	Overbilled   Act = "billed"    // other tokens reported than the backend's
	Tampered     Act = "tampered"  // commands or addresses changed
	Forged       Act = "forged"    // ids, model, fingerprint, time stamp or headers made up
	Jittered     Act = "jittered"  // kept back for a random time
	Buffered     Act = "buffered"  // fetched whole, then chopped
	Rebuilt      Act = "rebuilt"   // members dropped from the request
	Harvested    Act = "harvested" // credentials taken from the request
	Failed       Act = "failed"    // failed on purpose
	TookWrongKey Act = "wrong key" // a wrong key accepted
	NotAnAPI     Act = "no answer" // a web page instead of an answer
)

// Deed is what a relay truly did with one request: the truth that verdicts are
// judged by.
type Deed struct {
	Seq    int // 1 for the first
	Key    string
	Path   string
	Model  string // asked for
	Cheap  bool   // the cheap backend answered
	Status int    // of the backend's answer, 0 when it was not asked
	Did    []Act  // in the order done; empty when honest

	Reported, Billed Tokens // as the backend and the relay report them, where the relay looked
}

// Tokens are those of a usage report.
type Tokens struct{ Prompt, Completion, Reasoning, Cached int64 }

// Is reports whether the relay did an act.
func (d Deed) Is(a Act) bool { return slices.Contains(d.Did, a) }

// maxDeeds bounds the ledger.
const maxDeeds = 200_000

// Deeds returns what the relay did with each request so far, in the order in which
// they came, the newest 200,000 at most. Whoever has an answer finds here what was
// done to it.
func (r *Relay) Deeds() []Deed {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []Deed
	for _, d := range r.deeds {
		deed := *d
		deed.Did = slices.Clone(d.Did)
		all = append(all, deed)
	}
	return all
}

// Harvested returns the credentials found, in order, each once.
func (r *Relay) Harvested() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.harvested)
}

func (x *relayed) did(a Act) {
	if !x.deed.Is(a) {
		x.note(func(d *Deed) { d.Did = append(d.Did, a) })
	}
}

// note writes to the ledger.
func (x *relayed) note(write func(*Deed)) {
	x.r.mu.Lock()
	defer x.r.mu.Unlock()
	write(x.deed)
}

func (r *Relay) float() float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.random.Float64()
}

// credentials are what looks like keys of well-known services, and passwords in URLs.
var credentials = regexp.MustCompile(`\b(?:sk-[A-Za-z0-9_-]{12,}|AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|xox[abprs]-[A-Za-z0-9-]{10,}|` +
	`AIza[\w-]{30,}|glpat-[\w-]{16,}|[a-z][a-z0-9+]*://[^\s/:@"]+:[^\s/@"]+@[^\s"\\]+)`)

// harvest takes the credentials out of a body; each is given to the callback once.
func (x *relayed) harvest() {
	r := x.r
	for _, found := range credentials.FindAllString(string(x.body), 1000) {
		x.did(Harvested)
		r.mu.Lock()
		known := slices.Contains(r.harvested, found) || len(r.harvested) > 10_000
		if !known {
			r.harvested = append(r.harvested, found)
		}
		r.mu.Unlock()
		if !known {
			r.cfg.Harvest(found)
		}
	}
}

// stored is an answer in the cache.
type stored struct {
	header http.Header
	body   []byte
}

// maxCached bounds the entries of the cache.
const maxCached = 10_000

func (r *Relay) keep(at string, s stored) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.cache) >= maxCached {
		clear(r.cache)
	}
	r.cache[at] = s
}

// cacheKey is empty when the request is not to be cached.
func (x *relayed) cacheKey() string {
	c := x.r.cfg.Cache
	if !x.chat || !c.Exact && !c.Normalised {
		return ""
	}
	at := string(x.body)
	if c.Normalised {
		at = x.q.Model + "\n" + normalise(x.text())
		if x.q.Stream && !x.whole {
			at += "\nstream"
		}
	}
	if !c.CrossKey {
		at += "\n" + x.key
	}
	return at
}

func (x *relayed) cached(at string) *http.Response {
	x.r.mu.Lock()
	s, ok := x.r.cache[at]
	x.r.mu.Unlock()
	if at == "" || !ok {
		return nil
	}
	x.did(Replayed)
	return &http.Response{StatusCode: http.StatusOK, Header: s.header.Clone(), Body: io.NopCloser(strings.NewReader(string(s.body)))}
}

// recorder keeps what is read to its end, before the last of it is passed on where
// the length is known.
type recorder struct {
	io.ReadCloser
	length int64 // -1 when unknown
	read   []byte
	keep   func([]byte)
}

func (r *recorder) Read(b []byte) (int, error) {
	n, err := r.ReadCloser.Read(b)
	if len(r.read)+n <= 4<<20 {
		r.read = append(r.read, b[:n]...)
	} else {
		r.keep = nil
	}
	if (err == io.EOF || int64(len(r.read)) == r.length) && r.keep != nil {
		r.keep(r.read)
		r.keep = nil
	}
	return n, err
}
