package tokens

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
)

// Bounds on a file that a vocabulary is read from. The largest of common models have
// 262,144 tokens, 600,000 merges and 35 MB.
const (
	maxFile   = 64 << 20 // of GGUF, of what stands before the weights
	maxTokens = 1 << 20
	maxMerges = 1 << 21
	maxToken  = 512 // bytes of a token that is looked for in a text or cut in two
)

var (
	errNotKnown = errors.New("it is no tokenizer.json, tokenizer.model or GGUF file")
	errTooMany  = fmt.Errorf("it has more than %d tokens or %d merges", maxTokens, maxMerges)
	errTooLong  = fmt.Errorf("it has a token of more than %d bytes", maxToken)
)

// Open reads the vocabulary in a file: a tokenizer.json (Hugging Face), a
// tokenizer.model (sentencepiece), or a GGUF file, of which only the beginning is read.
// Byte-pair encodings are known, of whole texts, of bytes, and with bytes for unknown
// characters; others are errors that say so. The name is that of the file with the
// beginning of its SHA-256; of GGUF the hash is over what stands before the weights.
func Open(path string) (*Vocabulary, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	p, sum, err := read(file)
	if err != nil {
		return nil, fmt.Errorf("read the vocabulary in %s: %w", path, err)
	}
	v := &Vocabulary{SHA256: hex.EncodeToString(sum), encoder: func() encoder { return p }}
	v.Name = filepath.Base(path) + "@" + v.SHA256[:12]
	return v, nil
}

// read reads a vocabulary, of whichever kind, and the hash of what it read.
func read(from io.Reader) (*pipeline, []byte, error) {
	hash := sha256.New()
	in := bufio.NewReader(from)
	head, _ := in.Peek(len(ggufMagic))
	r := io.TeeReader(in, hash)
	if string(head) == ggufMagic {
		p, err := readGGUF(io.LimitReader(r, maxFile))
		return p, hash.Sum(nil), err
	}
	whole, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	switch {
	case err != nil:
		return nil, nil, err
	case len(whole) > maxFile:
		return nil, nil, fmt.Errorf("it has more than %d MiB", maxFile>>20)
	}
	parse := parseModel
	if bytes.HasPrefix(bytes.TrimLeft(whole, " \t\r\n"), []byte("{")) {
		parse = parseJSON
	}
	p, err := parse(whole)
	return p, hash.Sum(nil), err
}

// Count returns how many tokens a text has.
func (p *pipeline) Count(text string) (int, error) {
	ids, err := p.encode(text)
	return len(ids), err
}

// Encode returns the tokens of a text and what they stand for.
func (p *pipeline) Encode(text string) ([]uint, []string, error) {
	found, err := p.encode(text)
	if err != nil {
		return nil, nil, err
	}
	ids, parts := make([]uint, len(found)), make([]string, len(found))
	for i, id := range found {
		ids[i], parts[i] = uint(id), p.text(id)
	}
	return ids, parts, nil
}

// Decode returns the text that tokens stand for.
func (p *pipeline) Decode(ids []uint) (string, error) {
	var text strings.Builder
	for _, id := range ids {
		one := p.text(uint32(min(id, math.MaxUint32)))
		if one == "" {
			return "", fmt.Errorf("invalid token: %d", id)
		}
		text.WriteString(one)
	}
	return text.String(), nil
}

// text is what one token stands for; empty when there is none of the number.
func (p *pipeline) text(id uint32) string {
	p.reversed.Do(func() {
		p.written = make(map[uint32]string, len(p.bpe.ids))
		for text, id := range p.bpe.ids {
			p.written[id] = text
		}
	})
	if text, is := p.added[id]; is {
		return text
	}
	return p.token(p.written[id])
}
