package gateway

import (
	"net/http"

	"sallyport/internal/fault"
	"sallyport/internal/identity"
	"sallyport/internal/llm"
	"sallyport/internal/tokens"
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

// headerEstimate marks a count of tokens that the upstream did not make.
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
	n, how := x.tally(r)
	h[headerEstimate] = []string{how}
	x.reply.whole(http.StatusOK, wire.NewBuilder(nil).Open().Key(count.figure).Int(n).Close().Bytes())
	return nil
}

// maxTally bounds the body whose text is counted by a vocabulary, which takes time.
const maxTally = 1 << 20

// tally counts the tokens of a request by the vocabulary of its model, if one is known, else by a rule of thumb. how says by which.
func (x *Exchange) tally(r *llm.Request) (n int64, how string) {
	how = "tokens; one for every 4 bytes of text"
	var v *tokens.Vocabulary
	if targets := x.snapshot.Targets(identity.Model(x.call.Model)); len(targets) > 0 && x.body.size <= maxTally {
		v = x.snapshot.Count.vocabulary(targets[0].Model)
	}
	if v == nil {
		literal := func(lit []byte) int64 { return llm.RuleOfThumb(lit[1 : len(lit)-1]) }
		return r.Estimate(literal, llm.RuleOfThumb), how
	}
	plain := func(text []byte) int64 {
		n, err := v.Count(string(text))
		if err != nil {
			return llm.RuleOfThumb(text)
		}
		return n
	}
	literal := func(lit []byte) int64 {
		text, _ := wire.Text(lit, len(lit))
		return plain([]byte(text))
	}
	return r.Estimate(literal, plain), "tokens; text by " + v.Name + ", what stands around it by rule"
}
