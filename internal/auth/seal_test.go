package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"math/rand/v2"
	"testing"
	"time"

	"sallyport/internal/identity"
	"sallyport/internal/secret"
)

func testRing(t testing.TB) *ring {
	t.Helper()
	m, err := ParseMaster(secret.New(base64Secret))
	if err != nil {
		t.Fatal(err)
	}
	r, ok := newRing(m, 1)
	if !ok {
		t.Fatal("no ring")
	}
	return r
}

func TestKeyedIsHMAC(t *testing.T) {
	var key Subkey
	key[3] = 9
	k := newKeyed(key)
	d := sha256.Sum256([]byte("x"))
	h := hmac.New(sha256.New, key[:])
	h.Write(d[:])
	want := mac(h.Sum(nil))
	for range 3 { // the state is reused
		if k.sumDigest(d) != want || k.sum(d[:]) != want {
			t.Fatal("not HMAC-SHA-256")
		}
	}
}

func TestTotalIsAGroup(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	number := func() (n total) {
		for i := range n {
			n[i] = r.Uint64() | -(r.Uint64() & 1) // often all ones, so that carries run
		}
		return n
	}
	for range 10000 {
		a, b, c := number(), number(), number()
		if a.plus(b).minus(b) != a || a.plus(b) != b.plus(a) || a.plus(b).plus(c) != a.plus(b.plus(c)) ||
			a.minus(a) != (total{}) || totalOf(a.mac()) != a {
			t.Fatal(a, b, c)
		}
	}
	if (total{}).minus(total{1}) != (total{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)}) {
		t.Error("borrow does not run through")
	}
}

// A seal made step by step opens to the sum of the rows, whatever their order,
// and to nothing else.
func TestSealFollowsRows(t *testing.T) {
	r := testRing(t)
	row := func(id string, epoch int64) *credential {
		c := &credential{principal: identity.Principal{Kind: identity.Key, Key: identity.KeyID(id)}}
		c.bind(r, epoch)
		return c
	}
	a1, b, a2 := row("a", 1), row("b", 2), row("a", 3)
	s := r.sealed(1, total{}.plus(a1.element))
	s = r.sealed(2, r.opened(s).plus(b.element))
	s = r.sealed(3, r.opened(s).minus(a1.element).plus(a2.element))
	if r.opened(s) != b.element.plus(a2.element) {
		t.Error("the seal is not that of the rows")
	}
	if r.opened(s) == b.element.plus(a1.element) {
		t.Error("the seal does not tell a row from its past")
	}
	again := r.sealed(3, r.opened(s))
	if again.Seal == s.Seal || again.Nonce == s.Nonce {
		t.Error("the seal of a sum repeats")
	}
	s.Epoch++
	if r.opened(s) == b.element.plus(a2.element) {
		t.Error("the seal does not cover the epoch")
	}
}

// Every field of a row is in what the binding covers.
func TestBindingCoversEveryField(t *testing.T) {
	r := testRing(t)
	base := func() *credential {
		c := &credential{
			principal: identity.Principal{
				Kind: identity.Key, Key: "key_a", Name: "n", Project: "p", Models: []identity.Model{"m", "o"}, Role: identity.RoleAuditor,
			},
			slots: 1, created: 2, issued: 3, expires: time.Now().UnixMicro() + 1e12, revoked: 0,
			lookup: versioned{1, mac{1}}, prior: versioned{1, mac{2}}, priorUntil: 5,
		}
		c.bind(r, 7)
		return c
	}
	if c := base(); c.damage != "" {
		t.Fatal(c.damage)
	} else if c.judge(r); c.damage != "" {
		t.Fatalf("an untouched row is %s", c.damage)
	}
	for name, edit := range map[string]func(*credential){
		"kind":           func(c *credential) { c.principal.Kind, c.principal.Admin = identity.Admin, "key_a" },
		"id":             func(c *credential) { c.principal.Key = "key_b" },
		"name":           func(c *credential) { c.principal.Name = "o" },
		"project":        func(c *credential) { c.principal.Project = "q" },
		"models":         func(c *credential) { c.principal.Models = nil },
		"models' border": func(c *credential) { c.principal.Models = []identity.Model{"mo", ""} },
		"role":           func(c *credential) { c.principal.Role = identity.RoleAdmin },
		"text's border":  func(c *credential) { c.principal.Project, c.principal.Name = "pn", "" },
		"slots":          func(c *credential) { c.slots = 0 },
		"created":        func(c *credential) { c.created++ },
		"issued":         func(c *credential) { c.issued++ },
		"expires":        func(c *credential) { c.expires++ },
		"revoked":        func(c *credential) { c.revoked++ },
		"lookup":         func(c *credential) { c.lookup.mac[31]++ },
		"lookup version": func(c *credential) { c.lookup.version++ },
		"prior":          func(c *credential) { c.prior.mac[0]++ },
		"prior version":  func(c *credential) { c.prior.version++ },
		"prior until":    func(c *credential) { c.priorUntil++ },
		"epoch":          func(c *credential) { c.epoch++ },
		"bound":          func(c *credential) { c.bound++ },
		"binding":        func(c *credential) { c.binding[0]++ },
	} {
		c := base()
		edit(c)
		if c.judge(r); c.damage != Edited {
			t.Errorf("%s was edited and not noticed", name)
		}
	}
}
