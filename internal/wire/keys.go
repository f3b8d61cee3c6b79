package wire

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
)

// Names are members to look for in an object, by their exact names.
// Names are immutable and safe for concurrent use.
type Names struct {
	list    []name
	guarded bool
}

type name struct {
	text []byte
	mark uint64
	fold uint64 // mark with every letter in lower case
}

// NewNames returns names to look for. The order of the arguments is the order of
// the spans that a scan fills in.
func NewNames(names ...string) *Names {
	n := &Names{}
	for _, text := range names {
		m := mark([]byte(text))
		n.list = append(n.list, name{[]byte(text), m, m | lowercase})
	}
	return n
}

// NewGuard is NewNames for names that a rule depends on: a key that equals one of
// them only under Unicode case folding is refused, because some parsers
// (encoding/json among them) would take it for the name.
func NewGuard(names ...string) *Names {
	n := NewNames(names...)
	n.guarded = true
	return n
}

// Len is how many names there are.
func (n *Names) Len() int {
	if n == nil {
		return 0
	}
	return len(n.list)
}

const lowercase = ones * 0x20

// match finds a key among the names: its slot or -1, or the name that it is a
// case variant of. foreign says that the key may hold bytes beyond ASCII, which
// can fold to ASCII letters: U+017F to s, U+212A to k.
func (n *Names) match(text []byte, m uint64, foreign bool) (slot int, variant string) {
	for i := range n.list {
		if e := &n.list[i]; e.mark == m && bytes.Equal(e.text, text) {
			return i, ""
		}
	}
	if !n.guarded {
		return -1, ""
	}
	for i := range n.list {
		e := &n.list[i]
		if (foreign || m|lowercase == e.fold && len(text) == len(e.text)) && bytes.EqualFold(text, e.text) {
			return -1, string(e.text)
		}
	}
	return -1, ""
}

// mark is the first eight bytes of a key, little endian, zero filled: equal keys
// have equal marks, and different keys nearly always differ in it or in length.
func mark(text []byte) uint64 {
	if len(text) >= 8 {
		return binary.LittleEndian.Uint64(text)
	}
	if len(text) >= 4 {
		return uint64(binary.LittleEndian.Uint32(text)) |
			uint64(binary.LittleEndian.Uint32(text[len(text)-4:]))<<(8*(len(text)-4))
	}
	var m uint64
	for i, c := range text {
		m |= uint64(c) << (8 * i)
	}
	return m
}

// key is one key of an object that is still open.
type key struct {
	mark uint64
	off  uint32 // into the body, or into room.decoded when inRoom is set
	n    uint32
}

const (
	inRoom = 1 << 31
	few    = 16 // keys that are compared one by one; beyond them a hash set is kept
)

// room is what the search for equal keys works in: the keys of every open
// object, innermost last.
type room struct {
	keys    []key
	decoded []byte // keys that had escapes
	sets    []set  // of the open objects with more than few keys, innermost last
	spare   [][]int32
}

// set is a hash set over the keys of one open object. The seed is random for each
// set, so that nobody can choose keys that collide.
type set struct {
	base  int
	seed  maphash.Seed
	slots []int32 // index of a key from base, plus one; a power of two, at most half full
}

// admit adds a key to the object whose keys begin at base.
func (r *room) admit(body []byte, base int, k key, text []byte) flaw {
	open := r.keys[base:]
	switch {
	case len(open) < few:
		for i := range open {
			if o := &open[i]; o.mark == k.mark && o.n == k.n && (k.n <= 8 || bytes.Equal(r.text(body, *o), text)) {
				return flawDuplicate
			}
		}
	case len(open) == MaxMembers:
		return flawMembers
	default:
		if !r.insert(body, base, text) {
			return flawDuplicate
		}
	}
	r.keys = append(r.keys, k)
	return sound
}

func (r *room) text(body []byte, k key) []byte {
	if k.off&inRoom != 0 {
		off := k.off &^ inRoom
		return r.decoded[off : off+k.n]
	}
	return body[k.off : k.off+k.n]
}

// insert adds a text, which will be the next of the keys from base, to the set of
// its object, making or growing the set as needed. It reports false when the text
// is there.
func (r *room) insert(body []byte, base int, text []byte) bool {
	n := len(r.keys) - base
	if len(r.sets) == 0 || r.sets[len(r.sets)-1].base != base {
		r.sets = append(r.sets, set{base, maphash.MakeSeed(), nil})
	}
	s := &r.sets[len(r.sets)-1]
	if len(s.slots) < 2*(n+1) {
		r.drop(s.slots)
		s.slots = r.take(4 * (n + 1))
		for i := range n {
			_, at := r.find(body, s, r.text(body, r.keys[base+i]))
			s.slots[at] = int32(i) + 1
		}
	}
	found, at := r.find(body, s, text)
	s.slots[at] = int32(n) + 1
	return !found
}

// find looks a text up: whether it is there, and its slot or the free one for it.
func (r *room) find(body []byte, s *set, text []byte) (found bool, at int) {
	last := uint64(len(s.slots) - 1)
	for h := maphash.Bytes(s.seed, text); ; h++ {
		at = int(h & last)
		i := s.slots[at]
		if i == 0 {
			return false, at
		}
		if bytes.Equal(r.text(body, r.keys[s.base+int(i)-1]), text) {
			return true, at
		}
	}
}

// take returns a cleared table with room for at least n slots.
func (r *room) take(n int) []int32 {
	size := 64
	for size < n {
		size *= 2
	}
	if last := len(r.spare) - 1; last >= 0 {
		t := r.spare[last]
		r.spare = r.spare[:last]
		if cap(t) >= size {
			t = t[:size]
			clear(t)
			return t
		}
	}
	return make([]int32, size)
}

// drop keeps a table for the next set, unless it is large.
func (r *room) drop(slots []int32) {
	if slots != nil && len(r.spare) < 4 && cap(slots) <= 1024 {
		r.spare = append(r.spare, slots)
	}
}

// close forgets the object whose keys begin at base, the innermost open one.
func (r *room) close(base int) {
	r.keys = r.keys[:base]
	if last := len(r.sets) - 1; last >= 0 && r.sets[last].base == base {
		r.drop(r.sets[last].slots)
		r.sets = r.sets[:last]
	}
}

// release gives the room back, unless an unusual body made it large.
func (r *room) release() {
	if cap(r.keys) > 4096 || cap(r.decoded) > 1<<16 {
		return
	}
	clear(r.sets)
	r.keys, r.decoded, r.sets = r.keys[:0], r.decoded[:0], r.sets[:0]
	rooms.Put(r)
}
