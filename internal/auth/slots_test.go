package auth

import (
	"sync"
	"sync/atomic"
	"testing"
)

func TestSlots(t *testing.T) {
	s := newSlots()
	if release, ok := s.acquire("k", 0); !ok {
		t.Fatal("no limit, and refused")
	} else {
		release()
	}
	r1, ok1 := s.acquire("k", 2)
	_, ok2 := s.acquire("k", 2)
	if _, ok := s.acquire("k", 2); !ok1 || !ok2 || ok {
		t.Fatal(ok1, ok2, ok)
	}
	if _, ok := s.acquire("other", 2); !ok {
		t.Error("another key was refused")
	}
	r1()
	r1() // counts once
	if _, ok := s.acquire("k", 2); !ok {
		t.Error("a released slot was not free")
	}
	if _, ok := s.acquire("k", 2); ok {
		t.Error("a double release freed two slots")
	}
	s.limit("k", 3)
	if _, ok := s.acquire("k", 2); !ok {
		t.Error("the key's own limit does not count")
	}
	s.limit("k", 0)
	if _, ok := s.acquire("k", 2); ok {
		t.Error("the key's own limit was not taken back")
	}
}

func TestSlotsUnderLoad(t *testing.T) {
	s := newSlots()
	var running, most atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 2000 {
				release, ok := s.acquire("k", 5)
				if !ok {
					continue
				}
				n := running.Add(1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				running.Add(-1)
				release()
			}
		})
	}
	wg.Wait()
	if most.Load() > 5 {
		t.Errorf("%d at once", most.Load())
	}
	if n := len(s.shard("k").taken); n != 0 {
		t.Errorf("%d keys still counted", n)
	}
}
