package main

import (
	"bytes"
	"encoding/json"
	"testing"
)

func BenchmarkBody(b *testing.B) {
	for b.Loop() {
		body("m", 1<<20, true, "x")
	}
}

func TestBody(t *testing.T) {
	for _, s := range scenarios() {
		b, at := body("bench", s.bytes, s.stream, s.control())
		if len(b) != s.bytes {
			t.Errorf("%s has %d bytes, want %d", s.name, len(b), s.bytes)
		}
		var v struct {
			Messages []struct{ Role, Content string }
		}
		if err := json.Unmarshal(b, &v); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		if want := s.bytes / 2200; len(v.Messages) < want {
			t.Errorf("%s has %d messages, want %d or more", s.name, len(v.Messages), want)
		}
		before := bytes.Clone(b)
		setNonce(b, at, 123456789)
		if string(b[at:at+nonceLen]) != "000000000021i3v9" || bytes.Equal(before, b) || !json.Valid(b) {
			t.Errorf("%s: the nonce is %q", s.name, b[at:at+nonceLen])
		}
		if got := nonceForm.FindSubmatch(b); got == nil || string(got[1]) != "000000000021i3v9" {
			t.Errorf("%s: the mock finds nonce %q", s.name, got)
		}
	}
}
