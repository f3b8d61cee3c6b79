package probe

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"testing"

	"sallyport/internal/upstreamtest"
	"sallyport/internal/verdict"
)

// copier is a model that copies, and gets each letter wrong with a probability.
func copier(noise float64) func(question) spoken {
	return func(q question) spoken {
		h := fnv.New64a()
		fmt.Fprint(h, q.last)
		r := rand.New(rand.NewPCG(h.Sum64(), 1))
		write := func(text string) string {
			b := []byte(text)
			for i := range b {
				if b[i] != '\n' && r.Float64() < noise {
					b[i] = 'a' + byte(r.IntN(26))
				}
			}
			return string(b)
		}
		if q.tool != "" {
			_, rest, _ := strings.Cut(q.last, "\ncmd: ")
			cmd, note, _ := strings.Cut(rest, "\nnonce: ")
			b, _ := json.Marshal(map[string]string{"nonce": write(note), "cmd": write(cmd)})
			return spoken{call: string(b)}
		}
		_, rest, found := strings.Cut(q.last, "-----BEGIN-----\n")
		if !found {
			return spoken{text: "Hello."}
		}
		block, _, _ := strings.Cut(rest, "\n-----END-----")
		return spoken{text: "Here you are:\n```\n" + write(block) + "\n```"}
	}
}

func TestTamperHonest(t *testing.T) {
	for _, noise := range []float64{0, .0005, .01} {
		url := startModel(t, copier(noise))
		for seed := range map[bool]int{true: 20, false: 200}[noise == .01] {
			r := auditOnly(t, "D8", Vet.Budgets["D8"], url, seed)
			foundNothing(t, r)
			if noise == .01 && r.State != verdict.Inconclusive {
				t.Errorf("a model that does not copy: %s", r.State)
			}
		}
	}
	oracle := startServer(t, upstreamtest.Config{Oracle: &upstreamtest.Oracle{}})
	digests := startServer(t, upstreamtest.Config{})
	for _, url := range []string{oracle, digests} {
		foundNothing(t, auditOnly(t, "D8", Vet.Budgets["D8"], url, 1))
	}
}

func TestTamperFound(t *testing.T) {
	replace := func(from, to string) func(string) string {
		return func(s string) string { return strings.ReplaceAll(s, from, to) }
	}
	agent := func(c *upstreamtest.RelayConfig) { c.Tamper.AgentsOnly = true }
	for name, test := range map[string]struct {
		rewrite func(string) string
		change  func(*upstreamtest.RelayConfig)
		noise   float64
		words   []string
	}{
		"package":            {replace("requests==", "reqeusts=="), nil, 0, []string{`pip install requests==2.31.0`, `reqeusts==2.31.0`, "as text"}},
		"white space":        {replace("requests==", "req uests=="), nil, 0, []string{`req uests==2.31.0`}},
		"beside some noise":  {replace("verify=True", "verify=False"), nil, .0005, []string{"verify=False"}},
		"wallet":             {wallet, nil, 0, []string{"0x00000000000000000000000000000000deadbeef"}},
		"half of the time":   {replace("https://sh.rustup.rs", "https://sh.rustup.rs.example"), func(c *upstreamtest.RelayConfig) { c.Tamper.Share = .7 }, 0, []string{"rustup.rs.example"}},
		"in tool calls only": {everything, agent, 0, []string{"in the arguments of a tool call"}},
		"usual":              {nil, nil, 0, []string{"times alike"}},
	} {
		t.Run(name, func(t *testing.T) {
			backend := startModel(t, copier(test.noise))
			url := startRelay(t, "R15:1", backend, func(c *upstreamtest.RelayConfig) {
				c.Tamper.After, c.Tamper.Rewrite = 0, test.rewrite
				if test.change != nil {
					test.change(c)
				}
			})
			foundIntegrity(t, auditOnly(t, "D8", Vet.Budgets["D8"], url, 3), test.words...)
		})
	}
}

// TestTamperSeldom: a relay that rewrites one answer in ten is found when the budget
// allows to see three of them, and nothing else is.
func TestTamperSeldom(t *testing.T) {
	backend := startModel(t, copier(0))
	for share, least := range map[float64]int{.1: 9, 0: 0} {
		found := 0
		for seed := range 10 {
			url := startRelay(t, "R15:1", backend, func(c *upstreamtest.RelayConfig) {
				c.Tamper.After, c.Tamper.Share, c.Seed = 0, share, uint64(seed)
			})
			if r := auditOnly(t, "D8", 90, url, seed); len(r.Findings) > 0 {
				found++
			} else if r.Queries != 90 {
				t.Errorf("share %v: gave up after %d questions", share, r.Queries)
			}
		}
		if found < least || least == 0 && found > 0 {
			t.Errorf("share %v: found in %d of 10", share, found)
		}
	}
}

// TestTamperLabels: no two lines of a question have one label.
func TestTamperLabels(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	c := copying{dress: dresses[0], lures: r.Perm(len(lures))}
	for range 500 {
		_, lines := c.write(r)
		seen := map[string]bool{}
		for _, l := range lines {
			if seen[l.label] || seen[l.mark] || l.label == l.mark {
				t.Fatalf("%q or %q stands twice", l.label, l.mark)
			}
			seen[l.label], seen[l.mark] = true, true
		}
	}
}

// wallet puts its own wallet in the place of each.
func wallet(text string) string {
	for {
		before, after, found := strings.Cut(text, "0x")
		if !found || len(after) < 40 || strings.HasPrefix(after, "0000") {
			return text
		}
		text = before + "0x00000000000000000000000000000000deadbeef" + after[40:]
	}
}

// everything changes each known word that commands are made of.
func everything(text string) string {
	return strings.NewReplacer("install", "instal1", "cargo", "carg0", "docker", "d0cker", "https:", "http:", "ping", "p1ng", "go get", "go g3t",
		"sha256", "sha1", "bc1q", "bc1p", "0x", "0y", "echo", "ech0", "requests", "reqvests").Replace(text)
}

func TestTamperFailures(t *testing.T) {
	url := startRelay(t, "R15:1", startModel(t, copier(0)), func(c *upstreamtest.RelayConfig) {
		c.Tamper.After = 0
		c.Failures = []upstreamtest.Failure{{From: 2, To: 14, Status: 400}}
	})
	if r := auditOnly(t, "D8", Vet.Budgets["D8"], url, 1); r.State != verdict.Inconclusive {
		t.Errorf("%s: %s, %v", r.State, r.Reason, r.Findings)
	}
}

func TestTamperHostile(t *testing.T) {
	for _, text := range []string{"", "\x1b[2J\u202e", strings.Repeat("L23456: ", 10000), "{\"cmd\":1,\"cmd\":[]}"} {
		url := startModel(t, func(q question) spoken {
			if q.tool != "" {
				return spoken{call: `{"cmd":"a","cmd":"b","nonce":{}}`}
			}
			return spoken{text: q.last[:min(len(q.last), 200)] + text}
		})
		if r := auditOnly(t, "D8", Vet.Budgets["D8"], url, 1); len(r.Findings) > 0 {
			t.Errorf("%v", r.Findings)
		}
	}
}

func TestChanged(t *testing.T) {
	for _, test := range []struct {
		want, got string
		changed   bool
	}{
		{"pip install requests==2.31.0", "pip  install requests==2.31.0.", false},
		{"pip install requests==2.31.0", "PIP install Requests==2.31.0", false},
		{"pip install requests==2.31.0", "pip install req uests==2.31.0", true},
		{"pip install requests==2.31.0", "pip install reqeusts==2.31.0", true},
		{"pip install requests==2.31.0", "pip install requests==2.31.0 evil", true},
		{"pip install requests==2.31.0", "pip install requ\u200bests==2.31.0", true},
		{"pip install requests==2.31.0", "", true},
	} {
		if changed(test.want, test.got) != test.changed {
			t.Errorf("%q and %q", test.want, test.got)
		}
	}
}
