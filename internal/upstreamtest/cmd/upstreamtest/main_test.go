package main

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/upstreamtest"
)

// TestRun: the command prints its address, serves what its flags say, and stops
// when standard input ends.
func TestRun(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	stdin, closeStdin := io.Pipe()
	out, stdout := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run([]string{"-key", "k", "-models", "a, b", "-log", log, "-behaviour", "status=503", "-stdin"}, stdin, stdout, io.Discard)
	}()
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.TrimSpace(url)+"/v1/models/b", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer k")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("status %d", resp.StatusCode)
	}
	http.DefaultClient.CloseIdleConnections()
	closeStdin.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile(log); err != nil || bytes.Count(b, []byte("\n")) != 1 {
		t.Errorf("log %q, %v", b, err)
	}
}

// TestRunRelay: with a preset it is a relay, here one that serves another model than it
// claims.
func TestRunRelay(t *testing.T) {
	cheap, err := upstreamtest.Start(upstreamtest.Config{Models: []upstreamtest.Model{{ID: "modest"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer cheap.Close()
	stdin, closeStdin := io.Pipe()
	out, stdout := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run([]string{"-relay", "R1", "-backend", "http://127.0.0.1:1/v1", "-cheap", cheap.BaseURL(), "-cheap-model", "modest", "-stdin"}, stdin, stdout, io.Discard)
	}()
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(strings.TrimSpace(url)+"/v1/chat/completions", "application/json", strings.NewReader(`{"model":"grand","messages":[{"role":"user","content":"hello"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || !bytes.Contains(body, []byte(`"grand"`)) || cheap.Journal().Len() != 1 {
		t.Errorf("the cheap backend got %d requests, the client %s, %v", cheap.Journal().Len(), body, err)
	}
	http.DefaultClient.CloseIdleConnections()
	closeStdin.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestRunRefuses(t *testing.T) {
	for _, args := range [][]string{{"-behaviour", "nonsense=1"}, {"-vendor", "acme"}, {"-listen", "0.0.0.0:0"}, {"-unknown"}, {"-relay", "R1"}, {"-relay", "R99", "-backend", "http://127.0.0.1:1"}} {
		if err := run(args, strings.NewReader(""), io.Discard, io.Discard); err == nil {
			t.Errorf("%q was accepted", args)
		}
	}
}
