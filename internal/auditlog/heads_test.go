package auditlog

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"sallyport/internal/record"
	"sallyport/internal/store"
)

// TestHeadsCompaction writes more heads than the file may hold: it stays bounded,
// keeps the first and last of each day and the newest, and can be read on.
func TestHeadsCompaction(t *testing.T) {
	path := filepath.Join(t.TempDir(), "heads")
	skey, vkey, err := note.GenerateKey(nil, "log")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	h, last, err := openHeads(path, v)
	if err != nil || last.N != 0 {
		t.Fatal(last, err)
	}
	const perDay, days = 150, 12
	h.slack = 400
	sign := func(n int64) string {
		signed, err := note.Sign(&note.Note{Text: checkpointText("log", tlog.Tree{N: n})}, signer)
		if err != nil {
			t.Fatal(err)
		}
		return string(signed)
	}
	for n := range int64(perDay * days) {
		text := "note"
		if n == perDay*days-1 {
			text = sign(n)
		}
		if err := h.add(&record.Head{TS: n / perDay * dayMicros, Origin: "log", Size: n, Note: text}); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.close(); err != nil {
		t.Fatal(err)
	}
	all, err := readHeads(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) > 400+headsRecent+2*days || len(all) == perDay*days {
		t.Errorf("%d lines", len(all))
	}
	has := map[int64]bool{}
	for _, m := range all {
		has[m.head.Size] = true
	}
	for day := range int64(days) {
		for _, n := range []int64{day * perDay, day*perDay + perDay - 1} {
			if !has[n] {
				t.Errorf("head %d of day %d is gone", n, day)
			}
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
	if _, last, err = openHeads(path, v); err != nil || last.N != perDay*days-1 {
		t.Errorf("the last head is %d, %v", last.N, err)
	}
}

func TestKeepHeadsKeepsWhatItCannotRead(t *testing.T) {
	lines := [][]byte{[]byte("nonsense\n")}
	for n := range int64(2 * headsRecent) {
		lines = append(lines, append((&record.Head{TS: 5, Size: n + 1}).Append(nil), '\n'))
	}
	kept := keepHeads(lines)
	if !bytes.Equal(kept[0], lines[0]) || len(kept) > headsRecent+3 {
		t.Errorf("%d lines, first %q", len(kept), kept[0])
	}
}

// TestEdge compares the incremental edge with tlog's own arithmetic.
func TestEdge(t *testing.T) {
	var e edge
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, idx := range indexes {
			out[i] = stored[idx]
		}
		return out, nil
	})
	for n := range int64(300) {
		want, err := tlog.TreeHash(n, reader)
		if err != nil || e.root() != want {
			t.Fatalf("size %d: another root (%v)", n, err)
		}
		data := fmt.Append(nil, n)
		hashes, err := tlog.StoredHashes(n, data, reader)
		if err != nil {
			t.Fatal(err)
		}
		var out []store.Hash
		out = e.add(tlog.RecordHash(data), out)
		if len(out) != len(hashes) {
			t.Fatalf("leaf %d stores %d hashes, want %d", n, len(out), len(hashes))
		}
		for i := range out {
			if tlog.Hash(out[i]) != hashes[i] {
				t.Fatalf("leaf %d, hash %d differs", n, i)
			}
		}
		stored = append(stored, hashes...)
	}
}
