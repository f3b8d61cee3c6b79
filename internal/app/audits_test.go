package app

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"sallyport/internal/console"
	"sallyport/internal/probe"
	"sallyport/internal/store/storetest"
	"sallyport/internal/upstreamtest"
	"sallyport/internal/verdict"
)

// plan is the hash of the plan of audit n.
func plan(n int) string { return strings.Repeat(fmt.Sprintf("%02x", n), 32) }

// beacon is what the log gives to a plan that was recorded under an id.
func (i *instance) beacon(t *testing.T, rid, plan string) verdict.Beacon {
	t.Helper()
	if err := i.projector.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	p, err := i.prove(t.Context(), rid)
	if err != nil {
		t.Fatal(err)
	}
	b, err := probe.LogBeacon(verdict.LogProof{Leaf: string(p.Leaf), Proof: string(p.Text), Key: i.auditLog.VerifierKey()}, plan)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestAuditsBegin: audits that begin at a time, amid traffic, get beacons of their own,
// which are the same whenever they are asked for and after a restart; the root is the
// one that the log had then.
func TestAuditsBegin(t *testing.T) {
	t.Parallel()
	for engine, more := range map[string]func() string{
		storetest.SQLite: func() string { return "" }, storetest.Postgres: func() string { return onPostgres(t, storetest.PostgresURL(t)) },
	} {
		t.Run(engine, func(t *testing.T) {
			file := configure(t, provider(t, upstreamtest.Config{}).BaseURL(), more()+"count: {share: 0}\n")
			data := filepath.Join(t.TempDir(), "data")
			i := start(t, options(data, file))
			const audits = 12
			ids, beacons := make([]string, audits), map[string]int{}
			// A pool may open a connection that it then does not use, for which the gateway would wait.
			once := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			var wg sync.WaitGroup
			for n := range audits {
				wg.Go(func() {
					v, err := i.beginAudit("local", console.Beginning{Commitment: plan(n), Upstream: "up", Model: model, Profile: "quick", Cap: 1e9})
					if err != nil {
						t.Error(err)
					}
					ids[n] = v.ID
				})
				wg.Go(func() {
					if a := (ask{base: i.data, key: i.key, text: fmt.Sprintf("nonce-%d", n), client: once}).do(t.Context()); a.status != http.StatusOK {
						t.Errorf("status %d, %v: %s", a.status, a.err, a.body)
					}
				})
			}
			wg.Wait()
			first := make([]verdict.Beacon, audits)
			for n, rid := range ids {
				first[n] = i.beacon(t, rid, plan(n))
				beacons[first[n].Value]++
			}
			if len(beacons) != audits {
				t.Errorf("%d audits have %d beacons", audits, len(beacons))
			}
			i.verified(t) // nothing more is on its way into the log
			v, err := i.beginAudit("local", console.Beginning{Commitment: plan(audits), Upstream: "up", Model: model, Profile: "vet"})
			if err != nil {
				t.Fatal(err)
			}
			last := i.beacon(t, v.ID, plan(audits))
			if size, root := headOf(t, last.Log.Proof); last.Value != root || last.Source != fmt.Sprintf("log head of %s at size %s", i.auditLog.Origin(), size) {
				t.Errorf("the beacon is %s, %s; signed is %s at %s", last.Value, last.Source, root, size)
			}
			if report := i.verified(t); report.Verdicts != audits+1 {
				t.Errorf("%d verdicts are in the log", report.Verdicts)
			}
			if err := i.stop(); err != nil {
				t.Fatal(err)
			}
			i = start(t, options(data, file))
			for n, rid := range ids {
				if again := i.beacon(t, rid, plan(n)); again.Value != first[n].Value || again.Source != first[n].Source {
					t.Errorf("audit %d got %+v and then %+v", n, first[n], again)
				}
			}
			if _, err := probe.LogBeacon(*first[0].Log, plan(1)); err == nil {
				t.Error("a beacon is given to another plan")
			}
		})
	}
}

// headOf reads the signed head of a proof.
func headOf(t *testing.T, proof string) (size, root string) {
	t.Helper()
	_, note, _ := strings.Cut(proof, "\n\n")
	lines := strings.Split(note, "\n")
	raw, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil {
		t.Fatal(err)
	}
	return lines[1], hex.EncodeToString(raw)
}
