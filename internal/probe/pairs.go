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
// its CRC-32C (4 bytes, big-endian). A frame is a sequence of uvarints: time, dropped,
// the number of strata and the strata, the number of vectors (the suspect's first), and
// of each vector the number of components, and of each component the distance of its
// index from the one before and its value as the bits of a float32.

// maxFrame bounds one frame, and maxKeptPairs how many a file holds: a stream that has
// more begins afresh after a restart.
const (
	maxFrame     = 1 << 20
	maxKeptPairs = 50_000
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
	dropped := uint64(0)
	if o.Dropped {
		dropped = 1
	}
	b = binary.AppendUvarint(b, dropped)
	b = binary.AppendUvarint(b, uint64(len(o.Strata)))
	for _, s := range o.Strata {
		b = binary.AppendUvarint(b, uint64(s))
	}
	vectors := [][]stat.Feature{}
	if !o.Dropped {
		vectors = append([][]stat.Feature{o.Suspect}, o.Trusted...)
	}
	b = binary.AppendUvarint(b, uint64(len(vectors)))
	for _, v := range vectors {
		b = binary.AppendUvarint(b, uint64(len(v)))
		last := 0
		for _, f := range v {
			b = binary.AppendUvarint(b, uint64(f.Index-last))
			b = binary.AppendUvarint(b, uint64(math.Float32bits(float32(f.Value))))
			last = f.Index
		}
	}
	dst = binary.AppendUvarint(dst, uint64(len(b)))
	dst = append(dst, b...)
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(b, crcTable))
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

// parseFrame reads one frame.
func parseFrame(b []byte) (*Observed, error) {
	r := bytes.NewReader(b)
	broken := false
	next := func() uint64 {
		n, err := binary.ReadUvarint(r)
		if err != nil {
			broken = true
		}
		return n
	}
	count := func() int {
		n := next()
		if n > uint64(r.Len()) {
			broken = true
			return 0
		}
		return int(n)
	}
	o := &Observed{At: int64(next()), Dropped: next() == 1}
	for range count() {
		o.Strata = append(o.Strata, int(next()))
	}
	for i := range count() {
		var v []stat.Feature
		index := 0
		for range count() {
			index += int(next())
			v = append(v, stat.Feature{Index: index, Value: float64(math.Float32frombits(uint32(next())))})
		}
		if i == 0 {
			o.Suspect = v
		} else {
			o.Trusted = append(o.Trusted, v)
		}
	}
	if broken || r.Len() > 0 {
		return nil, errTorn
	}
	for _, s := range o.Strata {
		if s < 0 || s >= numStrata {
			return nil, errTorn
		}
	}
	return o, nil
}

// pairFile is the file of one stream.
type pairFile struct {
	file *os.File
	kept int
}

// openPairs opens a stream's file, hands over what it holds and cuts off what a crash
// left unfinished.
func openPairs(path string, each func(*Observed) error) (*pairFile, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the observations: %w", err)
	}
	p := &pairFile{file: file}
	whole, err := readFrames(file, func(o *Observed) error { p.kept++; return each(o) })
	if errors.Is(err, errTorn) {
		err = file.Truncate(whole)
	}
	if err == nil {
		_, err = file.Seek(whole, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read the observations: %w", err), file.Close())
	}
	return p, nil
}

// add keeps one more observation; false when the file is full.
func (p *pairFile) add(o *Observed) (bool, error) {
	if p.kept >= maxKeptPairs {
		return false, nil
	}
	p.kept++
	_, err := p.file.Write(appendFrame(nil, o))
	return true, err
}

// restart forgets everything.
func (p *pairFile) restart() error {
	p.kept = 0
	if err := p.file.Truncate(0); err != nil {
		return fmt.Errorf("forget the observations: %w", err)
	}
	_, err := p.file.Seek(0, io.SeekStart)
	return err
}
