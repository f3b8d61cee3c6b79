package gateway_test

import (
	"bytes"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"sallyport/internal/fault"
	"sallyport/internal/gateway"
	"sallyport/internal/llm"
	"sallyport/internal/record"
)

// kindOf selects formats.
type kindOf uint8

const (
	both kindOf = iota
	unary
	streams
)

func (k kindOf) has(f format) bool { return k == both || (k == streams) == f.stream }

// failure is a way in which an upstream fails before the first content.
type failure struct {
	knobs  string
	of     kindOf
	state  llm.Terminal
	kind   fault.Kind // of what the client is told
	status int64      // of the upstream, in the record
	free   bool       // certainly nothing was generated
	hasty  bool       // needs impatient limits
}

// failures are the ways that end in an error of Sallyport's own.
var failures = []failure{
	{"cut=0", both, llm.CutByUpstream, fault.UpstreamCut, 200, false, false},
	{"cut=0 how=reset", both, llm.CutByUpstream, fault.UpstreamCut, 200, false, false},
	{"cut=0 how=end", streams, llm.CutByUpstream, fault.UpstreamCut, 200, false, false},
	{"cut=0 how=end", unary, llm.Malformed, fault.UpstreamInvalid, 200, false, false},
	{"cut=12", unary, llm.CutByUpstream, fault.UpstreamCut, 200, false, false},
	{"cut=12 chunked=1", unary, llm.CutByUpstream, fault.UpstreamCut, 200, false, false},
	{"cut=12 how=end", unary, llm.Malformed, fault.UpstreamInvalid, 200, false, false},
	{"cut=1", streams, llm.CutByUpstream, fault.UpstreamCut, 200, false, false},
	{"stall=0", unary, llm.Stalled, fault.UpstreamTimeout, 200, false, true},
	{"stall=12", unary, llm.Stalled, fault.UpstreamTimeout, 200, false, true},
	{"stall=0", streams, llm.TimedOut, fault.UpstreamTimeout, 200, false, true},
	{"stall=1", streams, llm.Stalled, fault.UpstreamTimeout, 200, false, true},
	{"delay=1m", both, llm.TimedOut, fault.UpstreamTimeout, 0, false, true},
	{"first=1m", streams, llm.TimedOut, fault.UpstreamTimeout, 200, false, true},
	{"malformed=0", both, llm.Malformed, fault.UpstreamInvalid, 200, false, false},
	{"oversize=200000", both, llm.TooLarge, fault.UpstreamInvalid, 200, false, false},
	{"oversize=200000 chunked=1", unary, llm.TooLarge, fault.UpstreamInvalid, 200, false, false},
	{"oversize=4000000000 frames=1", unary, llm.TooLarge, fault.UpstreamInvalid, 200, false, false},
	{"empty=1", unary, llm.Malformed, fault.UpstreamInvalid, 200, false, false},
	{"content-type=text/html", streams, llm.Malformed, fault.UpstreamInvalid, 200, false, false},
	{"content-type=application/json", streams, llm.Malformed, fault.UpstreamInvalid, 200, false, false},
	{"gzip=1", both, llm.Malformed, fault.UpstreamInvalid, 200, false, false},
	{"redirect=http://127.0.0.1:9/", both, llm.Malformed, fault.UpstreamFailed, 307, true, false},
	{"status=401", both, llm.UpstreamStatus, fault.UpstreamFailed, 401, true, false},
	{"status=403", both, llm.UpstreamStatus, fault.UpstreamFailed, 403, true, false},
	{"status=500 gzip=1", both, llm.Malformed, fault.UpstreamFailed, 500, false, false},
	{"status=429 gzip=1", both, llm.Malformed, fault.UpstreamFailed, 429, true, false},
	{"status=500 cut=5", both, llm.CutByUpstream, fault.UpstreamCut, 500, false, false},
	{"status=500 oversize=2000000", both, llm.Malformed, fault.UpstreamFailed, 500, false, false},
}

// charged checks usage and money of an exchange in which nothing came back.
func charged(t testing.TB, f format, o *record.Exchange, free bool) {
	t.Helper()
	usage, money := "unknown", "unknown"
	switch {
	case f.counts():
		usage, money = "none", "declared"
	case free:
		usage, money = "none", "none"
	}
	if o.Usage != usage || o.Money != money || o.Amount != 0 {
		t.Errorf("usage %s, money %s, amount %d; want %s, %s, 0", o.Usage, o.Money, o.Amount, usage, money)
	}
	if wantHold := !f.counts(); (o.Hold > 0) != wantHold {
		t.Errorf("a hold of %d", o.Hold)
	}
}

func TestFailureBeforeContent(t *testing.T) {
	t.Parallel()
	patient, hasty := newRig(t, plan{limits: narrow}), newRig(t, plan{limits: impatient})
	for _, c := range failures {
		for _, f := range formats {
			if !c.of.has(f) || f.commitsFirst(c.knobs) {
				continue
			}
			t.Run(f.name+" "+c.knobs, func(t *testing.T) {
				r := patient
				if c.hasty {
					t.Parallel()
					r = hasty
				}
				got := r.do(t, f.call("fail [["+c.knobs+"]]"))
				message := f.isFault(t, got, c.kind)
				o := r.outcome(t, got)
				if o.State != string(c.state) || o.Fault != c.kind.String() || o.Status != int64(c.kind.Status()) || o.Attempts[0].Status != c.status {
					t.Errorf("state %s, fault %s, status %d, upstream's status %d", o.State, o.Fault, o.Status, o.Attempts[0].Status)
				}
				charged(t, f, o, c.free)
				if o.Returned != "" || o.TTFB != 0 || o.OutBytes != int64(len(got.body)) {
					t.Errorf("returned %q, ttfb %d, %d bytes of an answer that was not passed on", o.Returned, o.TTFB, o.OutBytes)
				}
				if strings.Contains(message, "127.0.0.1") {
					t.Errorf("the message names an address: %s", message)
				}
			})
		}
	}
}

// TestUpstreamStatus: an upstream's own error goes to the client as it is, with
// Retry-After bounded and nothing but known headers.
func TestUpstreamStatus(t *testing.T) {
	r := newRig(t, plan{tap: true})
	for _, c := range []struct {
		status int
		knobs  string
		retry  string
		ms     string
		free   bool
	}{
		{400, "", "", "", true},
		{402, "", "", "", true},
		{404, "", "", "", true},
		{408, "", "", "", false},
		{409, "", "", "", true},
		{413, "", "", "", true},
		{422, "", "", "", true},
		{429, " retry-after=7", "7", "", true},
		{429, " retry-after=100000", "60", "", true},
		{429, " retry-after=99999999999999999999", "", "", true},
		{429, " retry-after=-5", "", "", true},
		{429, " retry-after-ms=1500 retry-after=0", "0", "1500", true},
		{429, " retry-after-ms=600000", "", "", true},
		{500, "", "", "", false},
		{501, "", "", "", true},
		{502, "", "", "", false},
		{503, " retry-after=2", "2", "", true},
		{504, "", "", "", false},
		{529, "", "", "", true},
		{599, "", "", "", false},
	} {
		for _, f := range formats {
			t.Run(f.name+" "+strconv.Itoa(c.status)+c.knobs, func(t *testing.T) {
				got := r.do(t, f.call("fail [[status="+strconv.Itoa(c.status)+c.knobs+"]]"))
				up := r.taps[f.up].take(t)
				if got.status != c.status || !bytes.Equal(got.body, up.answered) {
					t.Errorf("status %d, body %q, want %q", got.status, got.body, up.answered)
				}
				if got.header.Get("Retry-After") != c.retry || got.header.Get("Retry-After-Ms") != c.ms {
					t.Errorf("retry-after %q, retry-after-ms %q", got.header.Get("Retry-After"), got.header.Get("Retry-After-Ms"))
				}
				if got.header.Get("X-Sallyport-Reason") != string(fault.ReasonUpstream) {
					t.Errorf("x-sallyport-reason %q", got.header.Get("X-Sallyport-Reason"))
				}
				ours(t, got)
				o := r.outcome(t, got)
				if o.State != string(llm.UpstreamStatus) || o.Fault != fault.UpstreamFailed.String() || o.Status != int64(c.status) {
					t.Errorf("state %s, fault %s, status %d", o.State, o.Fault, o.Status)
				}
				charged(t, f, o, c.free)
				commits(t, "res", o.Returned, up.answered, nil)
			})
		}
	}
}

// closedPort is an address where nobody listens.
func closedPort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String() + "/v1"
}

// unreachable points the upstreams to where nobody listens.
func unreachable(t testing.TB) func(*gateway.Snapshot) {
	return func(s *gateway.Snapshot) {
		for _, f := range formats {
			s.Upstreams[f.up] = newUpstream(t, f.up, vendorOf(f), closedPort(t), plan{})
		}
	}
}

func TestUnreachable(t *testing.T) {
	r := newRig(t, plan{snapshot: unreachable(t)})
	for _, f := range formats {
		got := r.do(t, f.call("hello"))
		f.isFault(t, got, fault.UpstreamFailed)
		o := r.outcome(t, got)
		if o.State != string(llm.Unreachable) || o.Fault != fault.UpstreamFailed.String() || o.Forwarded != "" {
			t.Errorf("%s: state %s, fault %s, forwarded %q", f.name, o.State, o.Fault, o.Forwarded)
		}
		charged(t, f, o, true)
	}
}

// TestErrorFrameFirst: an upstream that reports an error at the very start of a
// stream is passed on as it is when there is nobody else to ask.
func TestErrorFrameFirst(t *testing.T) {
	r := newRig(t, plan{tap: true})
	for _, f := range formats {
		if !f.stream {
			continue
		}
		for _, knobs := range []string{"error=0", "error=1", "error=0 eol=crlf"} {
			got := r.do(t, f.call("fail [["+knobs+"]]"))
			up := r.taps[f.up].take(t)
			if !bytes.Equal(got.body, up.answered) || got.status != http.StatusOK {
				t.Errorf("%s %s: status %d, %q", f.name, knobs, got.status, got.body)
			}
			o := r.outcome(t, got)
			if o.State != string(llm.ErrorFrame) || o.Fault != fault.UpstreamFailed.String() || o.Usage != string(llm.UsageUnknown) {
				t.Errorf("%s %s: state %s, fault %s, usage %s", f.name, knobs, o.State, o.Fault, o.Usage)
			}
		}
	}
}

// TestWrongTypeOfUnary: a whole answer is judged by its body; its declared type
// goes on as it is, beside our nosniff.
func TestWrongTypeOfUnary(t *testing.T) {
	r := newRig(t, plan{tap: true})
	for _, f := range formats {
		if f.stream {
			continue
		}
		got := r.do(t, f.call("odd [[content-type=text/plain]]"))
		up := r.taps[f.up].take(t)
		if got.status != http.StatusOK || !bytes.Equal(got.body, up.answered) || got.header.Get("Content-Type") != "text/plain" {
			t.Errorf("%s: status %d, type %q", f.name, got.status, got.header.Get("Content-Type"))
		}
		ours(t, got)
		if o := r.outcome(t, got); o.State != string(llm.Complete) {
			t.Errorf("%s: state %s", f.name, o.State)
		}
	}
}
