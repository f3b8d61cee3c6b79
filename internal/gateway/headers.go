package gateway

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/fault"
	"sallyport/internal/upstream"
)

// Names that Sallyport writes itself.
const (
	headerRequestID = "X-Request-Id"
	headerAnthropic = "Request-Id" // what Anthropic's SDKs read
	headerReason    = "X-Sallyport-Reason"
	headerHop       = "X-Sallyport-Hop"
	headerRetry     = "X-Should-Retry"
	headerDropped   = "X-Sallyport-Dropped" // what a translation did not carry
)

// maxHops bounds how many gateways one request may pass, maxHopName how long the
// name of each is; names are of hopAlphabet.
const (
	maxHops     = 8
	maxHopName  = 32
	hopAlphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
)

// Request headers that go on to an upstream: what selects API behaviour. Keys,
// cookies, organisation and project selectors, tracing baggage and everything
// unknown stay here.
var (
	forwardOpenAI    = []string{"Openai-Beta", "Idempotency-Key"}
	forwardAnthropic = []string{"Anthropic-Version", "Anthropic-Beta", "Idempotency-Key"}
)

// forwardHeader builds the header of an upstream request.
func (a *attempt) forwardHeader() http.Header {
	x := a.exchange
	h := make(http.Header, 8)
	allowed := forwardOpenAI
	switch a.upstream.Family() {
	case upstream.Anthropic:
		allowed = forwardAnthropic
		h["Anthropic-Version"] = []string{"2023-06-01"}
	case upstream.Gemini, upstream.Bedrock:
		allowed = nil
	}
	for _, name := range allowed {
		if v, ok := x.request.Header[name]; ok {
			h[name] = v
		}
	}
	h["Content-Type"] = []string{"application/json"}
	if x.body.form != nil {
		h["Content-Type"] = []string{x.body.form.contentType()}
	}
	h["Accept"] = []string{"application/json"}
	if x.call.Stream {
		h["Accept"] = []string{eventStream}
		if f := a.framing(); f != nil {
			h["Accept"] = []string{f.MIME}
		}
	} else if x.call.Raw {
		h["Accept"] = []string{"*/*"}
	}
	h["User-Agent"] = []string{"sallyport"}
	h[headerHop] = []string{strings.Join(append(x.hops(), x.gateway.Instance), ",")}
	return h
}

// hops lists the gateways that the request has passed.
func (x *Exchange) hops() []string {
	v := strings.Join(x.request.Header[headerHop], ",")
	if v == "" {
		return nil
	}
	return strings.Split(v, ",")
}

// checkHops stops loops. The header goes on to upstreams, so it may hold nothing
// but the names of gateways.
func (x *Exchange) checkHops() error {
	hops := x.hops()
	if len(hops) >= maxHops {
		return fault.New(fault.LoopDetected, "")
	}
	for _, h := range hops {
		switch h = strings.TrimSpace(h); {
		case h == x.gateway.Instance:
			return fault.New(fault.LoopDetected, "")
		case len(h) > maxHopName || strings.Trim(h, hopAlphabet) != "":
			return fault.New(fault.BadRequest, "the header "+headerHop+" is not one that a gateway writes")
		}
	}
	return nil
}

// Response headers that come back from an upstream, exact or by family. Cookies,
// CORS, alt-svc, account names and everything unknown are dropped.
var (
	returnExact = map[string]bool{
		"Content-Type": true, "Openai-Processing-Ms": true, "Openai-Version": true,
		"Retry-After-Ms": true, "X-Should-Retry": true,
	}
	returnFamilies = []string{"X-Ratelimit-", "Anthropic-Ratelimit-", "Anthropic-Priority-"}
)

// copyAnswerHeader copies what may come back. A value that holds the upstream's
// credential never does.
func copyAnswerHeader(dst, src http.Header, u *upstream.Upstream) {
	for name, values := range src {
		if !returnable(name) {
			continue
		}
		clean := true
		for _, v := range values {
			clean = clean && !u.Leaks([]byte(v))
		}
		if clean {
			dst[name] = values
		}
	}
	if d, ok := retryAfter(src.Get("Retry-After"), time.Now()); ok {
		dst["Retry-After"] = []string{seconds(d)}
	}
	if ms, err := strconv.ParseInt(src.Get("Retry-After-Ms"), 10, 64); err != nil || ms < 0 || ms > fault.MaxRetryAfter.Milliseconds() {
		dst.Del("Retry-After-Ms")
	}
}

func returnable(name string) bool {
	if returnExact[name] {
		return true
	}
	for _, f := range returnFamilies {
		if strings.HasPrefix(name, f) {
			return true
		}
	}
	return false
}

// retryAfter reads a Retry-After (RFC 9110 section 10.2.3) in either form and
// caps it, because longer values make some SDKs hammer and others sleep for hours.
func retryAfter(v string, now time.Time) (time.Duration, bool) {
	if v == "" {
		return 0, false
	}
	d := fault.MaxRetryAfter
	if s, err := strconv.ParseInt(v, 10, 64); err == nil {
		if s < 0 {
			return 0, false
		}
		if s < int64(fault.MaxRetryAfter/time.Second) {
			d = time.Duration(s) * time.Second
		}
		return d, true
	}
	at, err := http.ParseTime(v)
	if err != nil {
		return 0, false
	}
	return min(max(at.Sub(now), 0), fault.MaxRetryAfter), true
}

// seconds formats a duration in whole seconds, rounded up, at least 1 when positive.
func seconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}
