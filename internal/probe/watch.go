package probe

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"sallyport/internal/evidence"
	"sallyport/internal/verdict"
)

// WatchKind is the kind of the sealed file of a watch's verdict.
const WatchKind = "sallyport.watch/1"

// WatchConfig is what a Watch is made of.
type WatchConfig struct {
	Dir     string             // where observations and bundles are kept
	Key     ed25519.PrivateKey // that signs bundles
	Program string
	Streams []Stream
	Logger  *slog.Logger
	// Concluded is called when a stream reaches a level that it did not have, with the
	// hash of the sealed bundle that shows why. It is never called at once.
	Concluded func(Standing, string)
}

// Watch compares, without end, what upstreams answer to real requests with what
// trusted deployments answer to the same. No question of its own ever reaches an
// upstream, so there is nothing by which it could be recognised. It is safe for
// concurrent use.
type Watch struct {
	cfg WatchConfig

	mu      sync.Mutex
	streams map[string]*watched // guarded by mu
}

// watched is one stream with its file.
type watched struct {
	*comparison
	file  *pairFile
	path  string
	level map[verdict.Null]verdict.Level
	month string // in which spent counts
	spent int    // pairs of the month
}

// OpenWatch opens the streams and goes on from what was observed before.
func OpenWatch(cfg WatchConfig) (*Watch, error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the watch: %w", err)
	}
	w := &Watch{cfg: cfg, streams: map[string]*watched{}}
	for _, s := range cfg.Streams {
		s.Streams = len(cfg.Streams)
		x, err := w.open(s)
		if err != nil {
			return nil, errors.Join(err, w.Close())
		}
		w.streams[s.key()] = x
	}
	return w, nil
}

// key names a stream.
func (s Stream) key() string { return s.Upstream + "\n" + s.Model }

// fileName is the stream's name as one of a file. What decides conclusions is part of
// it: another reference or other alarm levels are another stream.
func (s Stream) fileName() string {
	b, err := json.Marshal(s)
	if err != nil {
		panic("probe: a stream without a JSON form: " + err.Error()) // plain values only
	}
	plain := strings.Map(func(r rune) rune {
		if r < 128 && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-') {
			return r
		}
		return '_'
	}, s.Upstream+"-"+s.Model)
	return plain[:min(len(plain), 80)] + "-" + hashOf(b)[:12]
}

func (w *Watch) open(s Stream) (*watched, error) {
	c, err := newComparison(s)
	if err != nil {
		return nil, err
	}
	x := &watched{comparison: c, path: filepath.Join(w.cfg.Dir, s.fileName()+".pairs"), level: map[verdict.Null]verdict.Level{}}
	if x.file, err = openPairs(x.path, func(o *Observed) error { x.spend(o); return c.observe(o) }); err != nil {
		return nil, fmt.Errorf("watch %s: %w", s.Upstream, err)
	}
	for _, n := range c.nulls() {
		x.level[n] = c.standing(n).Level
	}
	return x, nil
}

// Close closes the files.
func (w *Watch) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var errs []error
	for _, x := range w.streams {
		errs = append(errs, x.file.file.Close())
	}
	w.streams = nil
	return errors.Join(errs...)
}

// spend counts an observation against its month.
func (x *watched) spend(o *Observed) {
	month := time.UnixMicro(o.At).UTC().Format("2006-01")
	if month != x.month {
		x.month, x.spent = month, 0
	}
	x.spent++
}

// May reports whether a stream may make one more comparison this month: the alarm
// levels promise no more than so many.
func (w *Watch) May(upstream, model string, at time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	x := w.streams[Stream{Upstream: upstream, Model: model}.key()]
	return x != nil && (x.month != at.UTC().Format("2006-01") || x.spent < x.Monthly)
}

// Spent is how many requests of a stream were taken in the month of a time.
func (w *Watch) Spent(upstream, model string, at time.Time) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	x := w.streams[Stream{Upstream: upstream, Model: model}.key()]
	if x == nil || x.month != at.UTC().Format("2006-01") {
		return 0
	}
	return x.spent
}

// Observe takes one compared request.
func (w *Watch) Observe(upstream, model string, o *Observed) {
	w.mu.Lock()
	defer w.mu.Unlock()
	x := w.streams[Stream{Upstream: upstream, Model: model}.key()]
	if x == nil || !o.Dropped && len(o.Trusted) != len(x.References) {
		return
	}
	o.round()
	x.spend(o)
	if err := x.comparison.observe(o); err != nil {
		w.cfg.Logger.Error("a pair could not be compared", "upstream", upstream, "model", model, "error", err)
		return
	}
	if kept, err := x.file.add(o); err != nil || !kept {
		w.cfg.Logger.Warn("an observation is not kept; a restart will begin afresh", "upstream", upstream, "full", !kept, "error", err)
	}
	for _, n := range x.nulls() {
		st := x.standing(n)
		if st.Level == x.level[n] || x.level[n].AtLeast(st.Level) {
			continue
		}
		x.level[n] = st.Level
		sum, err := w.seal(x, st)
		if err != nil {
			w.cfg.Logger.Error("the bundle of a verdict cannot be written", "upstream", upstream, "error", err)
		}
		w.cfg.Concluded(st, sum)
	}
}

// Watches reports whether a stream is under watch.
func (w *Watch) Watches(upstream, model string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.streams[Stream{Upstream: upstream, Model: model}.key()] != nil
}

// Restart forgets what was observed of a stream, as after a release: what follows is
// judged on fresh observations alone.
func (w *Watch) Restart(upstream, model string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	x := w.streams[Stream{Upstream: upstream, Model: model}.key()]
	if x == nil {
		return fmt.Errorf("nothing watches the model %q of %s", model, upstream)
	}
	c, err := newComparison(x.Stream)
	if err != nil {
		return err
	}
	x.comparison, x.level = c, map[verdict.Null]verdict.Level{}
	return x.file.restart()
}

// Standings are what is concluded of every stream now.
func (w *Watch) Standings() []Standing {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []Standing
	for _, s := range w.cfg.Streams {
		x := w.streams[s.key()]
		for _, n := range x.nulls() {
			all = append(all, x.standing(n))
		}
	}
	return all
}

// watchHead is the first line of a bundle's payload; frames follow.
type watchHead struct {
	Program  string   `json:"program"`
	Standing Standing `json:"standing"`
}

// seal writes what a verdict rests on as a sealed file named for its hash.
func (w *Watch) seal(x *watched, st Standing) (string, error) {
	frames, err := os.ReadFile(x.path)
	if err != nil {
		return "", fmt.Errorf("read the observations: %w", err)
	}
	line, err := json.Marshal(watchHead{w.cfg.Program, st})
	if err != nil {
		return "", fmt.Errorf("write the verdict: %w", err)
	}
	var file bytes.Buffer
	s, err := evidence.Seal(&file, WatchKind, w.cfg.Key, append(append(line, '\n'), frames...))
	if err != nil {
		return "", err
	}
	return s.SHA256, os.WriteFile(filepath.Join(w.cfg.Dir, s.SHA256+".bundle"), file.Bytes(), 0o600)
}

// VerifyWatch opens the bundle of a watch's verdict, learns again from its
// observations, and compares the conclusion. Errors of a file that is not what was
// sealed wrap evidence.ErrBroken, and of one that leads elsewhere ErrOtherEnd.
func VerifyWatch(r io.Reader) (Standing, *evidence.Sealed, error) {
	s, err := evidence.Open(r, WatchKind)
	if err != nil {
		return Standing{}, nil, err
	}
	line, frames, _ := bytes.Cut(s.Payload, []byte{'\n'})
	var h watchHead
	if strictly(line, &h) != nil {
		return Standing{}, nil, fmt.Errorf("%w: its payload does not begin with a verdict", evidence.ErrBroken)
	}
	c, err := newComparison(h.Standing.Stream)
	if err != nil {
		return Standing{}, nil, fmt.Errorf("%w: %w", ErrOtherEnd, err)
	}
	if _, err := readFrames(bytes.NewReader(frames), c.observe); err != nil {
		return Standing{}, nil, fmt.Errorf("%w: %w", ErrOtherEnd, err)
	}
	if c.change[h.Standing.Null] == nil {
		return Standing{}, nil, fmt.Errorf("%w: it is about no hypothesis of its stream", ErrOtherEnd)
	}
	if again := c.standing(h.Standing.Null); !bytes.Equal(jsonOf(again), jsonOf(h.Standing)) {
		return again, s, fmt.Errorf("%w: its observations come to level %s with 10^%.2f, not to %s with 10^%.2f", ErrOtherEnd, again.Level, again.LogM, h.Standing.Level, h.Standing.LogM)
	}
	return h.Standing, s, nil
}
