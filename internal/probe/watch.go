package probe

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"sallyport/internal/evidence"
	"sallyport/internal/reference"
	"sallyport/internal/stat"
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
	// Recorded are the stored references that streams name, by id.
	Recorded map[string]*reference.Opened
	ItemKey  [32]byte // secret of the organisation that generated items follow from
	Logger   *slog.Logger
	// Concluded is called when a stream reaches a level that it did not have, with the
	// hash of the sealed bundle that shows why. It is never called at once, and must not
	// call the watch. It says whether the target is out of routing from now on: then a
	// fresh stream begins, by which it may come back.
	Concluded func(Standing, string) (out bool)
}

// Watch compares, without end, what upstreams answer with what trusted deployments
// answer to the same: to real requests, which nobody can tell from others, and, where it
// is told to, to questions of its own. It is safe for concurrent use.
type Watch struct {
	cfg WatchConfig

	mu      sync.Mutex
	streams map[string]*watched // guarded by mu
	trials  sync.WaitGroup
}

// watched is one stream with its file.
type watched struct {
	*state
	file       *frameFile
	path       string
	level      map[verdict.Null]verdict.Level
	month      string        // in which spent counts
	spent      [numKinds]int // observations of the month
	asks       *questioner   // nil when it asks nothing
	ends       bool          // the stored reference was said to end
	unanswered int           // questions to which a reference gave no answer
	warned     time.Time     // when that was told last
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

// stream is the one of a target; nil when nothing watches it. It is called under mu.
func (w *Watch) stream(upstream, model string) *watched {
	return w.streams[Stream{Upstream: upstream, Model: model}.key()]
}

func (w *Watch) open(s Stream) (*watched, error) {
	recorded := w.cfg.Recorded[s.Recorded]
	if recorded != nil {
		if why := newBaseline(recorded).foreign(); why != "" {
			return nil, fmt.Errorf("watch %s: %s", s.Upstream, why)
		}
	}
	state, err := newState(s, recorded)
	if err != nil {
		return nil, err
	}
	x := &watched{state: state, path: filepath.Join(w.cfg.Dir, s.fileName()+".frames"), level: map[verdict.Null]verdict.Level{}}
	var seed [32]byte
	_, _ = rand.Read(seed[:]) // never fails (crypto/rand)
	x.asks = newQuestioner(state, w.cfg.ItemKey, recorded, stat.Rand(seed))
	if x.file, err = openFrames(x.path, func(o *Observed) error { x.spend(o); return state.observe(o) }); err != nil {
		return nil, fmt.Errorf("watch %s: %w", s.Upstream, err)
	}
	for _, n := range state.nulls() {
		x.level[n] = state.standing(n).Level
	}
	return x, nil
}

// Close closes the files.
func (w *Watch) Close() error {
	w.trials.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	var errs []error
	for _, x := range w.streams {
		errs = append(errs, x.file.file.Close())
	}
	w.streams = nil
	return errors.Join(errs...)
}

// turn forgets the counts of a month that is over.
func (x *watched) turn(at time.Time) {
	if month := at.UTC().Format("2006-01"); month != x.month {
		x.month, x.spent = month, [numKinds]int{}
	}
}

// spend counts an observation against its month.
func (x *watched) spend(o *Observed) {
	x.turn(time.UnixMicro(o.At))
	if o.Kind == Afresh {
		copy(x.spent[:], o.Spent)
		return
	}
	x.spent[o.Kind]++
}

// most is how many observations of a kind a month may have.
func (m Monthly) most(k Kind) int {
	return [numKinds]int{Pair: m.Pairs, Word: m.Words, Item: m.Items, Bill: m.Bills}[k]
}

// May reports whether a stream may make one more observation of a kind this month: the
// alarm levels promise no more than so many.
func (w *Watch) May(upstream, model string, k Kind, at time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	x := w.stream(upstream, model)
	return x != nil && x.may(k, at)
}

func (x *watched) may(k Kind, at time.Time) bool {
	x.turn(at)
	return x.spent[k] < x.Monthly.most(k)
}

// Spent is how many observations of a kind a stream took in the month of a time.
func (w *Watch) Spent(upstream, model string, k Kind, at time.Time) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	x := w.stream(upstream, model)
	if x == nil {
		return 0
	}
	x.turn(at)
	return x.spent[k]
}

// Question draws a question that a stream may ask now; nil when there is none.
func (w *Watch) Question(upstream, model string, at time.Time) (*Question, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	x := w.stream(upstream, model)
	if x == nil || x.asks == nil {
		return nil, nil
	}
	q, err := x.asks.next(x.state)
	if err != nil || q == nil || !x.may(q.kind, at) {
		return nil, err
	}
	return q, nil
}

// Answered takes the answers to a question; nil where no answer came.
func (w *Watch) Answered(upstream, model string, q *Question, at time.Time, suspect *Said, trusted []*Said) {
	w.mu.Lock()
	defer w.mu.Unlock()
	x := w.stream(upstream, model)
	if x == nil || x.asks == nil || len(trusted) != len(x.References) {
		return
	}
	if o := q.read(at, x.asks.asked, suspect, trusted); o != nil {
		w.observe(x, o)
		return
	}
	if x.unanswered++; at.Sub(x.warned) >= warnEvery {
		w.cfg.Logger.Warn("a reference gave no answer to a question of the watch", "upstream", x.Upstream, "model", x.Model, "times", x.unanswered)
		x.warned = at
	}
}

// warnEvery is how often a reference that does not answer is told of.
const warnEvery = time.Hour

// Observe takes one observation.
func (w *Watch) Observe(upstream, model string, o *Observed) {
	w.mu.Lock()
	defer w.mu.Unlock()
	x := w.stream(upstream, model)
	switch {
	case x == nil, o.Kind == Pair && !o.Dropped && len(o.Trusted) != len(x.References), o.Kind == Bill && o.Counted < leastVisible:
		return
	}
	w.observe(x, o)
}

// observe takes, keeps and concludes. It is called under mu.
func (w *Watch) observe(x *watched, o *Observed) {
	o.round()
	x.spend(o)
	if err := x.state.observe(o); err != nil {
		w.cfg.Logger.Error("an observation could not be taken", "upstream", x.Upstream, "model", x.Model, "error", err)
		return
	}
	if err := x.file.add(o); err != nil {
		w.cfg.Logger.Warn("an observation is not kept; a restart will begin afresh", "upstream", x.Upstream, "model", x.Model, "error", err)
	}
	for _, n := range x.nulls() {
		w.conclude(x, x.standing(n))
	}
	if x.file.full() {
		w.cfg.Logger.Info("a watch begins afresh: it has observed all that a file holds", "upstream", x.Upstream, "model", x.Model)
		if err := x.restart(); err != nil {
			w.cfg.Logger.Error("a watch cannot begin afresh", "upstream", x.Upstream, "model", x.Model, "error", err)
		}
	}
}

// conclude tells of a level that is reached for the first time.
func (w *Watch) conclude(x *watched, st Standing) {
	if c := st.Control; c != nil && c.Days < 7 && !x.ends {
		x.ends = true
		w.cfg.Logger.Warn("a stored reference is nearly used up; record a new one", "alert", true, "upstream", x.Upstream, "model", x.Model, "days", c.Days)
	}
	if st.Level == x.level[st.Null] || x.level[st.Null].AtLeast(st.Level) {
		return
	}
	x.level[st.Null] = st.Level
	sum, err := w.seal(x, st)
	if err != nil {
		w.cfg.Logger.Error("the bundle of a verdict cannot be written", "upstream", x.Upstream, "model", x.Model, "error", err)
	}
	if w.cfg.Concluded(st, sum) {
		w.condemn(x, st)
	}
}

// condemn works out, in its own time, what a target must show that was taken out of
// routing, and begins the stream in which it may.
func (w *Watch) condemn(x *watched, st Standing) {
	by, _ := x.Kind(st.Foremost())
	file, err := os.ReadFile(x.path)
	if err != nil {
		w.cfg.Logger.Error("what a condemned target must show is not known", "upstream", x.Upstream, "model", x.Model, "error", err)
		return
	}
	old, err := newState(x.Stream, w.cfg.Recorded[x.Recorded])
	if err != nil {
		return // the stream's own state was made of the same
	}
	w.trials.Go(func() {
		_, _ = readFrames(bytes.NewReader(file), old.observe) // what this process wrote
		var seed [32]byte
		_, _ = rand.Read(seed[:]) // never fails (crypto/rand)
		needed, known := old.needed(by, stat.Rand(seed))
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.streams == nil || w.stream(x.Upstream, x.Model) != x {
			return
		}
		var trial []int
		if known {
			trial = []int{int(by), needed}
		}
		if err := x.restart(trial...); err != nil {
			w.cfg.Logger.Error("a watch cannot begin afresh", "upstream", x.Upstream, "model", x.Model, "error", err)
		}
		w.cfg.Logger.Info("a condemned target is watched afresh", "upstream", x.Upstream, "model", x.Model, "by", observations[st.Foremost()], "needed", needed, "can be cleared", known)
	})
}

// Cleared tells that a condemned target has shown what it must, and on what; false when
// it has not.
func (w *Watch) Cleared(upstream, model string) (Standing, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	x := w.stream(upstream, model)
	if x == nil || !x.cleared() {
		return Standing{}, false
	}
	return x.standing(verdict.Same), true
}

// Watches reports whether a stream is under watch.
func (w *Watch) Watches(upstream, model string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stream(upstream, model) != nil
}

// Restart forgets what was observed of a stream, as after a release: what follows is
// judged on fresh observations alone.
func (w *Watch) Restart(upstream, model string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	x := w.stream(upstream, model)
	if x == nil {
		return fmt.Errorf("nothing watches the model %q of %s", model, upstream)
	}
	return x.restart()
}

// restart begins afresh, on what is left of the stored reference; a trial is what a
// condemned target must show.
func (x *watched) restart(trial ...int) error {
	now := time.Now()
	x.turn(now)
	o := &Observed{At: now.UnixMicro(), Kind: Afresh, Spent: slices.Clone(x.spent[:]), Trial: trial}
	if x.control != nil {
		o.Drawn = slices.Clone(x.control.drawn)
	}
	if err := x.afresh(o); err != nil {
		return err
	}
	for _, n := range x.nulls() {
		x.level[n] = verdict.LevelNone
	}
	return x.file.restart(o)
}

// Standings are what is concluded of every stream now; none once the watch is closed.
func (w *Watch) Standings() []Standing {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []Standing
	for _, s := range w.cfg.Streams {
		x := w.streams[s.key()]
		if x == nil {
			return nil
		}
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
	Recorded []byte   `json:"recorded,omitempty"` // the file of the stored reference
}

// seal writes what a verdict rests on as a sealed file named for its hash.
func (w *Watch) seal(x *watched, st Standing) (string, error) {
	frames, err := os.ReadFile(x.path)
	if err != nil {
		return "", fmt.Errorf("read the observations: %w", err)
	}
	head := watchHead{Program: w.cfg.Program, Standing: st}
	if x.control != nil {
		head.Recorded = x.control.base.File
	}
	line, err := json.Marshal(head)
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
	var recorded *reference.Opened
	if len(h.Recorded) > 0 {
		if recorded, err = reference.Open(bytes.NewReader(h.Recorded)); err != nil {
			return Standing{}, nil, fmt.Errorf("%w: its reference: %w", evidence.ErrBroken, err)
		}
	}
	c, err := newState(h.Standing.Stream, recorded)
	if err != nil {
		return Standing{}, nil, fmt.Errorf("%w: %w", ErrOtherEnd, err)
	}
	if _, err := readFrames(bytes.NewReader(frames), c.observe); err != nil {
		return Standing{}, nil, fmt.Errorf("%w: %w", ErrOtherEnd, err)
	}
	if !slices.Contains(c.nulls(), h.Standing.Null) {
		return Standing{}, nil, fmt.Errorf("%w: it is about no hypothesis of its stream", ErrOtherEnd)
	}
	if again := c.standing(h.Standing.Null); !bytes.Equal(jsonOf(again), jsonOf(h.Standing)) {
		return again, s, fmt.Errorf("%w: its observations come to level %s with 10^%.2f, not to %s with 10^%.2f", ErrOtherEnd, again.Level, again.LogM, h.Standing.Level, h.Standing.LogM)
	}
	return h.Standing, s, nil
}
