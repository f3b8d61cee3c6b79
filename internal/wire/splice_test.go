package wire

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
)

func TestSplice(t *testing.T) {
	body := []byte("0123456789")
	for _, c := range []struct {
		name  string
		edits []Edit
		want  string // "" when it must be refused
	}{
		{"nothing", nil, "0123456789"},
		{"replace", []Edit{{Span{2, 4}, []byte("ab-")}}, "01ab-456789"},
		{"insert", []Edit{{Span{0, 0}, []byte("<")}, {Span{10, 10}, []byte(">")}}, "<0123456789>"},
		{"delete", []Edit{{Span{0, 9}, nil}}, "9"},
		{"all", []Edit{{Span{0, 10}, []byte("x")}}, "x"},
		{"neighbours", []Edit{{Span{1, 2}, []byte("a")}, {Span{2, 3}, []byte("b")}}, "0ab3456789"},
		{"twice at one place", []Edit{{Span{5, 5}, []byte("a")}, {Span{5, 5}, []byte("b")}, {Span{5, 6}, []byte("c")}}, "01234abc6789"},
		{"not sorted", []Edit{{Span{5, 6}, nil}, {Span{1, 2}, nil}}, ""},
		{"overlap", []Edit{{Span{1, 4}, nil}, {Span{3, 5}, nil}}, ""},
		{"insertion within", []Edit{{Span{1, 4}, nil}, {Span{2, 2}, nil}}, ""},
		{"turned round", []Edit{{Span{4, 2}, nil}}, ""},
		{"beyond", []Edit{{Span{9, 11}, nil}}, ""},
		{"before", []Edit{{Span{-1, 0}, nil}}, ""},
	} {
		s, err := Splice(body, c.edits)
		if c.want == "" {
			if err == nil || VerifyCommit(body, c.edits, Commit(sha256.Sum256(body), c.edits)) {
				t.Errorf("%s: accepted", c.name)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := string(s.Append([]byte("!"))); got != "!"+c.want || s.Len() != int64(len(c.want)) {
			t.Errorf("%s: %q of %d bytes, want %q", c.name, got, s.Len(), c.want)
		}
		if err := iotest.TestReader(s.Reader(), []byte(c.want)); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		var out bytes.Buffer
		n, err := io.Copy(&out, s.Reader())
		if err != nil || n != s.Len() || out.String() != c.want {
			t.Errorf("%s: WriteTo gave %q, %d, %v", c.name, out.String(), n, err)
		}
	}
}

func TestSplicedReaderCloses(t *testing.T) {
	s, err := Splice([]byte("body"), nil)
	if err != nil {
		t.Fatal(err)
	}
	r := s.Reader()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := r.Read(make([]byte, 4)); n != 0 || err == nil || err == io.EOF {
		t.Errorf("a closed reader gave %d bytes, %v", n, err)
	}
	if _, err := io.Copy(io.Discard, r); err == nil {
		t.Error("a closed reader was copied")
	}
	again, err := io.ReadAll(s.Reader())
	if err != nil || string(again) != "body" {
		t.Errorf("a fresh reader gave %q, %v", again, err)
	}
}

// TestSplicedReaderRaces reuses the body as soon as Close has returned; the race
// detector is the judge.
func TestSplicedReaderRaces(t *testing.T) {
	body := bytes.Repeat([]byte("x"), 1<<16)
	for range 50 {
		s, err := Splice(body, []Edit{{Span{5, 6}, []byte("y")}})
		if err != nil {
			t.Fatal(err)
		}
		r := s.Reader()
		var wg sync.WaitGroup
		wg.Go(func() {
			_, _ = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{r}, make([]byte, 512))
		})
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		body[0]++
		wg.Wait()
	}
}

func TestCommit(t *testing.T) {
	body := []byte(`{"model":"fast","stream":true}`)
	sum := sha256.Sum256(body)
	if Commit(sum, nil) != sum {
		t.Error("without edits the commitment is the hash itself")
	}
	edits := []Edit{{Span{1, 1}, []byte(`"x":1,`)}, {Span{9, 15}, []byte(`"gpt-5-mini"`)}}
	commit := Commit(sum, edits)
	// Made by another program from the documented text.
	const golden = "5a3c3e7b262f8e5dc21f974715b1b0b0faf2edea3f81a94f0c418b8d869d7f12"
	if got := hex.EncodeToString(commit[:]); got != golden {
		t.Errorf("commitment %s, want %s", got, golden)
	}
	if !VerifyCommit(body, edits, commit) || !VerifyCommit(body, nil, sum) {
		t.Error("a true commitment was rejected")
	}
	for i := range body {
		flipped := slices.Clone(body)
		flipped[i] ^= 1
		if VerifyCommit(flipped, edits, commit) {
			t.Errorf("byte %d of the body may change", i)
		}
	}
	for i := range commit {
		flipped := commit
		flipped[i] ^= 0x80
		if VerifyCommit(body, edits, flipped) {
			t.Errorf("byte %d of the commitment may change", i)
		}
	}
	for name, other := range map[string][]Edit{
		"no edits":       nil,
		"one missing":    edits[:1],
		"other text":     {edits[0], {Span{9, 15}, []byte(`"gpt-5-mini" `)}},
		"other place":    {{Span{0, 1}, edits[0].With}, edits[1]},
		"other end":      {edits[0], {Span{9, 16}, edits[1].With}},
		"one more":       append(edits[:2:2], Edit{Span{20, 20}, nil}),
		"moved boundary": {{Span{1, 1}, []byte(`"x":1`)}, edits[1]},
	} {
		if VerifyCommit(body, other, commit) {
			t.Errorf("%s: verified", name)
		}
	}
}

// inverse returns the edits that turn the edited body back into the original.
func inverse(body []byte, edits []Edit) []Edit {
	var back []Edit
	shift := 0
	for _, e := range edits {
		back = append(back, Edit{Span{e.Start + shift, e.Start + shift + len(e.With)}, body[e.Start:e.End]})
		shift += len(e.With) - (e.End - e.Start)
	}
	return back
}

func FuzzSplice(f *testing.F) {
	f.Add([]byte("0123456789"), []byte{1, 2, 3, 0, 4, 0}, "abc")
	f.Add([]byte(""), []byte{0, 0, 0}, "x")
	f.Fuzz(func(t *testing.T, body, plan []byte, with string) {
		var edits []Edit
		var want strings.Builder
		at := 0
		for ; len(plan) >= 3; plan = plan[3:] {
			start := min(at+int(plan[0]), len(body))
			end := min(start+int(plan[1]), len(body))
			text := with[:min(int(plan[2]), len(with))]
			edits = append(edits, Edit{Span{start, end}, []byte(text)})
			want.Write(body[at:start])
			want.WriteString(text)
			at = end
		}
		want.Write(body[at:])
		s, err := Splice(body, edits)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(s.Reader())
		if err != nil || string(got) != want.String() || s.Len() != int64(len(got)) {
			t.Fatalf("%q of %d bytes, want %q: %v", got, s.Len(), want.String(), err)
		}
		back, err := Splice(got, inverse(body, edits))
		if err != nil {
			t.Fatal(err)
		}
		if again := back.Append(nil); !bytes.Equal(again, body) {
			t.Fatalf("%q came back as %q", body, again)
		}
		if !VerifyCommit(body, edits, Commit(sha256.Sum256(body), edits)) {
			t.Fatal("a true commitment was rejected")
		}
	})
}
