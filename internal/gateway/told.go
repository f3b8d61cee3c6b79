package gateway

import (
	"bytes"
	"context"

	"sallyport/internal/keep"
	"sallyport/internal/upstream"
	"sallyport/internal/wire"
)

// Code that a model runs at its vendor leaves files and containers there. The answer
// tells their ids, and clients name them in what they ask next.

// codeMarks stand in every request whose answer may tell of such objects: the tools
// that run code, or a container to go on in.
var codeMarks = [][]byte{[]byte("code_execution"), []byte("code_interpreter"), []byte("container")}

// told are the objects that an answer has told of so far.
type told map[toldObject]bool

type toldObject struct {
	sort keep.Kind
	id   string
}

// listen begins to note what the answer tells, if it may tell anything.
func (a *attempt) listen() {
	x := a.exchange
	if a.translation != nil || x.endpoint.kind != generate {
		return
	}
	for _, mark := range codeMarks {
		if bytes.Contains(x.body.bytes, mark) {
			a.told = told{}
			return
		}
	}
}

// adopt makes the objects that a piece of the answer tells of the project's own,
// before the client learns their ids. What a model writes is never looked at: a
// prompt could make it name what is another project's. An object that cannot be
// recorded stays nobody's; its loss does not take the answer away.
func (a *attempt) adopt(data []byte) {
	if a.told == nil || !bytes.Contains(data, []byte("container")) && !bytes.Contains(data, []byte("file_id")) || !wire.Valid(data) {
		return
	}
	x := a.exchange
	ctx := context.WithoutCancel(x.request.Context())
	_ = mentions(data, x.endpoint.speaks == upstream.Anthropic, func(sort keep.Kind, lit []byte, _ int) error {
		id, whole := wire.Text(lit, maxID)
		o := toldObject{sort, id}
		if sort != keep.File && sort != keep.Container || !whole || !plainID(id) || a.told[o] || len(a.told) == maxMentions {
			return nil
		}
		a.told[o] = true
		if err := x.gateway.Keep.Own(ctx, x.principal.Project, sort, id, a.upstream.Name); err != nil {
			x.gateway.Logger.Error("object of an answer not recorded", "request_id", x.record.RID, "kind", sort, "error", err)
		}
		return nil
	})
}
