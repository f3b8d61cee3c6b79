package tokens

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// golden is what the libraries that define the formats make of texts (testdata/make.py).
func golden(t *testing.T) (g struct {
	Texts []string
	IDs   map[string][][]uint32
},
) {
	t.Helper()
	b, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// TestOpen compares the tokens of each text with those of tokenizers and sentencepiece.
func TestOpen(t *testing.T) {
	g := golden(t)
	if len(g.IDs) < 12 || len(g.Texts) < 40 {
		t.Fatalf("%d vocabularies, %d texts", len(g.IDs), len(g.Texts))
	}
	for name, want := range g.IDs {
		v, err := Open(filepath.Join("testdata", name))
		if err != nil {
			t.Error(err)
			continue
		}
		if !strings.HasPrefix(v.Name, name+"@") || !strings.HasPrefix(v.SHA256, v.Name[len(name)+1:]) {
			t.Errorf("%s has the name %s and the hash %s", name, v.Name, v.SHA256)
		}
		for i, text := range g.Texts {
			got, err := v.encoder().(*pipeline).encode(text)
			if err != nil || !slices.Equal(got, want[i]) {
				t.Errorf("%s: %q is %v, %v, want %v", name, text, got, err, want[i])
			}
			if n, err := v.Count(text); err != nil || n != int64(len(want[i])) {
				t.Errorf("%s: %q has %d tokens, %v, want %d", name, text, n, err, len(want[i]))
			}
		}
	}
}

// TestTokensOfFiles checks that tokens stand for what they were made of, by the
// vocabularies that change nothing of a text.
func TestTokensOfFiles(t *testing.T) {
	g := golden(t)
	for _, name := range []string{"gemma.json", "defined.model", "defined.gguf", "llama3.gguf"} {
		v, err := Open(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		for i, text := range g.Texts {
			parts, err := v.Split(text)
			if joined := strings.Join(parts, ""); err != nil || len(parts) != len(g.IDs[name][i]) || joined != strings.ReplaceAll(text, space, " ") && joined != text {
				t.Errorf("%s splits %q into %q, %v", name, text, parts, err)
			}
			for j, id := range g.IDs[name][i] {
				if one, err := v.Text(uint(id)); err != nil || one != parts[j] {
					t.Errorf("%s: token %d is %q, %v, want %q", name, id, one, err, parts[j])
				}
			}
		}
		if text, err := v.Text(1 << 40); err == nil {
			t.Errorf("%s: an id beyond the vocabulary stands for %q", name, text)
		}
	}
}

// TestConcurrentUse counts in several goroutines at once, the first time as well.
func TestConcurrentUse(t *testing.T) {
	g := golden(t)
	for _, name := range []string{"older.json", "metaspace.json", "defined.model", "llama3.gguf"} {
		v, err := Open(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for i, text := range g.Texts {
					if parts, err := v.Split(text); err != nil || len(parts) != len(g.IDs[name][i]) {
						t.Errorf("%s: %q has %d tokens, %v", name, text, len(parts), err)
					}
				}
			})
		}
		wg.Wait()
	}
}

// TestOpenRefuses demands an error that says why.
func TestOpenRefuses(t *testing.T) {
	model := `{"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]`
	for file, want := range map[string]string{
		"":             "no tokenizer.json",
		"\x00\x01\x02": "no tokenizer.json",
		"  \n":         "no tokenizer.json",
		"{":            "unexpected end",
		`{"model":{"type":"Unigram","vocab":[["a",0]]}}`: `"Unigram" is not supported`,
		`{"model":{"type":"WordPiece","vocab":{"a":0}}}`: `"WordPiece" is not supported`,
		`{}`:                       `type "" is not supported`,
		`{"model":{"type":"BPE"}}`: "vocab",
		`{"model":{"type":"BPE","vocab":{"a":-1}}}`:                                                 "vocab",
		`{"model":{"type":"BPE","vocab":{"a":0,"b":1},"merges":["a b"]}}`:                           `merge 0, of "a" and "b"`,
		`{"model":{"type":"BPE","vocab":{"a":0,"b":1},"merges":["a b c"]}}`:                         "not two tokens",
		`{"model":{"type":"BPE","vocab":{"a":0},"end_of_word_suffix":"</w>"}}`:                      "end of words",
		`{"model":{"type":"BPE","vocab":{"a":0},"unk_token":"<unk>"}}`:                              `"<unk>"`,
		model + `},"normalizer":{"type":"Strip"}}`:                                                  `"Strip" is not supported`,
		model + `},"pre_tokenizer":{"type":"BertPreTokenizer"}}`:                                    `"BertPreTokenizer" is not supported`,
		model + `},"pre_tokenizer":{"type":"Split","pattern":{"Regex":"("},"behavior":"Isolated"}}`: "the pattern",
		model + `},"added_tokens":[{"id":3,"content":"x","single_word":true}]}`:                     "whole word",
		model + `},"added_tokens":[{"id":3,"content":"` + strings.Repeat("x", maxToken+1) + `"}]}`:  "more than 512 bytes",
		"GGUF":                                  "damaged",
		"GGUF\x03\x00\x00\x00":                  "damaged",
		"GGUF\x09" + strings.Repeat("\x00", 19): "damaged",
		"GGUF\x03" + strings.Repeat("\x00", 19): `model "" is not supported`,
	} {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		v, err := Open(path)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: %v, %v, want %q", file, v, err, want)
		}
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that does not exist: %v", err)
	}
}

// endless is a file that never ends.
type endless struct{ head []byte }

func (e *endless) Read(b []byte) (int, error) {
	n := copy(b, e.head)
	e.head = e.head[n:]
	for i := n; i < len(b); i++ {
		b[i] = ' '
	}
	return len(b), nil
}

// TestOpenIsBounded reads files that promise more than there may be.
func TestOpenIsBounded(t *testing.T) {
	if _, _, err := read(&endless{}); err == nil || !strings.Contains(err.Error(), "64 MiB") {
		t.Errorf("a file without an end: %v", err)
	}
	key := func(kind, element byte, count string) []byte {
		head := []byte("GGUF\x03\x00\x00\x00" + strings.Repeat("\x00", 8) + "\x01" + strings.Repeat("\x00", 7))
		head = append(head, 4, 0, 0, 0, 0, 0, 0, 0, 'n', 'a', 'm', 'e', kind, 0, 0, 0)
		if kind == 9 {
			head = append(head, element, 0, 0, 0)
		}
		return append(head, count...)
	}
	huge := strings.Repeat("\xff", 8)
	for _, head := range [][]byte{key(8, 0, huge), key(9, 8, huge), key(9, 0, huge), key(9, 9, huge), key(9, 10, huge), key(77, 0, ""), key(9, 10, "\x00\x00\x00\x03\x00\x00\x00\x00")} {
		if _, _, err := read(&endless{head}); err == nil {
			t.Errorf("%q is a vocabulary", head)
		}
	}
}

// TestPatternsEnd gives a pattern that goes back for ever a text to do it with.
func TestPatternsEnd(t *testing.T) {
	c, err := splitBy(`(a+)+b`, isolated, false)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if _, err := c([]string{strings.Repeat("a", 100)}, true); err == nil || time.Since(start) > 30*matchTime {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}

// TestTimeIsLinear encodes texts of one long word, whose every character may merge.
func TestTimeIsLinear(t *testing.T) {
	for _, name := range []string{"qwen.json", "gemma.json", "llama2.model"} {
		v, err := Open(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		took := func(n int) time.Duration {
			text := strings.Repeat("aword-", n/6)
			best := time.Hour
			for range 3 {
				start := time.Now()
				if _, err := v.Count(text); err != nil {
					t.Fatal(err)
				}
				best = min(best, time.Since(start))
			}
			return best
		}
		if small, large := took(1<<13), took(1<<17); large > 16*8*small {
			t.Errorf("%s: %v for 8 KiB and %v for 128 KiB", name, small, large)
		}
	}
}

// ggufOf writes a GGUF file with texts, lists of texts, types and scores.
func ggufOf(keys ...any) []byte {
	out := []byte(ggufMagic + "\x03\x00\x00\x00" + strings.Repeat("\x00", 8))
	number := func(n int) { out = binary.LittleEndian.AppendUint64(out, uint64(n)) }
	kind := func(t ggufType) { out = binary.LittleEndian.AppendUint32(out, uint32(t)) }
	text := func(s string) { number(len(s)); out = append(out, s...) }
	number(len(keys) / 2)
	for pair := range slices.Chunk(keys, 2) {
		text(pair[0].(string))
		switch v := pair[1].(type) {
		case string:
			kind(ggufString)
			text(v)
		case []string:
			kind(ggufArray)
			kind(ggufString)
			number(len(v))
			for _, s := range v {
				text(s)
			}
		case []int32:
			kind(ggufArray)
			kind(ggufInt32)
			number(len(v))
			out, _ = binary.Append(out, binary.LittleEndian, v)
		case []float32:
			kind(ggufArray)
			kind(ggufFloat32)
			number(len(v))
			out, _ = binary.Append(out, binary.LittleEndian, v)
		}
	}
	return out
}

// FuzzRead looks for files that end in a panic, when they are read or used. Its seeds
// are small, so that it gets on.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		`{"added_tokens":[{"id":4,"content":"x","lstrip":true,"normalized":true}],"normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]},"model":{"type":"BPE","unk_token":"a","vocab":{"a":0,"b":1,"ab":2,"▁":3},"merges":["a b"]}}`,
		`{"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"\\p{N}{1,3}|\\s+(?!\\S)"},"behavior":"Isolated"},{"type":"Digits"},{"type":"ByteLevel"}]},"model":{"type":"BPE","ignore_merges":true,"vocab":{"a":0,"b":1,"ab":2,"Ġ":3},"merges":[["a","b"]]}}`,
		`{"pre_tokenizer":{"type":"Metaspace","replacement":"▁","prepend_scheme":"first"},"model":{"type":"BPE","byte_fallback":true,"vocab":{"▁":0},"merges":[]}}`,
		"\x0a\x0a\x0a\x01a\x15\x00\x00\x80?\x18\x01\x0a\x05\x0a\x01b\x18\x01\x0a\x06\x0a\x02ab\x18\x01\x0a\x06\x0a\x02b \x18\x04\x12\x02\x18\x02\x1a\x02 \x00",
		string(ggufOf("tokenizer.ggml.model", "gpt2", "tokenizer.ggml.pre", "qwen2", "tokenizer.ggml.tokens", []string{"a", "b", "ab", "x"}, "tokenizer.ggml.token_type", []int32{1, 1, 1, 4}, "tokenizer.ggml.merges", []string{"a b"})),
		string(ggufOf("tokenizer.ggml.model", "llama", "tokenizer.ggml.tokens", []string{"a", "b", "ab", " "}, "tokenizer.ggml.token_type", []int32{1, 1, 1, 4}, "tokenizer.ggml.scores", []float32{0, -1, -2, 0})),
	} {
		if _, _, err := read(strings.NewReader(seed)); err != nil {
			f.Fatalf("%q: %v", seed, err)
		}
		f.Add([]byte(seed), "ab x 12 \n\n ▁é \xff👍🏽")
	}
	f.Fuzz(func(t *testing.T, file []byte, text string) {
		p, _, err := read(bytes.NewReader(file))
		if err != nil {
			return
		}
		n, err := p.Count(text)
		if err != nil {
			return
		}
		if ids, parts, err := p.Encode(text); err != nil || len(ids) != n || len(parts) != n {
			t.Fatalf("%d tokens are %v, %q, %v", n, ids, parts, err)
		}
	})
}
