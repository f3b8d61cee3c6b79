package app

import (
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/secret"
	"sallyport/internal/store"
	"sallyport/internal/store/storetest"
	"sallyport/internal/upstreamtest"
)

// TestCopyAfterPostgresRestart: a restart of PostgreSQL ends the claim of a journal.
// The gateway takes it again, so that a copy of its folder that starts afterwards
// is still a copy, and what runs is not settled as lost.
func TestCopyAfterPostgresRestart(t *testing.T) {
	t.Parallel()
	up := provider(t, upstreamtest.Config{})
	server := storetest.OwnServer(t)
	address := server.URL(t)
	file := configure(t, up.BaseURL(), onPostgres(t, address))
	here, there := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "copy")
	original := start(t, options(here, file))
	running, err := ask{base: original.data, key: original.key, stream: true, text: "nonce-running [[frames=600 gap=10ms]]"}.send(t.Context())
	if err != nil || running.StatusCode != 200 {
		t.Fatal(err, running)
	}
	defer running.Body.Close()
	original.verified(t) // nothing waits to be projected, which would take the claim as well
	server.Restart(t)
	db := storetest.SQL(t, store.Config{URL: secret.New(address)})
	until(t, "the claim is taken again", func() bool {
		claims := 0
		err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted").Scan(&claims)
		return err == nil && claims == 1
	})
	if n := len(entries(t, original.store)); n != 0 {
		t.Fatal("the stream ended first: with its outcome the projection took the claim")
	}
	if out, err := exec.Command("cp", "-a", here, there).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	o := options(there, file)
	o.claimTime = 2 * time.Second
	twin := start(t, o)
	if notes := startNotes(t, twin.App); len(notes) == 0 || notes[0] != "folder.copied" {
		t.Errorf("the copy's start record says %v", notes)
	}
	if _, err := io.Copy(io.Discard, running.Body); err != nil {
		t.Error(err)
	}
	original.verified(t)
	twin.verified(t)
	if states := judge(t, original.App, up); states["complete"] != 1 || len(states) != 1 {
		t.Errorf("rows by state: %v", states)
	}
}

// TestClaimLost: a gateway whose claim another process took while the connection
// was cut says so, serves on, and projects nothing until it has the claim again.
func TestClaimLost(t *testing.T) {
	t.Parallel()
	up := provider(t, upstreamtest.Config{})
	address := storetest.PostgresURL(t)
	relay, through := newRelay(t, address)
	i := start(t, options(t.TempDir(), configure(t, up.BaseURL(), onPostgres(t, through))))
	ask{base: i.data, key: i.key, text: "nonce-before"}.want(t, 200)
	i.verified(t)
	relay.down()
	claim := storetest.OpenConfig(t, store.Config{URL: secret.New(address)}).Claim(i.journal.ID())
	until(t, "the claim is free", func() bool { return claim.Hold(t.Context()) == nil })
	relay.up()
	const n = 5
	for k := range n {
		ask{base: i.data, key: i.key, text: fmt.Sprintf("nonce-without%d", k)}.want(t, 200)
	}
	until(t, "the loss is noticed", func() bool { return errors.Is(i.projector.Trouble(), store.ErrClaimed) })
	until(t, "the loss is told", func() bool { return strings.Contains(i.logs.String(), claimLost) })
	if c := auditCheck(t, i); c.OK || !strings.Contains(c.Fix, "copy") {
		t.Errorf("the doctor says %+v", c)
	}
	if got := len(entries(t, i.store)); got != 1 {
		t.Errorf("%d rows without the claim, want 1", got)
	}
	claim.Release()
	i.verified(t)
	if states := judge(t, i.App, up); states["complete"] != n+1 || len(states) != 1 {
		t.Errorf("rows by state: %v", states)
	}
}
