package auth

import (
	"fmt"
	"net/http"
	"testing"

	"sallyport/internal/identity"
	"sallyport/internal/secret"
)

// fill writes n keys in one sealed change and returns their tokens.
func fill(t testing.TB, a rig, n int) []secret.String {
	t.Helper()
	tokens := make([]secret.String, n)
	err := a.transact(t.Context(), a.acts.record, func(e *edit) (Act, error) {
		for i := range tokens {
			tokens[i] = newToken(prefixKey)
			c := &credential{principal: identity.Principal{
				Kind: identity.Key, Key: identity.NewKeyID(), Name: fmt.Sprint("key ", i), Project: identity.ProjectID(fmt.Sprint("p", i%500)),
				Models: []identity.Model{"fast", "smart"},
			}, created: e.now}
			e.issue(c, tokens[i].Reveal(), 90*day)
			e.put(c)
		}
		return Act{Act: "fill"}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

const manyKeys = 100_000

func BenchmarkRequest(b *testing.B) {
	a := newAuth(b, onSQLite(b).store, testMaster(b))
	tokens := fill(b, a, manyKeys)
	header := http.Header{"Authorization": {"Bearer " + tokens[0].Reveal()}}
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := a.Request(header, nil, here); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("spread", func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			if _, err := a.Authenticate(Credential{String: tokens[i%len(tokens)]}, here); err != nil {
				b.Fatal(err)
			}
			i += 7919
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i += 7919 {
				if _, err := a.Authenticate(Credential{String: tokens[i%len(tokens)]}, here); err != nil {
					b.Error(err)
				}
			}
		})
	})
	b.Run("unknown", func(b *testing.B) {
		h := http.Header{"X-Api-Key": {newToken(prefixKey).Reveal()}}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := a.Request(h, nil, here); err == nil {
				b.Fatal("accepted")
			}
		}
	})
	b.Run("hashing alone", func(b *testing.B) {
		r, token := a.snapshot.Load().active, tokens[0].Reveal()
		b.ReportAllocs()
		for b.Loop() {
			r.lookup.sumDigest(digest(token))
		}
	})
	b.Run("slot", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			release, _ := a.Acquire("key_a", 8)
			release()
		}
	})
	b.Run("sweep", func(b *testing.B) {
		for b.Loop() {
			if err := a.check(b.Context(), true); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("poll", func(b *testing.B) {
		for b.Loop() {
			if err := a.check(b.Context(), false); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("new key", func(b *testing.B) {
		for b.Loop() {
			a.newKey(b, "p")
		}
	})
	b.Run("follow one change", func(b *testing.B) {
		other := newAuth(b, a.store, testMaster(b))
		for b.Loop() {
			b.StopTimer()
			a.newKey(b, "p")
			b.StartTimer()
			if err := other.check(b.Context(), false); err != nil {
				b.Fatal(err)
			}
		}
	})
}
