package auditlog

import (
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// TestStatement: a statement of a reopening is what both keys signed, to the byte.
func TestStatement(t *testing.T) {
	key := func(name string) (note.Signer, string) {
		skey, vkey, err := note.GenerateKey(nil, name)
		if err != nil {
			t.Fatal(err)
		}
		signer, err := note.NewSigner(skey)
		if err != nil {
			t.Fatal(err)
		}
		return signer, vkey
	}
	old, oldKey := key("sallyport/old")
	own, newKey := key("sallyport/new")
	r := reopening{oldKey: oldKey, newKey: newKey, signed: tlog.Tree{N: 9, Hash: tlog.Hash{1}}, kept: 4, begin: tlog.Tree{N: 7, Hash: tlog.Hash{2}}}
	sign := func(text string, signers ...note.Signer) string {
		signed, err := note.Sign(&note.Note{Text: text}, signers...)
		if err != nil {
			t.Fatal(err)
		}
		return string(signed)
	}
	signed := sign(r.text(), old, own)
	if got, err := openReopening(signed); err != nil || got != r {
		t.Fatalf("%+v, %v", got, err)
	}
	for i := range signed {
		flipped := []byte(signed)
		flipped[i] ^= 1
		if _, err := openReopening(string(flipped)); err == nil {
			t.Errorf("byte %d (%q) is not covered", i, signed[i])
		}
	}
	for name, bad := range map[string]string{
		"nothing": "", "unsigned": r.text(), "no old key": sign(r.text(), own), "no new key": sign(r.text(), old), "the other order": sign(r.text(), own, old),
		"spaces": sign(strings.Replace(r.text(), "kept ", "kept  ", 1), old, own), "zeros": sign(strings.Replace(r.text(), "kept ", "kept 0", 1), old, own),
		"a longer text": sign(r.text()+"more\n", old, own), "a checkpoint": sign(checkpointText("sallyport/old", r.begin), old, own), "twice": signed + signed,
	} {
		if got, err := openReopening(bad); err == nil {
			t.Errorf("%s: accepted as %+v", name, got)
		}
	}
}
