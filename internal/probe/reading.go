package probe

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

// reading turns one HTTP answer into a Reply.
type reading struct {
	reply  *Reply
	format wire.Format
	call   *wire.Call
	stream bool
	sent   time.Time

	hash     hash.Hash
	decoder  wire.Decoder
	follower wire.Follower
	kept     int // bytes kept of frames
	parts    map[int]llm.Part
	finished bool
}

// read reads the whole answer.
func (r *reading) read(ctx context.Context, resp *http.Response) {
	r.hash, r.decoder = sha256.New(), r.format.Decode()
	r.follower = r.format.Follow(r.call)
	body := io.TeeReader(io.LimitReader(resp.Body, maxAnswer+1), r.hash)
	defer func() {
		r.reply.Took = time.Since(r.sent)
		r.reply.SHA256 = hex.EncodeToString(r.hash.Sum(nil))
	}()
	if resp.StatusCode != http.StatusOK {
		r.failure(resp, body)
		return
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch streams := kind == "text/event-stream" || r.format.Framing != nil && kind == r.format.Framing.MIME; {
	case r.stream && streams:
		r.events(ctx, body)
	case streams:
		r.broken("a stream came where none was asked for")
	default:
		r.whole(ctx, body)
		if r.stream && r.reply.OK() {
			r.reply.Error = "a whole answer came where a stream was asked for"
		}
	}
}

// broken says that what came is no answer.
func (r *reading) broken(why string) { r.reply.Outcome, r.reply.Error = Malformed, why }

// failure reads the answer of an error status.
func (r *reading) failure(resp *http.Response, body io.Reader) {
	r.reply.Outcome = outcomeOf(resp.StatusCode)
	r.reply.Retry = retryAfter(resp.Header)
	b, err := io.ReadAll(io.LimitReader(body, MaxKept))
	if err != nil {
		r.reply.Error = "the error's body broke off"
		return
	}
	if !wire.Valid(b) {
		r.reply.Error = "the error is not in the form of a model API"
		return
	}
	r.reply.Body = bytes.Clone(b)
	f := r.decoder.Failure(b)
	f.Message, f.Code = f.Message[:min(len(f.Message), 1<<10)], f.Code[:min(len(f.Code), wire.MaxNote)]
	r.reply.Failure = &f
}

// whole reads an answer that is one JSON object.
func (r *reading) whole(ctx context.Context, body io.Reader) {
	b, err := io.ReadAll(body)
	switch {
	case err != nil:
		r.interrupted(ctx)
		return
	case len(b) > maxAnswer:
		r.broken("the answer is too large")
		return
	case !wire.Valid(b):
		r.broken("the answer is not in the form of a model API")
		return
	}
	r.reply.First = time.Since(r.sent)
	if len(b) <= MaxKept {
		r.reply.Body = bytes.Clone(b)
	}
	answer, err := r.decoder.Whole(b)
	if err != nil || r.follower.Body(b) != nil || len(answer.Choices) == 0 {
		r.broken("the answer is not in the form of a model API")
		return
	}
	for _, p := range answer.Choices[0].Parts {
		r.part(p)
		r.delta(p.Kind, p.Text)
	}
	r.reply.Finish, r.reply.Sequence = answer.Choices[0].Finish, string(wire.Unquote(answer.Choices[0].Sequence))
	r.reply.Outcome = Answered
	r.summary()
	if r.call.Endpoint == wire.Chat {
		r.fingerprint(b)
	}
}

// fingerprint keeps the name that OpenAI gives to a backend's configuration.
func (r *reading) fingerprint(b []byte) {
	var f struct {
		Fingerprint string `json:"system_fingerprint"`
	}
	if json.Unmarshal(b, &f) == nil {
		r.reply.Fingerprint = f.Fingerprint[:min(len(f.Fingerprint), wire.MaxNote)]
	}
}

// part takes over what stands in an answer besides text.
func (r *reading) part(p llm.Part) {
	if p.Kind == llm.ToolCall {
		r.reply.Calls = append(r.reply.Calls, Call{ID: p.Call.ID, Name: p.Call.Name, Input: string(p.Call.Input)})
	}
}

// delta appends text to what the answer says.
func (r *reading) delta(kind llm.PartKind, text llm.Lit) int {
	if len(text) == 0 {
		return 0
	}
	s := string(wire.Unquote(text))
	switch kind {
	case llm.Text:
		r.reply.Text += s
	case llm.Refusal:
		r.reply.Refusal += s
	case llm.Thought:
		r.reply.Thought += s
	case llm.ToolCall:
		if n := len(r.reply.Calls); n > 0 {
			r.reply.Calls[n-1].Input += s
		}
	}
	return len(s)
}

// interrupted says that an answer broke off.
func (r *reading) interrupted(ctx context.Context) {
	r.reply.Outcome, r.reply.Error = Unreachable, "the connection broke in the answer"
	if ctx.Err() != nil {
		r.reply.Outcome, r.reply.Error = TimedOut, "the answer did not end in time"
	}
}

// events reads a stream.
func (r *reading) events(ctx context.Context, body io.Reader) {
	split := wire.NewSplitter(1 << 20)
	open := func(_, chunk []byte) ([]byte, error) { return chunk, nil }
	if r.format.Framing != nil {
		open = r.format.Framing.Open(1 << 20)
	}
	r.parts = map[int]llm.Part{}
	buf := make([]byte, 16<<10)
	total := 0
	for {
		n, err := body.Read(buf)
		total += n
		chunk, bad := open(nil, buf[:n])
		if bad == nil {
			split.Feed(chunk)
			bad = r.frames(split)
		}
		switch {
		case bad != nil:
			r.broken("the stream is not in the form of a model API")
			return
		case r.reply.Outcome == Failed:
			return
		case total > maxAnswer:
			r.broken("the answer is too large")
			return
		case err == io.EOF:
			split.End()
			if r.frames(split) != nil {
				r.broken("the stream is not in the form of a model API")
				return
			}
			r.end()
			return
		case err != nil:
			r.interrupted(ctx)
			return
		}
	}
}

var errNotTheFormat = errors.New("an event is not in the format")

// frames reads the events that are whole by now.
func (r *reading) frames(split *wire.Splitter) error {
	at, text := time.Since(r.sent), 0
	for split.Next() {
		ev := split.Event()
		if len(ev.Data) == 0 {
			continue
		}
		if r.kept += len(ev.Data); r.kept <= MaxKept {
			r.reply.Frames = append(r.reply.Frames, string(ev.Data))
		} else {
			r.reply.Frames = nil
		}
		switch r.follower.Frame(ev) {
		case wire.FrameInvalid:
			return errNotTheFormat
		case wire.FrameError, wire.FrameFailed:
			f := r.decoder.Failure(ev.Data)
			r.reply.Outcome, r.reply.Failure, r.reply.Error = Failed, &f, "an error came inside the stream"
			return nil
		}
		events, err := r.decoder.Frame(nil, ev)
		if err != nil {
			return err
		}
		for i := range events {
			text += r.event(&events[i])
		}
	}
	if text > 0 {
		if len(r.reply.Chunks) == 0 {
			r.reply.First = at
		}
		r.reply.Chunks = append(r.reply.Chunks, Chunk{at, text})
	}
	return split.Err()
}

// event takes over one event and returns how many bytes of text it brought.
func (r *reading) event(ev *llm.Event) int {
	if ev.Choice != 0 {
		return 0
	}
	switch ev.Kind {
	case llm.PartStart:
		r.parts[ev.Index] = llm.Part{Kind: ev.Part.Kind}
		r.part(ev.Part)
		return r.delta(ev.Part.Kind, ev.Part.Text)
	case llm.PartDelta:
		return r.delta(r.parts[ev.Index].Kind, ev.Text)
	case llm.Finished:
		r.reply.Finish, r.reply.Sequence = ev.Finish, string(wire.Unquote(ev.Sequence))
		r.finished = true
	}
	return 0
}

// end ends a stream that came whole.
func (r *reading) end() {
	for _, ev := range r.decoder.End(nil) {
		r.event(&ev)
	}
	if !r.finished {
		r.broken("the stream ended before the answer did")
		return
	}
	r.reply.Outcome = Answered
	if len(r.reply.Frames) > 0 && r.call.Endpoint == wire.Chat {
		r.fingerprint([]byte(r.reply.Frames[0]))
	}
	r.summary()
}

// summary takes over what the endpoint says of its answer.
func (r *reading) summary() {
	s := r.follower.Summary()
	r.reply.ID, r.reply.Model = s.ID, s.Model
	r.reply.Usage, r.reply.Tokens, r.reply.Flaw = s.Usage.Status, s.Usage.Tokens, s.Usage.Reason
	r.reply.Text = strings.ToValidUTF8(r.reply.Text, "\uFFFD")
}
