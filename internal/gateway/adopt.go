package gateway

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strings"

	"sallyport/internal/fault"
	"sallyport/internal/keep"
	"sallyport/internal/upstream"
	"sallyport/internal/wire"
)

// adoption makes what an answer tells the project's own, and takes out of it what
// is not.
type adoption struct {
	*attempt
	ctx   context.Context
	body  []byte
	edits []wire.Edit     // that the client's answer differs by
	files map[string]bool // of the project at the upstream, once they were needed
	next  string          // of a page that holds nothing for the client: behind which object more may be
}

// answer looks at a whole answer.
func (d *adoption) answer() error {
	e, root := d.exchange.endpoint, wire.Root(d.body)
	switch e.act {
	case lists:
		return d.list(root)
	case makes:
		id := idOf(root)
		if !plainID(id) {
			return fault.New(fault.UpstreamInvalid, "the upstream's answer has no id")
		}
		if err := d.own(e.sort, id); err != nil {
			return err
		}
	case removes:
		id := d.exchange.request.PathValue("id")
		if err := d.exchange.gateway.Keep.Disown(d.ctx, d.exchange.principal.Project, e.sort, id); err != nil {
			// It is gone where it was kept; only its owner is still remembered.
			d.exchange.gateway.Logger.Error("deleted object not forgotten", "request_id", d.exchange.record.RID, "error", err)
		}
		return nil
	}
	edits, err := d.told(root)
	d.edits = edits
	return err
}

// resourceName begins the names of what Google's API caches.
const resourceName = "cachedContents/"

// idOf is the id of an object; Google's have a name that holds it.
func idOf(v wire.Value) string {
	f := v.Fields()
	if name, google := strings.CutPrefix(f.Take("name").String(), resourceName); google {
		return name
	}
	return f.Take("id").String()
}

// own records an object as the project's.
func (d *adoption) own(sort keep.Kind, id string) error {
	return d.exchange.gateway.Keep.Own(d.ctx, d.exchange.principal.Project, sort, id, d.upstream.Name)
}

// told makes what an object of the project tells its own as well: the files that a
// batch has written. Where its results are is told without the vendor's host:
// clients would go there, with a key that is not meant for it.
func (d *adoption) told(v wire.Value) ([]wire.Edit, error) {
	if d.exchange.endpoint.sort != keep.Batch {
		return nil, nil
	}
	f := v.Fields()
	for _, name := range []string{"output_file_id", "error_file_id"} {
		if id := f.Take(name).String(); plainID(id) {
			if err := d.ownFile(id); err != nil {
				return nil, err
			}
		}
	}
	if at := f.Take("results_url"); at.Given() {
		return []wire.Edit{{Span: at.Span, With: wire.Quote("/v1/messages/batches/" + f.Take("id").String() + "/results")}}, nil
	}
	return nil, nil
}

// ownFile records a file that is perhaps known already.
func (d *adoption) ownFile(id string) (err error) {
	x := d.exchange
	if d.files == nil {
		if d.files, err = x.gateway.Keep.Mine(d.ctx, x.principal.Project, keep.File, d.upstream.Name); err != nil {
			return err
		}
	}
	if d.files[id] {
		return nil
	}
	d.files[id] = true
	return d.own(keep.File, id)
}

// list takes out of a list what is not the project's own. The cursors of the page
// become the first and last that remain, so that a client goes on from an object
// it knows; has_more stays, so the next page may come out shorter than asked for.
// A page of which nothing remains is passed over by whoever asked for it.
func (d *adoption) list(root wire.Value) error {
	x := d.exchange
	mine, err := x.gateway.Keep.Mine(d.ctx, x.principal.Project, x.endpoint.sort, d.upstream.Name)
	if err != nil {
		return err
	}
	f := root.Fields()
	data, token := f.Take("data"), ""
	if x.endpoint.speaks == upstream.Gemini {
		if data, token = f.Take("cachedContents"), f.Take("nextPageToken").String(); data.Kind() == wire.Absent {
			return nil // its way to write an empty list
		}
	}
	if data.Kind() != wire.Array {
		return fault.New(fault.UpstreamInvalid, "the upstream's answer is not a list")
	}
	kept, foreign := []byte{'['}, false
	var first, last, behind string
	for v := range data.Elements() {
		behind = idOf(v)
		if !mine[behind] {
			foreign = true
			continue
		}
		edits, err := d.told(v)
		if err != nil {
			return err
		}
		if len(kept) > 1 {
			kept = append(kept, ',')
		}
		kept = append(kept, within(d.body, v.Span, edits)...)
		d.edits = append(d.edits, edits...)
		first, last = cmp.Or(first, behind), behind
	}
	kept = append(kept, ']')
	if last == "" {
		d.next = token
	}
	if last == "" && wire.True(f.Take("has_more").Lit()) && plainID(behind) && !backwards(x.request.URL.Query()) {
		d.next = behind
	}
	if foreign {
		d.edits = nil // they are within what is kept
		d.replace(data, kept)
	}
	d.cursor(f.Take("first_id"), first)
	d.cursor(f.Take("last_id"), last)
	slices.SortFunc(d.edits, func(p, q wire.Edit) int { return cmp.Compare(p.Start, q.Start) })
	return nil
}

func backwards(query map[string][]string) bool {
	return len(query["before"]) > 0 || len(query["before_id"]) > 0
}

// replace notes an edit, if it is one.
func (d *adoption) replace(v wire.Value, with []byte) {
	if !bytes.Equal(v.Lit(), with) {
		d.edits = append(d.edits, wire.Edit{Span: v.Span, With: with})
	}
}

// cursor replaces the id of a page's edge, where the page has one.
func (d *adoption) cursor(v wire.Value, id string) {
	switch {
	case !v.Given():
	case id == "":
		d.replace(v, []byte("null"))
	default:
		d.replace(v, wire.Quote(id))
	}
}

// within is a part of a body with the edits that lie in it.
func within(b []byte, at wire.Span, edits []wire.Edit) []byte {
	if len(edits) == 0 {
		return at.Of(b)
	}
	moved := make([]wire.Edit, len(edits))
	for i, e := range edits {
		moved[i] = wire.Edit{Span: wire.Span{Start: e.Start - at.Start, End: e.End - at.Start}, With: e.With}
	}
	s, err := wire.Splice(at.Of(b), moved)
	if err != nil { // the edits are of members of this part
		return nil
	}
	return s.Append(make([]byte, 0, s.Len()))
}
