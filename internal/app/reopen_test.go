package app

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/auditlog"
	"sallyport/internal/console"
	"sallyport/internal/store/storetest"
	"sallyport/internal/upstreamtest"
)

// postgresTool runs a program of PostgreSQL.
func postgresTool(t testing.TB, name string, args ...string) {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err != nil || len(found) == 0 {
		found = []string{name}
	}
	if out, err := exec.Command(found[len(found)-1], args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", name, err, out)
	}
}

// auditCheck is what the doctor says about the audit log.
func auditCheck(t testing.TB, i *instance) console.Check {
	t.Helper()
	checks := i.doctor(t.Context())
	return checks[slices.IndexFunc(checks, func(c console.Check) bool { return c.Name == "audit log" })]
}

// TestRestoredDump: two replicas whose PostgreSQL database is restored from a dump
// bring everything back from their journals, in another order. Neither signs
// that; both say what happened. One reopens the log, and the other follows.
func TestRestoredDump(t *testing.T) {
	t.Parallel()
	up := provider(t, upstreamtest.Config{})
	address := storetest.PostgresURL(t)
	file := configure(t, up.BaseURL(), onPostgres(t, address))
	here, there, dump := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "dump")
	one, two := start(t, options(here, file)), start(t, options(there, file))
	key := one.key
	until(t, "the second replica knows the key", func() bool {
		return ask{base: two.data, key: key, text: "nonce-known"}.do(t.Context()).status == 200
	})
	say := func(i *instance, what string) {
		for n := range 5 {
			ask{base: i.data, key: key, text: fmt.Sprintf("nonce-%s%d", what, n)}.want(t, 200)
		}
		i.verified(t)
	}
	say(one, "one-before")
	say(two, "two-before")
	origin := one.auditLog.Origin()
	postgresTool(t, "pg_dump", "-Fc", "-f", dump, address)
	say(one, "one-after")
	say(two, "two-after")
	for _, i := range []*instance{one, two} {
		if err := i.stop(); err != nil {
			t.Fatal(err)
		}
	}
	postgresTool(t, "pg_restore", "--clean", "--if-exists", "-d", address, dump)

	two = start(t, options(there, file))
	if err := two.projector.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	one = start(t, options(here, file))
	if err := one.projector.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, i := range map[string]*instance{"one": one, "two": two} {
		until(t, name+" notices", func() bool { return errors.Is(i.projector.Trouble(), auditlog.ErrRolledBack) })
		if c := auditCheck(t, i); c.OK || !strings.Contains(c.Detail, "restored from an older backup") || !strings.Contains(c.Fix, "sallyport log reopen") {
			t.Errorf("the doctor of %s says %+v", name, c)
		}
		if logged := i.logs.String(); !strings.Contains(logged, "does not hold what was signed") {
			t.Errorf("%s does not log it: %s", name, logged)
		}
		if r, err := i.verify(t.Context(), nil); err != nil || r.OK() {
			t.Errorf("log verify of %s: %+v, %v", name, r, err)
		}
	}

	reopened, err := one.reopen(t.Context(), "local", "restored from a dump")
	if err != nil {
		t.Fatal(err)
	}
	if c := auditCheck(t, one); !c.OK || reopened.Origin == origin {
		t.Errorf("reopened as %+v: %+v", reopened, c)
	}
	until(t, "the second replica follows", func() bool {
		two.projector.SignAgain()
		return two.projector.Flush(t.Context()) == nil
	})
	for n, i := range []*instance{one, two, one} {
		ask{base: i.data, key: key, text: fmt.Sprintf("nonce-again%d", n)}.want(t, 200)
		if err := i.projector.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		r, err := i.verify(t.Context(), nil)
		if err != nil || len(r.Findings) != 1 || r.Findings[0].Code != auditlog.CodeReopened || r.Origin != reopened.Origin {
			t.Errorf("log verify: %+v, %v", r, err)
		}
	}
	if states := judge(t, one.App, up); states["complete"] < 23 || states["lost"] != 0 {
		t.Errorf("rows by state: %v", states)
	}
}
