package projector

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"sallyport/internal/auditlog"
	"sallyport/internal/journal"
	"sallyport/internal/ledger"
	"sallyport/internal/llm"
	"sallyport/internal/price"
	"sallyport/internal/record"
	"sallyport/internal/store"
	"sallyport/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }

// replica is one gateway's evidence: a journal, a projector, a log.
type replica struct {
	t    testing.TB
	name string
	dir  string
	db   *store.DB
	log  *auditlog.Log
	j    *journal.Journal
	p    *Projector
	cfg  Config // overrides
	n    int    // exchanges begun
	rec  Recovery
	reg  *prometheus.Registry

	stop    context.CancelFunc
	stopped chan error
}

func newReplica(t testing.TB, name string, db *store.DB) *replica {
	r := &replica{t: t, name: name, dir: t.TempDir(), db: db, cfg: Config{Gather: time.Millisecond, SignEvery: 20 * time.Millisecond}}
	r.open()
	return r
}

// open opens journal and log and recovers.
func (r *replica) open() {
	r.t.Helper()
	var err error
	if r.j, err = journal.Open(journal.Config{Dir: filepath.Join(r.dir, "journal"), SegmentBytes: 256 << 10, Keep: 1}); err != nil {
		r.t.Fatal(err)
	}
	r.log, err = auditlog.Open(r.t.Context(), auditlog.Config{DB: r.db, Keys: func() [][]byte { return [][]byte{make([]byte, 32)} }, HeadsFile: filepath.Join(r.dir, "heads")})
	if err != nil {
		r.t.Fatal(err)
	}
	cfg := r.cfg
	r.reg = prometheus.NewRegistry()
	cfg.Journal, cfg.Store, cfg.Log, cfg.Registerer = r.j, r.db, r.log, r.reg
	r.p = New(cfg)
	if r.rec, err = r.p.Recover(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
}

// run starts the projector.
func (r *replica) run() {
	ctx, cancel := context.WithCancel(r.t.Context())
	r.stop, r.stopped = cancel, make(chan error, 1)
	go func(p *Projector, done chan error) { done <- p.Run(ctx) }(r.p, r.stopped)
}

// kill stops the projector wherever it is and closes the files.
func (r *replica) kill() {
	r.t.Helper()
	if r.stop != nil {
		r.stop()
		if err := <-r.stopped; err != nil {
			r.t.Fatal(err)
		}
		r.stop = nil
	}
	if err := errors.Join(r.j.Close(), r.log.Close()); err != nil {
		r.t.Fatal(err)
	}
}

// append appends records to the journal in one write.
func (r *replica) append(payloads ...[]byte) {
	r.t.Helper()
	if _, err := r.j.Append(payloads...); err != nil {
		r.t.Error(err)
	}
}

// flush waits for everything to be projected and signed.
func (r *replica) flush() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	if err := r.p.Flush(ctx); err != nil {
		r.t.Fatal(err)
	}
}

func salt(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

var testCard = price.Card{ID: "card", Provider: "p", Model: "m", Source: "test", Rates: price.Rates{llm.Input: 1000, llm.Output: 2000}}

// intent is the beginning of exchange n.
func (r *replica) intent(n int) *record.Exchange {
	rid := fmt.Sprintf("req_%s_%06d", r.name, n)
	sum := sha256.Sum256([]byte(rid))
	return &record.Exchange{
		TS: 1763800000000000 + int64(n)*1000, RID: rid, Principal: "key", Key: "key_abcdefghijklmnop", Project: "demo",
		Client: "openai-python/2.1.0", Dialect: "openai", Endpoint: "chat", Model: "fast", Stream: true, Label: "internal",
		Effect: "allow", Rules: []string{"table.internal.vetted"}, Config: strings.Repeat("c0ffee", 10), InBytes: 1024,
		Req: hex.EncodeToString(sum[:]), Hold: 1200000, Salt: salt(rid),
	}
}

func (r *replica) attempt(n int) []byte {
	a := record.Attempt{TS: 5, RID: r.intent(n).RID, N: 1, Upstream: "openai", Model: "gpt-5-mini", Class: "vetted", Hold: 1300000}
	return a.Append(nil)
}

// outcome is exchange n, complete.
func (r *replica) outcome(n int) *record.Exchange {
	x := r.intent(n)
	x.End, x.TTFB, x.State, x.Status = x.TS+1000, 200, string(llm.Complete), 200
	x.Upstream, x.Target, x.Declared = "openai", "gpt-5-mini", "gpt-5-mini-2025-08-07"
	x.AnswerID, x.Finish, x.OutBytes = "chatcmpl-abcdefghijklmn", "stop", 4096
	x.Attempts = []record.Try{{N: 1, Upstream: "openai", Model: "gpt-5-mini", State: string(llm.Complete), Status: 200, Start: 5, End: 6}}
	x.Forwarded, x.Answer, x.Returned = x.Req, x.Req, x.Req
	x.Usage, x.Claimed = string(llm.UsageClaimed), &record.Counts{llm.Input: 812, llm.Output: int64(n % 100)}
	x.Verbatim, x.Counted = `{"prompt_tokens":812,"completion_tokens":240,"total_tokens":1052}`, ledger.NotSampled
	x.Money, x.Amount, x.Card, x.CardHash = ledger.MoneyPriced, 683000, testCard.ID, testCard.Hash()
	return x
}

// begin announces exchanges, end ends them.
func (r *replica) begin(n int) { r.append(r.intent(n).Append(nil, record.KindIntent), r.attempt(n)) }
func (r *replica) end(n int)   { r.append(r.outcome(n).Append(nil, record.KindOutcome)) }

// announceCard tells of the price card.
func (r *replica) announceCard() {
	c := record.Card{TS: 1, ID: "crd_" + r.name, Card: testCard.ID, Hash: testCard.Hash(), Text: testCard.Canonical(), Salt: salt("card")}
	r.append(c.Append(nil))
}

// exchanges runs n whole exchanges.
func (r *replica) exchanges(n int) {
	for range n {
		r.begin(r.n)
		r.end(r.n)
		r.n++
	}
}

// counts counts the answers of the last n exchanges.
func (r *replica) counts(n int) {
	for k := r.n - n; k < r.n; k++ {
		x := r.outcome(k)
		c := record.Count{
			TS: x.End + 1, RID: x.RID, Arrived: x.TS, Key: x.Key, Project: x.Project, Model: x.Model, Upstream: x.Upstream, Target: x.Target,
			Vocabulary: "o200k_base", Claimed: 240, Tokens: 200, Salt: salt("count" + x.RID),
		}
		r.append(c.Append(nil))
	}
}

// judge appends a verdict.
func (r *replica) judge(id string) {
	v := record.Verdict{TS: 1, ID: id, Upstream: "up", Target: "t", Act: record.ActQuarantine, Actor: "watch", Salt: salt(id)}
	r.append(v.Append(nil))
}

// verify demands that the log verifies and returns the report.
func (r *replica) verify() auditlog.Report {
	r.t.Helper()
	report, err := auditlog.Verify(r.t.Context(), r.db, auditlog.VerifyOptions{
		Entry: ledger.Entry, Count: ledger.Count, HeadsFile: filepath.Join(r.dir, "heads"), VKey: r.log.VerifierKey(),
	})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range report.Findings {
		r.t.Errorf("finding: %+v", f)
	}
	return report
}

// entry reads the ledger row of exchange n.
func (r *replica) entry(n int) store.Entry {
	r.t.Helper()
	e, err := r.db.Entry(r.t.Context(), r.intent(n).RID)
	if err != nil {
		r.t.Fatal(err)
	}
	return e
}

func onBoth(t *testing.T, test func(*testing.T, *store.DB)) {
	t.Helper()
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) { test(t, storetest.Open(t, engine)) })
	}
}

// TestProjectsEveryKind projects every kind of record and reads the rows back.
func TestProjectsEveryKind(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		r := newReplica(t, "a", db)
		r.kill()
		var mu sync.Mutex
		var entries, leaves int
		var heads []record.Head
		r.cfg.OnBatch = func(b Batch) { mu.Lock(); entries += len(b.Entries); leaves += b.Leaves; mu.Unlock() }
		r.cfg.OnCheckpoint = func(h record.Head) { mu.Lock(); heads = append(heads, h); mu.Unlock() }
		r.open()
		r.run()
		defer r.kill()
		start := record.Start{TS: 1, ID: "start_1", Journal: r.j.ID(), Version: "v", Config: "c", Salt: salt("s")}
		admin := record.Admin{TS: 2, ID: "adm_1", Actor: "local", Act: "key.create", Target: "key_x", Salt: salt("a")}
		strangers := record.Strangers{TS: 3, ID: "str_1", Count: 9, Salt: salt("x")}
		refused := r.intent(900)
		refused.State, refused.Usage, refused.Money = string(llm.Refused), string(llm.UsageNone), ledger.MoneyNone
		r.append(start.Append(nil), admin.Append(nil), strangers.Append(nil))
		r.announceCard()
		r.exchanges(40)
		r.counts(3)
		r.judge("vrd_1")
		r.append(refused.Append(nil, record.KindRefused))
		r.begin(901) // stays open
		r.flush()
		report := r.verify()
		if report.Entries != 41 || report.Leaves != 49 || report.Counts != 3 || report.Verdicts != 1 || report.Unsigned != 0 || report.Cards != 1 {
			t.Errorf("report %+v", report)
		}
		mu.Lock()
		if entries != 41 || leaves != 49 || len(heads) == 0 || heads[len(heads)-1].Size != 49 {
			t.Errorf("told of %d entries, %d leaves, heads %+v", entries, leaves, heads)
		}
		mu.Unlock()
		want := ledger.Entry(r.outcome(7))
		got := r.entry(7)
		want.Leaf = got.Leaf
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if e := r.entry(900); e.State != string(llm.Refused) || e.Tokens != nil || e.Amount == nil || *e.Amount != 0 {
			t.Errorf("refused: %+v", e)
		}
		if _, err := db.Entry(t.Context(), r.intent(901).RID); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("an open exchange has a row: %v", err)
		}
		acts, err := db.Records(t.Context(), record.KindAdmin, 0, 10)
		if err != nil || len(acts) != 1 || acts[0].RID != "adm_1" {
			t.Errorf("acts %v, %v", acts, err)
		}
		copied := 0
		for e, err := range r.j.Records(journal.Position{}) {
			if err != nil {
				t.Fatal(err)
			}
			if k, _, _ := record.Peek(e.Payload); k == record.KindHead {
				copied++
			}
		}
		mu.Lock()
		defer mu.Unlock()
		if copied != len(heads) {
			t.Errorf("%d checkpoints in the journal, %d signed", copied, len(heads))
		}
	})
}

// TestRecoverLost restarts with exchanges that have no outcome, some of which
// began before what is projected.
func TestRecoverLost(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		r := newReplica(t, "a", db)
		r.run()
		r.announceCard()
		r.n = 10
		r.begin(0) // begins and stays open
		r.begin(1) // ends after the restart's projected place
		r.exchanges(5)
		r.flush()
		r.kill()
		r.open() // nothing projects now
		if r.rec.Lost != 2 {
			t.Errorf("lost %d, want 2", r.rec.Lost)
		}
		r.kill()
		r.open() // and again before anything was projected
		if r.rec.Lost != 0 {
			t.Errorf("lost %d once more", r.rec.Lost)
		}
		r.append(r.intent(2).Append(nil, record.KindIntent)) // without an attempt
		r.begin(3)
		r.append(r.attempt(3))
		r.kill()
		r.open()
		if r.rec.Lost != 2 || r.rec.Notes != nil {
			t.Errorf("got %+v, want 2 lost", r.rec)
		}
		r.run()
		defer r.kill()
		r.exchanges(3)
		r.flush()
		if report := r.verify(); report.Entries != 12 {
			t.Errorf("%d rows", report.Entries)
		}
		for n, attempts := range map[int]int{0: 1, 1: 1, 2: 0, 3: 2} {
			e := r.entry(n)
			if e.State != string(llm.Lost) || e.Usage != string(llm.UsageUnknown) || e.Money != ledger.MoneyUnknown || e.Amount != nil || e.Tokens != nil {
				t.Errorf("exchange %d: %+v", n, e)
			}
			if got := strings.Count(e.Attempts, `"state":"lost"`); got != attempts {
				t.Errorf("exchange %d has attempts %s", n, e.Attempts)
			}
			if attempts > 0 && (e.Hold != 1300000 || e.Upstream != "openai" || e.Target != "gpt-5-mini") {
				t.Errorf("exchange %d: hold %d at %s/%s", n, e.Hold, e.Upstream, e.Target)
			}
		}
		usage, err := db.Usage(t.Context(), store.ByProject, 0)
		if err != nil || len(usage) != 1 || usage[0].UnknownUsage != 4 || usage[0].Unpriced != 4 || usage[0].Errors != 4 {
			t.Errorf("usage %+v, %v", usage, err)
		}
	})
}

// TestKilledAnywhere stops a projector at many moments of its work, between any
// two statements, and goes on each time.
func TestKilledAnywhere(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		r := newReplica(t, "a", db)
		r.announceCard()
		r.exchanges(150)
		whole := time.Now()
		r.run()
		r.flush()
		took := time.Since(whole)
		r.kill()
		const rounds = 12
		for i := range rounds {
			r.open()
			r.exchanges(150)
			r.counts(20)
			r.run()
			ctx, cancel := context.WithTimeout(t.Context(), took*time.Duration(i)/rounds)
			<-ctx.Done()
			cancel()
			r.kill()
		}
		r.open()
		r.run()
		r.flush()
		r.kill()
		if report := r.verify(); report.Entries != 150*(rounds+1) || report.Counts != 20*rounds || report.Leaves != report.Entries+report.Counts+1 {
			t.Errorf("report %+v", report)
		}
		// Every row is there once, so their sums are right.
		usage, err := db.Usage(t.Context(), store.ByUpstream, 0)
		want := store.CountSums{Sampled: 20 * rounds, Countable: 20 * rounds, Claimed: 240 * 20 * rounds, Counted: 200 * 20 * rounds, Compared: 20 * rounds}
		if err != nil || len(usage) != 1 {
			t.Fatalf("usage %+v, %v", usage, err)
		}
		got := usage[0].Counts
		if math.Abs(got.Excess-.2*20*rounds) > 1e-9 || math.Abs(got.Squares-.04*20*rounds) > 1e-9 {
			t.Errorf("excess %v, squares %v", got.Excess, got.Squares)
		}
		if got.Excess, got.Squares = 0, 0; got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

// TestTwoReplicasOneLog runs two journals into one database at once; one of the
// replicas is killed again and again.
func TestTwoReplicasOneLog(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		a, b := newReplica(t, "a", db), newReplica(t, "b", db)
		a.announceCard()
		b.announceCard()
		a.run()
		var wg sync.WaitGroup
		wg.Go(func() {
			for range 60 {
				a.exchanges(10)
				if err := a.p.Sync(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
		for i := range 6 {
			b.run()
			b.exchanges(100)
			if i%2 == 0 { // half-way
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*5*time.Millisecond)
				<-ctx.Done()
				cancel()
			}
			b.begin(b.n)
			b.n++
			b.kill()
			b.open()
			if b.rec.Lost != 1 {
				t.Errorf("round %d: %d lost", i, b.rec.Lost)
			}
		}
		b.run()
		wg.Wait()
		a.flush()
		b.flush()
		for _, r := range []*replica{a, b} {
			report := r.verify()
			if report.Entries != 600+606 || report.Leaves != report.Entries+2 || report.Size != report.Leaves {
				t.Errorf("replica %s: %+v", r.name, report)
			}
			r.kill()
		}
	})
}

// TestVerifyWhileRunning verifies again and again while two replicas project.
func TestVerifyWhileRunning(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		a, b := newReplica(t, "a", db), newReplica(t, "b", db)
		var wg sync.WaitGroup
		for _, r := range []*replica{a, b} {
			r.announceCard()
			r.run()
			wg.Go(func() {
				for range 20 {
					r.exchanges(20)
					if err := r.p.Sync(t.Context()); err != nil {
						t.Error(err)
					}
				}
			})
		}
		done := make(chan struct{})
		go func() { wg.Wait(); close(done) }()
		for running, n := true, 0; running || n < 3; n++ {
			a.verify()
			select {
			case <-done:
				running = false
			default:
			}
		}
		a.flush()
		b.flush()
		if report := b.verify(); report.Entries != 800 {
			t.Errorf("%d rows", report.Entries)
		}
		a.kill()
		b.kill()
	})
}

// metric reads one of the projector's figures.
func (r *replica) metric(name string) float64 {
	r.t.Helper()
	families, err := r.reg.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "sallyport_projector_"+name {
			return f.GetMetric()[0].GetCounter().GetValue() + f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	r.t.Fatalf("no metric %s", name)
	return 0
}

func (r *replica) failures() float64 { return r.metric("failures_total") }

// eventually polls until ok or the test's end.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	limit := time.NewTimer(30 * time.Second)
	defer limit.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatal("it did not happen: " + what)
		}
	}
}

// TestDatabaseFails takes a table away: the projector waits and catches up.
func TestDatabaseFails(t *testing.T) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			cfg := storetest.Config(t, engine)
			db := storetest.OpenConfig(t, cfg)
			behind := storetest.SQL(t, cfg)
			r := newReplica(t, "a", db)
			r.run()
			defer r.kill()
			r.announceCard()
			r.exchanges(5)
			r.flush()
			if _, err := behind.Exec("ALTER TABLE ledger RENAME TO elsewhere"); err != nil {
				t.Fatal(err)
			}
			before := r.failures()
			r.exchanges(5)
			eventually(t, "two failures", func() bool { return r.failures() >= before+2 })
			if err := r.p.Trouble(); err == nil || !strings.Contains(err.Error(), "project batch") {
				t.Errorf("the trouble is %v", err)
			}
			if n, waiting := r.metric("lag_records"), r.metric("lag_seconds"); n < 15 || n > 17 || waiting <= 0 {
				t.Errorf("lag %v records, %v s", n, waiting)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			if err := r.p.Sync(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("sync: %v", err)
			}
			if _, err := behind.Exec("ALTER TABLE elsewhere RENAME TO ledger"); err != nil {
				t.Fatal(err)
			}
			r.flush()
			if err := r.p.Trouble(); err != nil {
				t.Errorf("the trouble is over, and still %v", err)
			}
			if report := r.verify(); report.Entries != 10 {
				t.Errorf("%d rows", report.Entries)
			}
		})
	}
}

// TestDoubleOutcomeIsLoud ends one exchange twice: the projection stops there and
// says so; nothing of the batch is stored.
func TestDoubleOutcomeIsLoud(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		r := newReplica(t, "a", db)
		r.announceCard()
		r.exchanges(3)
		r.run()
		defer r.kill()
		r.flush()
		stored := r.p.cfg.Journal.Tail()
		r.begin(7)
		r.end(7)
		r.end(1)
		eventually(t, "two failures", func() bool { return r.failures() >= 2 })
		if _, err := db.Entry(t.Context(), r.intent(7).RID); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("part of the batch was stored: %v", err)
		}
		at, err := r.p.storedProjection(t.Context())
		if err != nil || at.At.Seq > stored.Seq {
			t.Errorf("projected up to %d, %v", at.At.Seq, err)
		}
		if report := r.verify(); report.Entries != 3 {
			t.Errorf("%d rows", report.Entries)
		}
	})
}

func TestUnreadableRecordIsLoud(t *testing.T) {
	for name, payload := range map[string][]byte{
		"nonsense":      []byte("nonsense"),
		"later version": []byte(`{"k":"outcome","v":2}`),
		"later kind":    []byte(`{"k":"later","v":1}`),
		"no salt":       (&record.Admin{ID: "a"}).Append(nil),
	} {
		t.Run(name, func(t *testing.T) {
			r := newReplica(t, "a", storetest.Open(t, storetest.SQLite))
			r.announceCard()
			r.run()
			defer r.kill()
			r.flush()
			r.append(payload)
			r.exchanges(1)
			eventually(t, "two failures", func() bool { return r.failures() >= 2 })
			if _, err := r.db.Entry(t.Context(), r.intent(0).RID); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("it was skipped: %v", err)
			}
		})
	}
}

// TestCommittedThoughReported commits a batch whose success was not heard of.
func TestCommittedThoughReported(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		r := newReplica(t, "a", db)
		defer r.kill()
		r.announceCard()
		r.exchanges(5)
		b, err := r.p.build()
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := r.p.commit(t.Context(), b); err != nil {
				t.Fatal(err)
			}
		}
		if report := r.verify(); report.Entries != 5 || report.Leaves != 6 {
			t.Errorf("report %+v", report)
		}
		// Another process that projects the same journal is not the same case.
		cfg := r.p.cfg
		cfg.Registerer = nil
		other := New(cfg)
		if _, err := other.Recover(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.p.stored = b.to
		r.p.advance(b)
		r.exchanges(5)
		for _, p := range []*Projector{other, r.p} {
			b, err := p.build()
			if err != nil {
				t.Fatal(err)
			}
			err = p.commit(t.Context(), b)
			if (p == other) != (err == nil) {
				t.Errorf("two processes on one journal: %v", err)
			}
		}
	})
}

// TestIntentsAloneAreNotStored checks that positions alone do not cost a
// transaction, and that they are not lost either.
func TestIntentsAloneAreNotStored(t *testing.T) {
	r := newReplica(t, "a", storetest.Open(t, storetest.SQLite))
	r.run()
	r.announceCard()
	r.flush()
	at, err := r.p.storedProjection(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.begin(0)
	r.begin(1)
	if err := r.p.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	again, err := r.p.storedProjection(t.Context())
	if err != nil || again != at {
		t.Errorf("stored %+v, then %+v (%v)", at, again, err)
	}
	r.end(1)
	r.flush()
	if again, err = r.p.storedProjection(t.Context()); err != nil || again.At.Seq < at.At.Seq+5 || again.Low.Seq > at.At.Seq+2 {
		t.Errorf("stored %+v, %v", again, err)
	}
	r.kill()
	r.open()
	if r.rec.Lost != 1 {
		t.Errorf("%d lost", r.rec.Lost)
	}
	r.kill()
}

// TestForgetsWhatIsProjected lets segments go, but none that an open exchange
// needs.
func TestForgetsWhatIsProjected(t *testing.T) {
	r := newReplica(t, "a", storetest.Open(t, storetest.SQLite))
	r.announceCard()
	segments := func() []string {
		names, err := filepath.Glob(filepath.Join(r.dir, "journal", "*"))
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(names)
		return names
	}
	first := segments()[0]
	r.n = 1
	r.begin(0)
	r.exchanges(400)
	project := func() {
		t.Helper()
		r.p.forgot = time.Time{}
		r.run()
		r.flush()
		r.kill()
	}
	project()
	if !slices.Contains(segments(), first) {
		t.Error("the segment of an open exchange was removed")
	}
	r.open() // exchange 0 is lost now
	r.exchanges(1)
	project()
	r.open()
	r.exchanges(1)
	project()
	if slices.Contains(segments(), first) {
		t.Errorf("the first segment is still there: %v", segments())
	}
	r.open()
	if r.rec.Lost != 0 || r.rec.Notes != nil {
		t.Errorf("recovery %+v", r.rec)
	}
	r.kill()
	if report := r.verify(); report.Entries != 403 {
		t.Errorf("%d rows", report.Entries)
	}
}
