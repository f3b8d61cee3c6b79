package gateway_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"sallyport/internal/fault"
	"sallyport/internal/gateway"
	"sallyport/internal/identity"
	"sallyport/internal/llm"
	"sallyport/internal/upstreamtest"
	"sallyport/internal/wire"
)

var formType = http.Header{"Content-Type": {"multipart/form-data; boundary=" + testBoundary}}

// TestHostileForms: a form that two readers could understand differently is refused,
// and nothing of it is sent on.
func TestHostileForms(t *testing.T) {
	r := mediaRig(t, plan{})
	good := listen()("ear", "hello")
	swap := func(old, with string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("%q is not in the form", old)
		}
		return strings.Replace(good, old, with, 1)
	}
	model := "name=\"model\"\r\n\r\near"
	for name, c := range map[string]struct {
		body, pointer string
	}{
		"no model":           {swap(model, "name=\"other\"\r\n\r\near"), "/model"},
		"two models":         {formOf(part{"model", "", "ear"}, part{"file", "a", "x"}, part{"model", "", "whisper"}), "/model"},
		"another case":       {formOf(part{"model", "", "ear"}, part{"file", "a", "x"}, part{"MODEL", "", "whisper"}), "/model"},
		"a list":             {formOf(part{"model", "", "ear"}, part{"model[]", "", "whisper"}), "/model"},
		"a file":             {formOf(part{"model", "m.txt", "ear"}), "/model"},
		"empty model":        {formOf(part{"model", "", ""}), "/model"},
		"control characters": {formOf(part{"model", "", "ear\r\nx"}), "/model"},
		"long model":         {formOf(part{"model", "", strings.Repeat("x", 300)}), "/model"},
		"no UTF-8":           {formOf(part{"model", "", "\xffear"}), "/model"},
		"stream is a word":   {formOf(part{"model", "", "ear"}, part{"stream", "", "yes"}), "/stream"},
		"two streams":        {formOf(part{"model", "", "ear"}, part{"stream", "", "true"}, part{"stream", "", "false"}), "/stream"},
		"two formats":        {formOf(part{"model", "", "ear"}, part{"response_format", "", "text"}, part{"response_format", "", "json"}), "/response_format"},
		"preamble":           {"x\r\n" + good, ""},
		"epilogue":           {good + "x", ""},
		"cut":                {good[:len(good)-20], ""},
		"JSON":               {`{"model":"ear"}`, ""},
		"hidden delimiter":   {swap("\r\n\r\n\n--x--", "\n--"+testBoundary+"--\r\n"), ""},
		"nested":             {swap("application/octet-stream", "multipart/mixed; boundary=x"), ""},
		"long header":        {swap("application/octet-stream", "text/plain; x="+strings.Repeat("x", 9000)), ""},
	} {
		got := r.do(t, call{path: "/v1/audio/transcriptions", body: c.body, header: formType})
		formatNamed("chat").isFault(t, got, fault.BadRequest)
		if param := fmt.Sprintf(`"param":%q`, c.pointer); c.pointer != "" && !bytes.Contains(got.body, []byte(param)) {
			t.Errorf("%s: %s", name, got.body)
		}
		if t.Failed() {
			t.Fatal(name)
		}
	}
	for _, contentType := range [][]string{
		nil,
		{"application/json"},
		{"multipart/form-data"},
		{"multipart/mixed; boundary=" + testBoundary},
		{formType["Content-Type"][0], formType["Content-Type"][0]},
		{"multipart/form-data; boundary=a; boundary=" + testBoundary},
	} {
		c := call{path: "/v1/audio/transcriptions", body: good, header: http.Header{"Content-Type": contentType}}
		formatNamed("chat").isFault(t, r.do(t, c), fault.UnsupportedMedia)
	}
	formatNamed("chat").isFault(t, r.do(t, call{path: "/v1/audio/speech", body: good, header: formType}), fault.UnsupportedMedia)
	large := formOf(part{"model", "", "ear"}, part{"file", "a", strings.Repeat("x", 1<<20)})
	for _, chunked := range []bool{false, true} {
		formatNamed("chat").isFault(t, r.do(t, call{path: "/v1/audio/transcriptions", body: large, header: formType, chunked: chunked}), fault.TooLarge)
	}
	if n := r.ups[oa].Journal().Len(); n > 0 {
		t.Errorf("%d requests were sent on", n)
	}
}

// TestFormHeader: the content type of a form is rewritten with nothing but its
// boundary, and an encoded form is decoded.
func TestFormHeader(t *testing.T) {
	r := mediaRig(t, plan{})
	body := listen()("ear", "hello")
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	if _, err := io.WriteString(w, body); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	got := r.do(t, call{path: "/v1/audio/transcriptions", body: z.String(), header: http.Header{
		"Content-Type": {"Multipart/Form-Data; charset=UTF-8; x=y; boundary=\"" + testBoundary + "\""}, "Content-Encoding": {"gzip"},
	}})
	last := r.ups[oa].Journal().Requests()[0]
	if got.status != http.StatusOK || string(last.Body) != listen()("gpt-4o-transcribe", "hello") {
		t.Errorf("status %d: %s", got.status, got.body)
	}
	sameHeader(t, last.Header, http.Header{
		"Content-Type": {"multipart/form-data; boundary=" + testBoundary}, "Accept": {"application/json"}, "User-Agent": {"sallyport"},
		"X-Sallyport-Hop": {"instance0000"}, "Content-Length": {fmt.Sprint(len(last.Body))}, "Authorization": {"Bearer " + openAIKey},
	})
}

// upload streams a form with a file of n bytes, without holding it.
func upload(n int64, model string) (body io.Reader, length int64) {
	head := "--" + testBoundary + "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\n"
	tail := "\r\n" + formOf(part{"model", "", model})
	return io.MultiReader(strings.NewReader(head), io.LimitReader(new(pattern), n), strings.NewReader(tail)), int64(len(head)) + n + int64(len(tail))
}

// marker is what the uploaded file consists of.
const marker = "plain text of an upload. "

// pattern repeats the marker; it counts what was read.
type pattern int

func (at *pattern) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = marker[(int(*at)+i)%len(marker)]
	}
	*at += pattern(len(p))
	return len(p), nil
}

// TestSpool: a form too large for memory goes to the disk sealed, through to the
// upstream unchanged, again to the next one, and leaves nothing behind.
func TestSpool(t *testing.T) {
	const size = 20 << 20
	const second = identity.Upstream("oa2")
	var dir string
	r := mediaRig(t, plan{
		vendors: map[identity.Upstream]upstreamtest.Vendor{second: upstreamtest.OpenAI},
		snapshot: func(s *gateway.Snapshot) {
			s.Models["ear"] = append(s.Models["ear"], gateway.Target{Upstream: second, Model: "gpt-4o-transcribe"})
		},
		limits: func(l *gateway.Limits) { l.Body = 32 << 20 },
		config: func(c *gateway.Config) { dir = c.Spool },
	})
	for _, chunked := range []bool{false, true} {
		r.next(t, oa, "status=503 delay=10ms")
		body, length := upload(size, "ear")
		q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+"/v1/audio/transcriptions", body)
		if err != nil {
			t.Fatal(err)
		}
		if !chunked {
			q.ContentLength = length
		}
		q.Header.Set("Authorization", "Bearer "+r.key)
		q.Header.Set("Content-Type", formType.Get("Content-Type"))
		resp, err := r.client.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		got := read(resp)
		o := r.outcome(t, got)
		if got.status != http.StatusOK || o.State != string(llm.Complete) || len(o.Attempts) != 2 || o.InBytes != length {
			t.Fatalf("status %d %s: %+v", got.status, got.body, *o)
		}
		came, _ := upload(size, "ear")
		sent, sentLength := upload(size, "gpt-4o-transcribe")
		original, want := readWhole(t, came), readWhole(t, sent)
		for name, up := range map[identity.Upstream]*upstreamtest.Server{oa: r.ups[oa], second: r.ups[second]} {
			seen := up.Journal().Requests()
			if last := seen[len(seen)-1]; !bytes.Equal(last.Body, want) || last.Length != sentLength {
				t.Errorf("%s got %d bytes, announced %d, want %d", name, len(last.Body), last.Length, sentLength)
			}
		}
		commits(t, "request", o.Req, original, nil)
		at := bytes.LastIndex(original, []byte("\r\near\r\n")) + 2
		commits(t, "forwarded", o.Forwarded, original, []wire.Edit{{Span: wire.Span{Start: at, End: at + 3}, With: []byte("gpt-4o-transcribe")}})
		if left := openSpools(t, dir); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func readWhole(t *testing.T, r io.Reader) []byte {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// openSpools lists the descriptors of files in a folder that this process has open.
func openSpools(t *testing.T, dir string) (open []string) {
	t.Helper()
	const descriptors = "/proc/self/fd"
	entries, err := os.ReadDir(descriptors)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		path := filepath.Join(descriptors, e.Name())
		if target, err := os.Readlink(path); err == nil && strings.HasPrefix(target, dir+"/") {
			open = append(open, path)
		}
	}
	return open
}

// TestSpoolIsSealed looks at the disk and at the memory while an upload is under
// way. A client that leaves then, a form that turns out to be wrong and one that is
// too large leave nothing behind either.
func TestSpoolIsSealed(t *testing.T) {
	const size = 20 << 20
	var dir string
	r := mediaRig(t, plan{
		limits: func(l *gateway.Limits) { l.Body = 24 << 20 },
		config: func(c *gateway.Config) { dir = c.Spool },
	})
	from, to := io.Pipe()
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+"/v1/audio/transcriptions", from)
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+r.key)
	q.Header.Set("Content-Type", formType.Get("Content-Type"))
	gone := make(chan error)
	go func() {
		resp, err := r.client.Do(q)
		if err == nil {
			resp.Body.Close()
		}
		gone <- err
	}()
	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	body, _ := upload(size, "ear")
	if _, err := io.Copy(to, io.LimitReader(body, size)); err != nil {
		t.Fatal(err)
	}
	disk := waitSpool(t, dir, size-1<<20)
	if bytes.Contains(disk, []byte(marker)) || bytes.Contains(disk, []byte("form-data")) {
		t.Error("the disk holds plain text")
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) > 0 {
		t.Errorf("the spooled body has a name: %v, %v", names, err)
	}
	n := len(disk)
	disk = nil
	runtime.GC()
	var during runtime.MemStats
	runtime.ReadMemStats(&during)
	if grown := int64(during.HeapAlloc) - int64(before.HeapAlloc); n < size/2 || grown > 4<<20 {
		t.Errorf("%d bytes on the disk, the heap has grown by %d", n, grown)
	}
	to.CloseWithError(io.ErrUnexpectedEOF)
	if err := <-gone; err == nil {
		t.Error("the upload was answered")
	}
	waitSpool(t, dir, 0)
	for _, body := range []string{
		formOf(part{"file", "a", strings.Repeat("x", 10<<20)}),
		formOf(part{"file", "a", strings.Repeat("x", 10<<20)}, part{"model", "", "ear"}) + "x",
		formOf(part{"file", "a", strings.Repeat("x", 25<<20)}, part{"model", "", "ear"}),
		formOf(part{"file", "a", strings.Repeat("x", 10<<20)}, part{"model", "", "nowhere"}),
	} {
		if got := r.do(t, call{path: "/v1/audio/transcriptions", body: body, header: formType, chunked: true}); got.status < 400 || got.status > 413 {
			t.Errorf("status %d", got.status)
		}
		waitSpool(t, dir, 0)
	}
	if r.ups[oa].Journal().Len() > 0 {
		t.Error("a request was sent on")
	}
}

// TestSpoolIsChanged: what somebody wrote into a spooled body is not sent on.
func TestSpoolIsChanged(t *testing.T) {
	const second = identity.Upstream("oa2")
	var dir string
	r := mediaRig(t, plan{
		vendors: map[identity.Upstream]upstreamtest.Vendor{second: upstreamtest.OpenAI},
		snapshot: func(s *gateway.Snapshot) {
			s.Models["ear"] = append(s.Models["ear"], gateway.Target{Upstream: second, Model: "gpt-4o-transcribe"})
		},
		limits: func(l *gateway.Limits) { l.Body = 32 << 20 },
		config: func(c *gateway.Config) { dir = c.Spool },
	})
	r.next(t, oa, "status=503 delay=1s")
	changed := make(chan error, 1)
	go func() {
		_, err := r.ups[oa].Journal().Wait(t.Context(), 1)
		for _, path := range openSpools(t, dir) {
			f, openErr := os.OpenFile(path, os.O_WRONLY, 0)
			if err = openErr; err == nil {
				_, err = f.WriteAt([]byte{0}, 9<<20)
				f.Close()
			}
		}
		changed <- err
	}()
	body := formOf(part{"file", "a", strings.Repeat("x", 10<<20)}, part{"model", "", "ear"})
	got := r.do(t, call{path: "/v1/audio/transcriptions", body: body, header: formType})
	if err := <-changed; err != nil {
		t.Fatal(err)
	}
	formatNamed("chat").isFault(t, got, fault.UpstreamFailed)
	if o := r.outcome(t, got); len(o.Attempts) != 2 || o.State == string(llm.Complete) {
		t.Errorf("record %+v", *o)
	}
}

// waitSpool waits until the one spooled body has at least n bytes, or, for 0, until
// there is none, and returns what the disk holds of it.
func waitSpool(t *testing.T, dir string, n int64) []byte {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(timeout); time.Now().Before(end); <-tick.C {
		open := openSpools(t, dir)
		if n == 0 && len(open) == 0 {
			return nil
		}
		if n == 0 || len(open) != 1 {
			continue
		}
		if b, err := os.ReadFile(open[0]); err == nil && int64(len(b)) >= n {
			return b
		}
	}
	t.Fatalf("waited in vain for %d spooled bytes", n)
	return nil
}

// TestPrepareSpool: what an earlier process left is removed.
func TestPrepareSpool(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	for range 2 {
		if err := gateway.PrepareSpool(dir); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(dir)
		if left, readErr := os.ReadDir(dir); err != nil || readErr != nil || len(left) > 0 || info.Mode().Perm() != 0o700 {
			t.Fatalf("%v, %v: %v, %v", err, readErr, left, info)
		}
		if err := os.WriteFile(filepath.Join(dir, "body-1"), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSpoolUnwritable: a body that cannot be kept is refused, not held in memory.
func TestSpoolUnwritable(t *testing.T) {
	r := mediaRig(t, plan{
		limits: func(l *gateway.Limits) { l.Body = 32 << 20 },
		config: func(c *gateway.Config) { c.Spool = filepath.Join(c.Spool, "missing") },
	})
	body := formOf(part{"file", "a", strings.Repeat("x", 9<<20)}, part{"model", "", "ear"})
	formatNamed("chat").isFault(t, r.do(t, call{path: "/v1/audio/transcriptions", body: body, header: formType}), fault.Unavailable)
}

// TestSpoolIsBounded: what all bodies may take on the disk is refused beyond, and given
// back by each that ends, however it ends.
func TestSpoolIsBounded(t *testing.T) {
	r := mediaRig(t, plan{
		limits: func(l *gateway.Limits) { l.Body = 32 << 20 },
		config: func(c *gateway.Config) { c.SpoolBytes = 12 << 20 },
	})
	for i, size := range []int{11 << 20, 13 << 20, 11 << 20, 20 << 20, 11 << 20} {
		body := formOf(part{"file", "a", strings.Repeat("x", size)}, part{"model", "", "ear"})
		got := r.do(t, call{path: "/v1/audio/transcriptions", body: body, header: formType})
		if size < 12<<20 {
			if got.status != http.StatusOK {
				t.Errorf("body %d: status %d: %s", i, got.status, got.body)
			}
			continue
		}
		formatNamed("chat").isFault(t, got, fault.Unavailable)
	}
}
