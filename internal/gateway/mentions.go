package gateway

import (
	"bytes"
	"net/url"
	"strings"

	"sallyport/internal/keep"
	"sallyport/internal/upstream"
	"sallyport/internal/wire"
)

// member is what the name of a member tells.
type member struct {
	sort   keep.Kind // of the objects that it names; empty for none
	opaque bool      // clients write in it what they like
}

// members are the members of requests that matter here, under their folded names.
// What is opaque holds schemas of tools, arguments of calls and notes: no upstream
// looks up an object that is named there. Nor does it for the marks on a text that
// was written already.
var members = map[string]member{
	"fileid": {sort: keep.File}, "fileids": {sort: keep.File}, "inputfileid": {sort: keep.File}, "fileuri": {sort: keep.File},
	"vectorstoreid": {sort: keep.VectorStore}, "vectorstoreids": {sort: keep.VectorStore}, "conversation": {sort: keep.Conversation},
	"container": {sort: keep.Container}, "containerid": {sort: keep.Container}, "cachedcontent": {sort: keep.CachedText},

	"parameters": {opaque: true}, "inputschema": {opaque: true}, "schema": {opaque: true}, "outputschema": {opaque: true},
	"responseschema": {opaque: true}, "parametersjsonschema": {opaque: true}, "responsejsonschema": {opaque: true},
	"args": {opaque: true}, "arguments": {opaque: true}, "response": {opaque: true}, "metadata": {opaque: true},
	"attributes": {opaque: true}, "annotations": {opaque: true}, "citations": {opaque: true},
}

// maxMentions bounds how many objects one request may name.
const maxMentions = 256

// owners checks that every object which the body names is the project's own, and
// ties the request to the upstream that keeps them.
func (x *Exchange) owners() error {
	if x.body.form != nil {
		return nil // no field of the forms that are carried names one
	}
	n := 0
	b := x.body.bytes
	return mentions(b, x.endpoint.speaks == upstream.Anthropic, func(sort keep.Kind, lit []byte, at int) error {
		if n++; n > maxMentions {
			return wire.Refuse(wire.Pointer(b, at), "the request names too many objects")
		}
		id, _ := wire.Text(lit, maxID+1)
		if sort == keep.File {
			var kept bool
			if id, kept = googleFile(id); !kept {
				return nil
			}
		}
		if sort == keep.CachedText {
			id = strings.TrimPrefix(id, resourceName)
		}
		return x.refer(sort, id, wire.Pointer(b, at))
	})
}

// googleFile is the id of a file in a fileUri, which may name anything: a file kept
// by Google, or what stands elsewhere and is nobody's object. Other ids are theirs.
func googleFile(id string) (name string, kept bool) {
	if !strings.Contains(id, "/") {
		return id, true
	}
	u, err := url.Parse(id)
	if err != nil || u.Scheme == "" || strings.EqualFold(u.Hostname(), "generativelanguage.googleapis.com") {
		return id, true
	}
	return "", false
}

// level is an array or object that is open.
type level struct {
	array  bool
	named  bool      // of an object: its member's name has been read
	sort   keep.Kind // of the objects that the present value names; empty for none
	inside keep.Kind // of an object: of what its member id names
	opaque bool      // this is within what clients write freely
	veiled bool      // the present member is
}

// mentions finds the ids of objects in a body that a scan has accepted, in one
// pass. Names of members are compared without case and underscores, as the laxest
// reader would. calls says that a member input holds the arguments of a call.
func mentions(b []byte, calls bool, found func(sort keep.Kind, lit []byte, at int) error) error {
	var room [32]level
	open := append(room[:0], level{array: true})
	for i := 0; i < len(b); i++ {
		top := &open[len(open)-1]
		switch b[i] {
		case '{', '[':
			in := level{array: b[i] == '[', opaque: top.opaque || top.veiled}
			if in.array {
				in.sort = top.sort
			} else {
				in.inside = top.sort
			}
			open = append(open, in)
		case '}', ']':
			open = open[:max(len(open)-1, 1)]
		case ',':
			if !top.array {
				top.named, top.sort, top.veiled = false, "", false
			}
		case '"':
			end := quoteEnd(b, i+1)
			switch {
			case top.array || top.named:
				if top.sort != "" && !top.opaque {
					if err := found(top.sort, b[i:end+1], i); err != nil {
						return err
					}
				}
			default:
				top.named = true
				top.member(b[i+1:end], len(open) == 2, calls)
			}
			i = end
		}
	}
	return nil
}

// member takes in the name of a member. A conversation is only named by the request
// itself.
func (l *level) member(raw []byte, outermost, calls bool) {
	var room [24]byte
	name := folded(room[:0], raw)
	m := members[string(name)]
	switch l.sort = m.sort; {
	case l.sort == keep.Conversation && !outermost:
		l.sort = ""
	case string(name) == "id":
		l.sort = l.inside
	}
	l.veiled = m.opaque || calls && string(name) == "input"
}

// folded appends a name in lower case and without underscores. A name that is too
// long to matter comes out empty.
func folded(dst, raw []byte) []byte {
	if len(raw) > 6*cap(dst) {
		return dst
	}
	for _, c := range raw {
		if c == '\\' || c >= 0x80 {
			text, _ := wire.Text(append(append([]byte{'"'}, raw...), '"'), len(raw))
			// Some letters beyond ASCII become ASCII in one of the cases.
			text = strings.ToLower(strings.ToUpper(text))
			return append(dst[:0], strings.ReplaceAll(text, "_", "")...)
		}
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != '_' {
			dst = append(dst, c)
		}
	}
	return dst
}

// quoteEnd finds the quote that ends the string whose text begins at i.
func quoteEnd(b []byte, i int) int {
	for at := i; ; at++ {
		n := bytes.IndexByte(b[at:], '"')
		if n < 0 {
			return len(b) - 1
		}
		at += n
		slashes := 0
		for at-slashes > i && b[at-slashes-1] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return at
		}
	}
}
