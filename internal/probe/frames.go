package probe

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"

	"sallyport/internal/stat"
)

// What a watch observed is kept in a file of frames, so that a restart goes on where
// it was and a verdict can be recomputed: the length of a frame (uvarint), the frame,
// its CRC-32C (4 bytes, big-endian). A frame is a sequence of uvarints, strings being
// their length and their bytes: time, kind, dropped, and unless it was dropped
//
//   - of a pair the strata, their number first, then the vectors (the suspect's first),
//     their number first, and of each the number of components, and of each component the
//     distance of its index from the one before and its value as the bits of a float32,
//     then whether each is strange, their number first;
//   - of a word the cell and the words, their number first;
//   - of an item the grades, their number first;
//   - of a bill the tokens reported and counted;
//   - of a beginning afresh the samples used by cell, the month's observations by kind, and
//     what a condemned target must show, the number of each first.

// maxFrame bounds one frame, and maxFrames all that a file holds, in bytes: a stream that
// has more begins afresh.
const (
	maxFrame  = 1 << 20
	maxFrames = 256 << 20
)

var crcTable = crc32.MakeTable(crc32.Castagnoli)

// round brings values to the precision of the file, before anything is learnt from
// them: what is read back gives the same conclusions.
func (o *Observed) round() {
	for _, v := range append([][]stat.Feature{o.Suspect}, o.Trusted...) {
		for i := range v {
			v[i].Value = float64(float32(v[i].Value))
		}
	}
}

// appendFrame appends an observation as a frame.
func appendFrame(dst []byte, o *Observed) []byte {
	b := binary.AppendUvarint(nil, uint64(o.At))
	b = appendNumbers(b, int(o.Kind), flagged(o.Dropped))
	if !o.Dropped {
		switch o.Kind {
		case Pair:
			b = appendPair(b, o)
		case Word:
			b = appendNumbers(b, o.Cell, len(o.Words))
			for _, w := range o.Words {
				b = append(appendNumbers(b, len(w)), w...)
			}
		case Item:
			b = appendFlags(b, o.Solved)
		case Bill:
			b = appendNumbers(b, o.Reported, o.Counted)
		case Afresh:
			for _, numbers := range [][]int{o.Drawn, o.Spent, o.Trial} {
				b = appendNumbers(appendNumbers(b, len(numbers)), numbers...)
			}
		}
	}
	dst = binary.AppendUvarint(dst, uint64(len(b)))
	dst = append(dst, b...)
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(b, crcTable))
}

func appendNumbers(b []byte, numbers ...int) []byte {
	for _, n := range numbers {
		b = binary.AppendUvarint(b, uint64(n))
	}
	return b
}

func appendPair(b []byte, o *Observed) []byte {
	b = appendNumbers(appendNumbers(b, len(o.Strata)), o.Strata...)
	vectors := append([][]stat.Feature{o.Suspect}, o.Trusted...)
	b = appendNumbers(b, len(vectors))
	for _, v := range vectors {
		b = appendNumbers(b, len(v))
		last := 0
		for _, f := range v {
			b = appendNumbers(b, f.Index-last, int(math.Float32bits(float32(f.Value))))
			last = f.Index
		}
	}
	return appendFlags(b, o.Strange)
}

func appendFlags(b []byte, flags []bool) []byte {
	b = appendNumbers(b, len(flags))
	for _, f := range flags {
		b = appendNumbers(b, flagged(f))
	}
	return b
}

func flagged(b bool) int {
	if b {
		return 1
	}
	return 0
}

// errTorn says that a file of frames ends in the middle of one, or holds a byte that
// was not written.
var errTorn = errors.New("a frame of observations is broken")

// readFrames reads frames until the end, and returns the offset behind the last whole
// one. The error wraps errTorn when what follows is no frame.
func readFrames(r io.Reader, each func(*Observed) error) (whole int64, err error) {
	in := bufio.NewReader(r)
	for {
		size, err := binary.ReadUvarint(in)
		if err == io.EOF {
			return whole, nil
		}
		if err != nil || size > maxFrame {
			return whole, errTorn
		}
		b := make([]byte, size+4)
		if _, err := io.ReadFull(in, b); err != nil {
			return whole, errTorn
		}
		body := b[:size]
		if crc32.Checksum(body, crcTable) != binary.BigEndian.Uint32(b[size:]) {
			return whole, errTorn
		}
		o, err := parseFrame(body)
		if err != nil {
			return whole, err
		}
		if err := each(o); err != nil {
			return whole, err
		}
		whole += int64(len(binary.AppendUvarint(nil, size))) + int64(size) + 4
	}
}

// frame is one that is read.
type frame struct {
	*bytes.Reader
	broken bool
}

func (f *frame) next() uint64 {
	n, err := binary.ReadUvarint(f.Reader)
	if err != nil {
		f.broken = true
	}
	return n
}

// number is one that is no larger than 2^31.
func (f *frame) number() int {
	n := f.next()
	if n > math.MaxInt32 {
		f.broken = true
		return 0
	}
	return int(n)
}

// count is how many of something follow, of which each takes a byte at least.
func (f *frame) count() int {
	n := f.next()
	if f.broken || n > uint64(f.Len()) {
		f.broken = true
		return 0
	}
	return int(n)
}

func (f *frame) numbers() (all []int) {
	for range f.count() {
		all = append(all, f.number())
	}
	return all
}

func (f *frame) flags() (all []bool) {
	for range f.count() {
		n := f.number()
		f.broken = f.broken || n > 1
		all = append(all, n == 1)
	}
	return all
}

// parseFrame reads one frame.
func parseFrame(b []byte) (*Observed, error) {
	f := &frame{Reader: bytes.NewReader(b)}
	o := &Observed{At: int64(f.next()), Kind: Kind(f.number())}
	dropped := f.number()
	o.Dropped = dropped == 1
	if o.Kind >= numKinds || dropped > 1 {
		return nil, errTorn
	}
	if !o.Dropped {
		f.read(o)
	}
	if f.broken || f.Len() > 0 {
		return nil, errTorn
	}
	return o, nil
}

// read reads what the kind of an observation has.
func (f *frame) read(o *Observed) {
	switch o.Kind {
	case Pair:
		f.pair(o)
	case Word:
		o.Cell = f.number()
		for range f.count() {
			word := make([]byte, f.count())
			_, _ = f.Read(word) // as many are left
			o.Words = append(o.Words, string(word))
		}
	case Item:
		o.Solved = f.flags()
	case Bill:
		o.Reported, o.Counted = f.number(), f.number()
	case Afresh:
		o.Drawn, o.Spent, o.Trial = f.numbers(), f.numbers(), f.numbers()
	}
}

func (f *frame) pair(o *Observed) {
	o.Strata = f.numbers()
	for _, s := range o.Strata {
		f.broken = f.broken || s >= numStrata
	}
	for i := range f.count() {
		var v []stat.Feature
		index := 0
		for range f.count() {
			index += f.number()
			bits := f.next()
			f.broken = f.broken || bits > math.MaxUint32 || index > math.MaxInt32
			v = append(v, stat.Feature{Index: index, Value: float64(math.Float32frombits(uint32(bits)))})
		}
		if i == 0 {
			o.Suspect = v
		} else {
			o.Trusted = append(o.Trusted, v)
		}
	}
	o.Strange = f.flags()
}

// frameFile is the file of one stream.
type frameFile struct {
	file *os.File
	size int64
}

// openFrames opens a stream's file, hands over what it holds and cuts off what a crash
// left unfinished.
func openFrames(path string, each func(*Observed) error) (*frameFile, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the observations: %w", err)
	}
	whole, err := readFrames(file, each)
	if errors.Is(err, errTorn) {
		err = file.Truncate(whole)
	}
	if err == nil {
		_, err = file.Seek(whole, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read the observations: %w", err), file.Close())
	}
	return &frameFile{file, whole}, nil
}

// add keeps one more observation.
func (f *frameFile) add(o *Observed) error {
	b := appendFrame(nil, o)
	f.size += int64(len(b))
	_, err := f.file.Write(b)
	return err
}

// full reports whether a file holds all that it may.
func (f *frameFile) full() bool { return f.size >= maxFrames }

// restart forgets everything but how much of the stored reference was used.
func (f *frameFile) restart(o *Observed) error {
	if err := f.file.Truncate(0); err != nil {
		return fmt.Errorf("forget the observations: %w", err)
	}
	if _, err := f.file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("forget the observations: %w", err)
	}
	f.size = 0
	return f.add(o)
}
