package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sallyport/internal/llm"
	"sallyport/internal/price"
	"sallyport/internal/probe"
	"sallyport/internal/reference"
	"sallyport/internal/report"
	"sallyport/internal/secret"
	"sallyport/internal/upstreamtest"
	"sallyport/internal/verdict"
)

// browser is a Chromium without a window, driven by the DevTools protocol
// (chromedevtools.github.io/devtools-protocol) over a pipe: messages end with a zero byte.
type browser struct {
	t       *testing.T
	in      io.Writer
	out     *bufio.Reader
	session string
	id      int
	events  []devtools // that came while an answer was waited for
}

type devtools struct {
	ID        int             `json:"id,omitempty"`
	Method    string          `json:"method,omitempty"`
	Params    json.RawMessage `json:"params,omitempty"`
	SessionID string          `json:"sessionId,omitempty"`
	Result    json.RawMessage `json:"result,omitempty"`
	Error     json.RawMessage `json:"error,omitempty"`
}

// startBrowser starts Chromium with one empty page. Without one the test is skipped, but
// under CI=true it fails.
func startBrowser(t *testing.T) *browser {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil && path == "" {
			path = found
		}
	}
	if path == "" {
		const why = "Chromium is needed; on Debian: apt-get install chromium"
		if os.Getenv("CI") == "true" {
			t.Fatal(why)
		}
		t.Skip("not run: " + why)
	}
	toBrowser, in, err := os.Pipe()
	out, fromBrowser, err2 := os.Pipe()
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	args := []string{"--headless", "--remote-debugging-pipe", "--user-data-dir=" + t.TempDir(), "--no-first-run", "--disable-gpu", "--disable-dev-shm-usage", "about:blank"}
	if os.Getuid() == 0 {
		args = append([]string{"--no-sandbox"}, args...) // it does not start as root otherwise
	}
	cmd := exec.Command(path, args...)
	cmd.ExtraFiles = []*os.File{toBrowser, fromBrowser} // file descriptors 3 and 4
	var stderr bytes.Buffer
	cmd.Stderr, cmd.WaitDelay = &stderr, 5*time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = toBrowser.Close(), fromBrowser.Close()
	late := time.AfterFunc(60*time.Second, func() { _ = cmd.Process.Kill() })
	b := &browser{t: t, in: in, out: bufio.NewReaderSize(out, 1<<20)}
	t.Cleanup(func() {
		late.Stop()
		b.session = ""
		_ = b.send("Browser.close", nil) // or it is killed
		_, _ = in.Close(), cmd.Process.Kill()
		_, _ = cmd.Wait(), out.Close()
		if t.Failed() {
			t.Logf("Chromium said: %.2000s", stderr.String())
		}
	})
	var target struct{ TargetID string }
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log", "Network", "Audits"} {
		b.call(domain+".enable", nil, nil)
	}
	return b
}

func (b *browser) send(method string, params any) error {
	b.id++
	message := map[string]any{"id": b.id, "method": method}
	if params != nil {
		message["params"] = params
	}
	if b.session != "" {
		message["sessionId"] = b.session
	}
	text, err := json.Marshal(message)
	if err != nil {
		return err
	}
	_, err = b.in.Write(append(text, 0))
	return err
}

// next reads one message.
func (b *browser) next() devtools {
	b.t.Helper()
	text, err := b.out.ReadBytes(0)
	if err != nil {
		b.t.Fatalf("Chromium is gone: %v", err)
	}
	var m devtools
	if err := json.Unmarshal(text[:len(text)-1], &m); err != nil {
		b.t.Fatal(err)
	}
	return m
}

// call asks Chromium something and reads its answer into result.
func (b *browser) call(method string, params, result any) {
	b.t.Helper()
	if err := b.send(method, params); err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
	for {
		m := b.next()
		if m.ID != b.id {
			b.events = append(b.events, m)
			continue
		}
		if m.Error != nil {
			b.t.Fatalf("%s: %s", method, m.Error)
		}
		if result != nil {
			if err := json.Unmarshal(m.Result, result); err != nil {
				b.t.Fatal(err)
			}
		}
		return
	}
}

// open shows a file and returns what the browser had to complain of: errors, broken
// rules of the page's policy, requests, dialogs.
func (b *browser) open(path string) []string {
	b.t.Helper()
	b.events = nil
	b.call("Page.navigate", map[string]any{"url": "file://" + path}, nil)
	loaded := func() bool {
		for _, e := range b.events {
			if e.Method == "Page.loadEventFired" {
				return true
			}
		}
		return false
	}
	for !loaded() {
		b.events = append(b.events, b.next())
	}
	b.eval("new Promise(r => requestAnimationFrame(() => setTimeout(() => r(''), 100)))") // what begins with the page has begun
	var complaints []string
	for _, e := range b.events {
		switch e.Method {
		case "Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded", "Page.javascriptDialogOpening", "Audits.issueAdded":
			complaints = append(complaints, fmt.Sprintf("%s %.300s", e.Method, e.Params))
		case "Network.requestWillBeSent":
			if !bytes.Contains(e.Params, []byte(`"url":"file://`+path+`"`)) {
				complaints = append(complaints, fmt.Sprintf("%s %.300s", e.Method, e.Params))
			}
		}
	}
	return complaints
}

// eval is what an expression comes to in the page, as text.
func (b *browser) eval(expression string) string {
	b.t.Helper()
	var r struct {
		Result struct{ Value any }
	}
	b.call("Runtime.evaluate", map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true}, &r)
	return fmt.Sprint(r.Result.Value)
}

// attacks are texts of an endpoint that would do something in a careless page: call
// the console, change the title, load from elsewhere.
var attacks = []string{
	`<script>document.title='taken';console.log('taken')</script>`, `<img src=http://127.0.0.1:9/x onerror="document.title='taken'">`, `"><svg/onload=document.title='taken'>`,
	`</title></style></svg><iframe src=javascript:parent.document.title='taken'></iframe>`, `<style>*{display:none}</style>`, `javascript:document.title='taken'`,
}

// auditedPage is the page of a real audit, whose endpoint answers with attacks.
func auditedPage(t *testing.T) (string, *verdict.Report) {
	t.Helper()
	answers := upstreamtest.Distribution{}
	for i, a := range attacks {
		answers[strings.ReplaceAll(a, " ", "\u00a0")] = 1 / float64(i*i+1) // one word each; the first is in every sample of ten
	}
	cells := map[bool]*upstreamtest.Oracle{}
	for _, hostile := range []bool{false, true} {
		cells[hostile] = &upstreamtest.Oracle{Seed: "one", Family: "claimed"}
	}
	cells[true].Cells = []upstreamtest.Cell{{Question: regexp.MustCompile(``), Answers: answers}}
	var ends []*probe.Endpoint
	for _, hostile := range []bool{false, true} {
		s, err := upstreamtest.Start(upstreamtest.Config{Oracle: cells[hostile], Key: "sk-audit", Behaviour: upstreamtest.Behaviour{Model: attacks[0]}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		end, err := probe.NewEndpoint(probe.EndpointConfig{URL: s.BaseURL(), Model: "gpt-4o-mini", Key: secret.New("sk-audit")})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(end.Close)
		ends = append(ends, end)
	}
	free := func(llm.Tokens) (price.Nano, bool) { return 0, true }
	ref, err := probe.Enrol(t.Context(), probe.Enrolment{
		Name: "test", Model: "gpt-4o-mini", Lifetime: time.Hour, Train: 20, Bank: 60, Parallel: 8, Price: free, Languages: []string{"en"},
		Variants: []probe.Source{{Subject: ends[0], Variant: reference.Variant{Name: attacks[1], Host: "127.0.0.1", Class: "local", Reason: attacks[2]}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	opened, err := reference.Seal(io.Discard, nil, ref)
	if err != nil {
		t.Fatal(err)
	}
	r, _, err := probe.Run(t.Context(), probe.Config{Subject: ends[1], Reference: opened, Profile: probe.Quick, Price: free, Beacon: ownBeacon, Camouflage: true})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "report.html")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(report.HTML(file, r), file.Close()); err != nil {
		t.Fatal(err)
	}
	return path, r
}

// TestReportInBrowser: a browser shows the page of a real audit whole and without a
// complaint, and what the endpoint wrote does nothing in it.
func TestReportInBrowser(t *testing.T) {
	b := startBrowser(t)
	careless := filepath.Join(t.TempDir(), "careless.html")
	page := `<!doctype html><meta http-equiv="Content-Security-Policy" content="default-src 'none'"><title>t</title>` + attacks[0] + attacks[1]
	if err := os.WriteFile(careless, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	if c := b.open(careless); len(c) == 0 {
		t.Fatal("a page that breaks its policy is shown without a complaint: this test would see nothing")
	}
	path, r := auditedPage(t)
	for _, c := range b.open(path) {
		t.Errorf("the browser complains: %s", c)
	}
	if !r.Headline.Finding() {
		t.Errorf("the headline is %q", r.Headline)
	}
	const visible = `(e => !!e && e.checkVisibility() && e.getBoundingClientRect().height > 5 && e.getBoundingClientRect().width > 20)`
	for what, expression := range map[string]string{
		"the headline is seen": visible + fmt.Sprintf(`([...document.querySelectorAll('h1,h2,p,strong,span,div')].find(e => e.children.length === 0 && e.textContent.toLowerCase().includes(%q)))`, strings.ToLower(string(r.Headline))),
		"charts are seen":      `[...document.querySelectorAll('svg')].filter(` + visible + `).length >= 3`,
		"charts have ink":      `[...document.querySelectorAll('svg')].every(s => s.querySelector('path,rect,line,circle,polyline'))`,
		"the style is used":    `getComputedStyle(document.body).fontFamily !== 'Times New Roman' && document.styleSheets.length === 1`,
		"nothing is taken":     `document.title !== 'taken'`,
		"no foreign element":   `document.querySelectorAll('script,img,iframe,object,embed,link[rel=stylesheet]').length === 0`,
		"no handler":           `[...document.querySelectorAll('*')].every(e => [...e.attributes].every(a => !a.name.startsWith('on')))`,
		"no script link":       `[...document.querySelectorAll('[href]')].every(e => !e.getAttribute('href').trim().toLowerCase().startsWith('javascript'))`,
		"the attacks are text": `document.body.textContent.includes("<svg/onload=document.title='taken'>") && document.body.textContent.includes("script>document.title='taken'")`,
		"it fits its width":    `document.documentElement.scrollWidth <= innerWidth`,
	} {
		if got := b.eval(expression); got != "true" {
			t.Errorf("%s: %s", what, got)
		}
	}
}
