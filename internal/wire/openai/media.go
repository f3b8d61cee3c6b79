package openai

import (
	"bytes"
	"slices"

	"sallyport/internal/fault"
	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

// speechGuard is what else decides about the answer to a request for speech.
var speechGuard = wire.NewGuard("stream_format")

// media reads what matters of the other JSON requests.
func (r *request) media(c *wire.Call) error {
	switch c.Endpoint {
	case wire.Images:
		n, err := wire.Bound(r.lit(choices), "/n")
		c.Choices = max(n, 1)
		return err
	case wire.Speech:
		var at [1]wire.Span
		top := wire.Span{Start: bytes.IndexByte(r.body, '{'), End: len(r.body)}
		if err := wire.Lookup(r.body, top, speechGuard, at[:]); err != nil {
			return err
		}
		form, _ := wire.Text(at[0].Of(r.body), wire.MaxNote)
		c.Stream, c.Raw = form == "sse", true
		return nil
	case wire.Moderations:
		if k := wire.KindOf(r.lit(input)); k == wire.Absent || k == wire.Null {
			return wire.Refuse("/input", "the request has no input")
		}
	}
	c.Stream = false
	return nil
}

// unnamed notes that a request names no model, and where one can be inserted.
func (r *request) unnamed(c *wire.Call) {
	at := bytes.IndexByte(r.body, '{') + 1
	c.Naming, c.ModelSpan = wire.Unnamed, wire.Span{Start: at, End: at}
}

// FormFields are the fields of forms that something here or behind depends on.
var FormFields = []string{"model", "stream", "response_format", "n"}

// texts are the forms of a transcription that are not JSON.
var texts = []string{"text", "srt", "vtt"}

// ParseForm reads a request that is a form, as Parse does one that is JSON.
func ParseForm(ep wire.Endpoint, f *wire.Form) (*wire.Call, error) {
	name, ok := f.Field("model")
	if !ok {
		return nil, wire.Refuse("/model", "the request names no model")
	}
	c := &wire.Call{Endpoint: ep, Model: string(name.Value), ModelSpan: name.Span, Naming: wire.NamedInForm, Choices: 1}
	if err := wire.CheckModel(c.Model, "/model"); err != nil {
		return nil, err
	}
	if stream, ok := f.Field("stream"); ok {
		switch string(stream.Value) {
		case "true":
			c.Stream = ep == wire.ImageEdits || ep == wire.Transcriptions
		case "false":
		default:
			return nil, wire.Refuse("/stream", "this must be true or false")
		}
	}
	form, _ := f.Field("response_format")
	switch ep {
	case wire.Transcriptions, wire.Translations:
		c.Raw = slices.Contains(texts, string(form.Value))
	default:
		if n, ok := f.Field("n"); ok {
			n, err := wire.Bound(n.Value, "/n")
			if err != nil {
				return nil, err
			}
			c.Choices = max(n, 1)
		}
	}
	return c, nil
}

// media follows the answers about images, audio and rankings.
//
// Their streams consist of typed events: those that end in ".done" or
// ".completed" carry a whole result and the usage, and every result that was asked
// for ends with one; all others are content. There is no end mark besides, though
// compatible servers send "[DONE]".
type media struct {
	wire.Notes
	ep     wire.Endpoint
	asked  int64
	ended  int64 // results that were whole
	claims int
}

func newMedia(call *wire.Call) *media {
	m := &media{ep: call.Endpoint, asked: 1}
	if call.Endpoint == wire.Images || call.Endpoint == wire.ImageEdits {
		m.asked = max(call.Choices, 1)
	}
	return m
}

const (
	mediaID = iota
	mediaModel
	mediaType
	mediaUsage
	mediaMeta
	mediaError
	mediaText
	mediaData
	mediaResults
	numMedia
)

var mediaNames = wire.NewNames("id", "model", "type", "usage", "meta", "error", "text", "data", "results")

// Frame implements wire.Follower.
func (m *media) Frame(ev wire.Event) wire.FrameKind {
	if kind, known := common(ev); known {
		return kind
	}
	named := string(ev.Name) == "error"
	b := ev.Data
	var at [numMedia]wire.Span
	if wire.ScanAnswer(b, mediaNames, at[:]) != nil {
		if named {
			m.Fail()
			return wire.FrameError
		}
		return wire.FrameInvalid
	}
	kind, _ := wire.Text(at[mediaType].Of(b), wire.MaxNote)
	if lit := at[mediaError].Of(b); named || kind == "error" || wire.Reports(lit) {
		m.Fail()
		return errorFrame(lit)
	}
	m.usage(b, &at)
	if done := bytes.HasSuffix([]byte(kind), []byte(".done")) || bytes.HasSuffix([]byte(kind), []byte(".completed")); done {
		if m.ended++; m.ended >= m.asked {
			m.Complete()
		}
	}
	return wire.FrameContent
}

// Body implements wire.Follower.
func (m *media) Body(b []byte) error {
	var at [numMedia]wire.Span
	if err := wire.ScanAnswer(b, mediaNames, at[:]); err != nil {
		return err
	}
	m.Name(at[mediaModel].Of(b), at[mediaID].Of(b))
	m.usage(b, &at)
	if wire.Reports(at[mediaError].Of(b)) {
		m.Fail()
		return nil
	}
	holds, kind, what := mediaData, wire.Array, "data"
	switch m.ep {
	case wire.Moderations, wire.Rerank:
		holds, what = mediaResults, "results"
	case wire.Transcriptions, wire.Translations:
		holds, kind, what = mediaText, wire.String, "text"
	case wire.Speech:
		return fault.New(fault.UpstreamInvalid, "the upstream's answer is not audio")
	}
	if wire.KindOf(at[holds].Of(b)) != kind {
		return fault.New(fault.UpstreamInvalid, "the upstream's answer has no "+what)
	}
	m.Complete()
	return nil
}

// usage notes the claim of an answer or of an event. Whether several claims of one
// stream add up, nobody says: of those nothing is known.
func (m *media) usage(b []byte, at *[numMedia]wire.Span) {
	u, claims := readMedia(b, at[mediaUsage], at[mediaMeta])
	if !claims {
		return
	}
	if m.claims++; m.claims > 1 {
		u = llm.Usage{Status: llm.UsageUnknown, Verbatim: u.Verbatim}
	}
	m.Claim(u)
}

// The members of a usage of images, audio or rankings.
const (
	unitInput = iota
	unitOutput
	unitTotal
	unitPrompt
	unitInputs     // of images
	unitInputAudio // of transcriptions, which spell it otherwise
	numUnits
)

var (
	unitNames  = wire.NewNames("input_tokens", "output_tokens", "total_tokens", "prompt_tokens", "input_tokens_details", "input_token_details")
	partNames  = wire.NewNames("text_tokens", "image_tokens", "audio_tokens", "cached_tokens")
	cohereMeta = wire.NewNames("billed_units", "tokens")
)

// readMedia reads what an answer claims: usage, or Cohere's meta. What is counted
// in seconds, searches or images is kept as it came and stays unknown: no token
// class carries it.
func readMedia(b []byte, usage, meta wire.Span) (u llm.Usage, claims bool) {
	verbatim := usage
	if wire.KindOf(usage.Of(b)) <= wire.Null {
		var at [2]wire.Span
		wire.Find(b, meta, cohereMeta, at[:])
		if usage, verbatim = at[0], at[0]; wire.KindOf(usage.Of(b)) <= wire.Null {
			return llm.Usage{}, false
		}
	}
	if wire.KindOf(usage.Of(b)) != wire.Object {
		return llm.Usage{Status: llm.UsageImplausible, Verbatim: verbatim.Of(b), Reason: "usage is not an object"}, true
	}
	var at [numUnits]wire.Span
	wire.Find(b, usage, unitNames, at[:])
	var f wire.Figures
	in, hasIn := f.Count(at[unitInput].Of(b), "input tokens")
	if !hasIn {
		in, hasIn = f.Count(at[unitPrompt].Of(b), "prompt tokens")
	}
	out, hasOut := f.Count(at[unitOutput].Of(b), "output tokens")
	total, hasTotal := f.Count(at[unitTotal].Of(b), "total tokens")
	if f.Flaw == "" && !hasIn && !hasOut && !hasTotal {
		return llm.Usage{Status: llm.UsageUnknown, Verbatim: verbatim.Of(b)}, true
	}
	switch {
	case !hasIn && !hasOut: // rankings
		in = total
	case !hasIn:
		f.Note("input tokens are missing")
	case hasTotal && total != in+out:
		f.Note("total is not the sum of its parts")
	}
	details := at[unitInputs]
	if details == (wire.Span{}) {
		details = at[unitInputAudio]
	}
	return f.Usage(partition(&f, b, details, in, out), verbatim.Of(b)), true
}

// partition divides the input by what it is. Images made and speech are output, as
// their price cards have it.
func partition(f *wire.Figures, b []byte, details wire.Span, in, out int64) (t llm.Tokens) {
	var at [4]wire.Span
	wire.Find(b, details, partNames, at[:])
	image, _ := f.Count(at[1].Of(b), "image tokens of the input")
	audio, _ := f.Count(at[2].Of(b), "audio tokens of the input")
	cached, _ := f.Count(at[3].Of(b), "cached tokens of the input")
	if image+audio > in || cached > in {
		f.Note("more input of one kind than input")
		return t
	}
	// Which kind the cached tokens are is not said: what does not fit beside the
	// images and the audio is of these.
	image = min(image, in-cached)
	audio = min(audio, in-cached-image)
	t[llm.Input], t[llm.ImageIn], t[llm.AudioIn], t[llm.CacheRead], t[llm.Output] = in-image-audio-cached, image, audio, cached, out
	return t
}
