package gateway

import (
	"net/http"

	"sallyport/internal/fault"
	"sallyport/internal/wire"
)

// counted says whose requests each endpoint counts, and how the answer names the
// figure.
var counted = map[wire.Endpoint]struct {
	format wire.Endpoint
	figure string
}{
	wire.CountTokens:  {wire.Messages, "input_tokens"},
	wire.CountContent: {wire.GenerateContent, "totalTokens"},
}

// headerEstimate marks a count of tokens that nobody counted.
const headerEstimate = "X-Sallyport-Estimate"

// estimate answers a request to count tokens for a model whose upstream cannot be
// asked in this format. Nothing leaves, so nothing is recorded; a header says that
// the figure is an estimate.
func (x *Exchange) estimate() error {
	count := counted[x.endpoint.name]
	from, known := x.gateway.format(count.format)
	if !known {
		return fault.New(fault.NotCarried, "")
	}
	body := x.body.bytes
	if inner := wire.Root(body).Fields().Take("generateContentRequest"); inner.Kind() == wire.Object {
		body = inner.Lit()
	}
	r, err := from.Read(body)
	if err != nil {
		return err
	}
	h := x.reply.header()
	h["Content-Type"] = []string{"application/json"}
	h[headerEstimate] = []string{"tokens; one for every 4 bytes of text"}
	x.reply.whole(http.StatusOK, wire.NewBuilder(nil).Open().Key(count.figure).Int(r.Estimate()).Close().Bytes())
	return nil
}
