package auth

import (
	"hash/maphash"
	"sync"

	"sallyport/internal/identity"
)

// slots counts how many exchanges each key has under way.
type slots struct {
	seed   maphash.Seed
	shards [64]slotShard
}

type slotShard struct {
	// mu guards the counts of running exchanges, which holds no zeros, and the
	// limits of keys that have their own.
	mu    sync.Mutex
	taken map[identity.KeyID]int64
	own   map[identity.KeyID]int64
}

func newSlots() *slots {
	s := &slots{seed: maphash.MakeSeed()}
	for i := range s.shards {
		s.shards[i].taken = map[identity.KeyID]int64{}
		s.shards[i].own = map[identity.KeyID]int64{}
	}
	return s
}

func (s *slots) shard(id identity.KeyID) *slotShard {
	return &s.shards[maphash.String(s.seed, string(id))%uint64(len(s.shards))]
}

// limit sets a key's own limit; 0 returns it to the usual one.
func (s *slots) limit(id identity.KeyID, n int64) {
	sh := s.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if n == 0 {
		delete(sh.own, id)
	} else {
		sh.own[id] = n
	}
}

// nothing is the release of a slot that was not counted.
func nothing() {}

// acquire takes a slot of the key, or reports false when all are taken: its own
// limit or else the usual one, where 0 is no limit. The release may be called
// more than once.
func (s *slots) acquire(id identity.KeyID, usual int64) (release func(), ok bool) {
	sh := s.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	limit, own := sh.own[id]
	if !own {
		limit = usual
	}
	if limit == 0 {
		return nothing, true
	}
	if sh.taken[id] >= limit {
		return nil, false
	}
	sh.taken[id]++
	released := false
	return func() {
		sh.mu.Lock()
		defer sh.mu.Unlock()
		if released {
			return
		}
		released = true
		if sh.taken[id]--; sh.taken[id] == 0 {
			delete(sh.taken, id)
		}
	}, true
}
