package upstreamtest

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// mediaRoutes are the routes about images, audio, moderation and ranking.
var mediaRoutes = map[string]func(*exchange) (reply, *fault){
	"images/generations": images, "images/edits": imageEdits, "images/variations": imageVariations,
	"audio/speech": speech, "audio/transcriptions": transcriptions, "audio/translations": translations,
	"moderations": moderations, "rerank": rerank,
}

// formRoutes are those of them that take multipart/form-data.
var formRoutes = []string{"images/edits", "images/variations", "audio/transcriptions", "audio/translations"}

// Media is what a Server makes of a text, or of a file, where others make pictures
// or sounds: bytes drawn from its SHA-256.
func Media(of string, size int) []byte {
	r := rand.NewChaCha8(sha256.Sum256([]byte(of)))
	b := make([]byte, size)
	_, _ = r.Read(b) // never fails
	return b
}

// Transcript is the text that a Server hears in a file.
func Transcript(file []byte, hint string) string {
	sum := sha256.Sum256(file)
	return fmt.Sprintf("digest:%s nonce:%s %d bytes", hex.EncodeToString(sum[:8]), cmp.Or(findNonce([]byte(hint)), "-"), len(file))
}

// imageRequest is what the routes about images have in common.
type imageRequest struct {
	Model    string `json:"model"`
	Prompt   string `json:"prompt"`
	N        int    `json:"n"`
	Stream   bool   `json:"stream"`
	Partials int    `json:"partial_images"`
	Form     string `json:"response_format"`

	kind  string // prefix of the events
	input []byte // images to work on
}

// images serves POST /v1/images/generations.
func images(x *exchange) (reply, *fault) {
	q := imageRequest{kind: "image_generation"}
	if f := decodeOpenAI(x, &q); f != nil {
		return reply{}, f
	}
	if q.Prompt == "" {
		return reply{}, missing("prompt")
	}
	return q.answer(x)
}

// imageEdits serves POST /v1/images/edits.
func imageEdits(x *exchange) (reply, *fault) { return formImage(x, "image_edit", true) }

// imageVariations serves POST /v1/images/variations.
func imageVariations(x *exchange) (reply, *fault) { return formImage(x, "", false) }

func formImage(x *exchange, kind string, prompted bool) (reply, *fault) {
	form, f := readForm(x)
	if f != nil {
		return reply{}, f
	}
	q := imageRequest{kind: kind, Model: form.text("model"), Prompt: form.text("prompt"), Form: form.text("response_format"), Stream: form.text("stream") == "true"}
	q.N, _ = strconv.Atoi(form.text("n"))
	q.Partials, _ = strconv.Atoi(form.text("partial_images"))
	for _, name := range []string{"image", "image[]", "mask"} {
		for _, file := range form[name] {
			q.input = append(q.input, file...)
		}
	}
	switch {
	case len(q.input) == 0:
		return reply{}, missing("image")
	case prompted && q.Prompt == "":
		return reply{}, missing("prompt")
	}
	return q.answer(x)
}

func (q *imageRequest) answer(x *exchange) (reply, *fault) {
	if _, f := openAIModel(x, q.Model); f != nil {
		return reply{}, f
	}
	p := &prompt{}
	p.add("user", q.Prompt)
	if f := x.direct(p); f != nil {
		return reply{}, f
	}
	var data list
	for i := range max(q.N, 1) {
		picture := Media(q.Prompt+string(q.input)+strconv.Itoa(i), 1024)
		one := obj("b64_json", base64.StdEncoding.EncodeToString(picture))
		if q.Form == "url" {
			one = obj("url", "https://images.example/"+hex.EncodeToString(picture[:8])+".png")
		}
		if x.echoes("body") {
			one = one.with("revised_prompt", x.headerText())
		}
		data = append(data, one)
	}
	if q.Stream && q.kind != "" {
		return q.stream(x, p, data), nil
	}
	body := obj("created", created, "data", data)
	if x.b.Usage != UsageNone {
		body = body.with("usage", q.usage(x, p, len(data)))
	}
	return unaryOpenAI(x, body), nil
}

// usage counts the text by CountTokens, a hundred tokens an image made, and one for
// every 64 bytes of images sent.
func (q *imageRequest) usage(x *exchange, p *prompt, made int) raw {
	n, out := spell(x.b), int64(100*made)
	if x.b.Usage == UsageNegative {
		out = -out
	}
	text, image := CountTokens(q.Prompt), int64(len(q.input)/64)
	return obj("input_tokens", n(text+image), "input_tokens_details", obj("text_tokens", n(text), "image_tokens", n(image)),
		"output_tokens", n(out), "total_tokens", n(text+image+out))
}

func (q *imageRequest) stream(x *exchange, p *prompt, data list) reply {
	var frames []frame
	for i, one := range data {
		var named struct {
			Data string `json:"b64_json"`
		}
		_ = json.Unmarshal(one, &named) // it was made here
		add := func(kind string, more ...any) {
			kind = q.kind + "." + kind
			body := obj("type", kind, "created_at", created, "size", "1024x1024").with(more...)
			frames = append(frames, frame{event: kind, data: disfigure(body, x.b), text: true})
		}
		for k := range q.Partials {
			add("partial_image", "b64_json", named.Data[:len(named.Data)/2], "partial_image_index", k)
		}
		more := []any{"b64_json", named.Data}
		if x.echoes("body") {
			more = append(more, "revised_prompt", x.headerText())
		}
		if x.b.Usage != UsageNone && i == len(data)-1 {
			more = append(more, "usage", q.usage(x, p, len(data)))
		}
		add("completed", more...)
	}
	return x.events(frames)
}

// events is an answer as a stream without an end mark.
func (x *exchange) events(frames []frame) reply {
	return reply{
		status: http.StatusOK, header: streamHeaders(openAIHeaders(x)), frames: frames, ping: ": keep-alive\n\n",
		broken: frame{event: "error", data: openAIError(openAIStreamError(x)).with("type", "error")},
	}
}

// binary is an answer that is no JSON.
func (x *exchange) binary(mime string, b []byte) reply {
	if x.echoes("body") {
		b = append(b, x.headerText()...)
	}
	h := openAIHeaders(x)
	h.Set("Content-Type", mime)
	return reply{status: http.StatusOK, header: h, body: b}
}

// soundBytes is how much sound a Server makes of each frame.
const soundBytes = 8 << 10

// speech serves POST /v1/audio/speech.
func speech(x *exchange) (reply, *fault) {
	var q struct {
		Model  string          `json:"model"`
		Input  string          `json:"input"`
		Voice  json.RawMessage `json:"voice"`
		Form   string          `json:"response_format"`
		Stream string          `json:"stream_format"`
	}
	if f := decodeOpenAI(x, &q); f != nil {
		return reply{}, f
	}
	if _, f := openAIModel(x, q.Model); f != nil {
		return reply{}, f
	}
	switch {
	case q.Input == "":
		return reply{}, missing("input")
	case !present(q.Voice):
		return reply{}, missing("voice")
	}
	p := &prompt{}
	p.add("user", q.Input)
	if f := x.direct(p); f != nil {
		return reply{}, f
	}
	n := cmp.Or(x.b.Frames, 8)
	sound := Media(q.Input, n*soundBytes)
	if q.Stream != "sse" {
		kinds := map[string]string{"": "audio/mpeg", "mp3": "audio/mpeg", "wav": "audio/wav", "pcm": "audio/pcm", "opus": "audio/opus", "flac": "audio/flac", "aac": "audio/aac"}
		kind, ok := kinds[q.Form]
		if !ok {
			return reply{}, badRequest("response_format", "Invalid value: '"+q.Form+"'.")
		}
		return x.binary(kind, sound), nil
	}
	var frames []frame
	for piece := range slices.Chunk(sound, soundBytes) {
		text := base64.StdEncoding.EncodeToString(piece)
		if x.echoes("body") {
			text = x.headerText()
		}
		frames = append(frames, frame{data: disfigure(obj("type", "speech.audio.delta", "audio", text), x.b), text: true})
	}
	done := obj("type", "speech.audio.done")
	if x.b.Usage != UsageNone {
		in, out, spelt := CountTokens(q.Input), int64(10*n), spell(x.b)
		done = done.with("usage", obj("input_tokens", spelt(in), "output_tokens", spelt(out), "total_tokens", spelt(in+out)))
	}
	return x.events(append(frames, frame{data: done})), nil
}

// form holds the parts of a form by name.
type form map[string][][]byte

func (f form) text(name string) string {
	if len(f[name]) == 0 {
		return ""
	}
	return string(f[name][0])
}

func readForm(x *exchange) (form, *fault) {
	_, params, err := mime.ParseMediaType(x.r.Header.Get("Content-Type"))
	if err != nil {
		return nil, badRequest("", "Could not parse multipart form.")
	}
	f, r := form{}, multipart.NewReader(bytes.NewReader(x.body), params["boundary"])
	for {
		part, err := r.NextRawPart()
		if err == io.EOF {
			return f, nil
		}
		if err != nil {
			return nil, badRequest("", "Could not parse multipart form.")
		}
		b, err := io.ReadAll(part)
		if err != nil {
			return nil, badRequest("", "Could not parse multipart form.")
		}
		f[part.FormName()] = append(f[part.FormName()], b)
	}
}

// translations serves POST /v1/audio/translations.
func translations(x *exchange) (reply, *fault) { return hear(x, false) }

// transcriptions serves POST /v1/audio/transcriptions.
func transcriptions(x *exchange) (reply, *fault) { return hear(x, true) }

func hear(x *exchange, streams bool) (reply, *fault) {
	q, f := readForm(x)
	if f != nil {
		return reply{}, f
	}
	m, f := openAIModel(x, q.text("model"))
	if f != nil {
		return reply{}, f
	}
	if len(q["file"]) != 1 {
		return reply{}, missing("file")
	}
	p := &prompt{}
	p.add("user", q.text("prompt"))
	if f := x.direct(p); f != nil {
		return reply{}, f
	}
	said := Transcript(q["file"][0], q.text("prompt"))
	if x.echoes("body") {
		said = x.headerText()
	}
	// As at the vendor, the oldest model is paid by the second and does not stream.
	old := strings.HasPrefix(m.ID, "whisper")
	audio, text, out, n := int64(len(q["file"][0])/100), CountTokens(q.text("prompt")), CountTokens(said), spell(x.b)
	usage := obj("type", "tokens", "input_tokens", n(audio+text), "input_token_details", obj("text_tokens", n(text), "audio_tokens", n(audio)),
		"output_tokens", n(out), "total_tokens", n(audio+text+out))
	if old {
		usage = obj("type", "duration", "seconds", 3)
	}
	switch form := q.text("response_format"); form {
	case "text":
		return x.binary("text/plain; charset=utf-8", []byte(said+"\n")), nil
	case "srt":
		return x.binary("text/plain; charset=utf-8", []byte("1\n00:00:00,000 --> 00:00:03,000\n"+said+"\n\n")), nil
	case "vtt":
		return x.binary("text/vtt; charset=utf-8", []byte("WEBVTT\n\n00:00:00.000 --> 00:00:03.000\n"+said+"\n\n")), nil
	case "", "json", "verbose_json", "diarized_json":
	default:
		return reply{}, badRequest("response_format", "Invalid value: '"+form+"'.")
	}
	if streams && !old && q.text("stream") == "true" {
		var frames []frame
		for _, piece := range pieces(said, cmp.Or(x.b.Frames, 8)) {
			frames = append(frames, frame{data: disfigure(obj("type", "transcript.text.delta", "delta", piece), x.b), text: true})
		}
		done := obj("type", "transcript.text.done", "text", said)
		if x.b.Usage != UsageNone {
			done = done.with("usage", usage)
		}
		return x.events(append(frames, frame{data: done})), nil
	}
	body := obj("text", said)
	if x.b.Usage != UsageNone && streams {
		body = body.with("usage", usage)
	}
	return unaryOpenAI(x, body), nil
}

// moderations serves POST /v1/moderations. A text is flagged that speaks of violence.
func moderations(x *exchange) (reply, *fault) {
	var q struct {
		embeddingRequest
	}
	if f := decodeOpenAI(x, &q); f != nil {
		return reply{}, f
	}
	m, f := openAIModel(x, cmp.Or(q.Model, "omni-moderation-latest"))
	if f != nil {
		return reply{}, f
	}
	texts, f := q.inputs()
	if f != nil {
		return reply{}, f
	}
	p := &prompt{}
	for _, t := range texts {
		p.add("user", t)
	}
	if f := x.direct(p); f != nil {
		return reply{}, f
	}
	var results list
	for _, t := range texts {
		flagged := strings.Contains(t, "violence")
		results = append(results, obj("flagged", flagged, "categories", obj("violence", flagged), "category_scores", obj("violence", float64(CountTokens(t)%100)/100)))
	}
	body := obj("id", bodyID("modr-", x.body), "model", x.declared(m), "results", results)
	if x.echoes("body") {
		body = body.with("echo", x.headerText())
	}
	return unaryOpenAI(x, body), nil
}

// rerank serves POST /v1/rerank as Cohere does: documents are the more relevant the
// more words they share with the query.
func rerank(x *exchange) (reply, *fault) {
	var q struct {
		Model     string   `json:"model"`
		Query     string   `json:"query"`
		Documents []string `json:"documents"`
		TopN      int      `json:"top_n"`
	}
	if f := decodeOpenAI(x, &q); f != nil {
		return reply{}, f
	}
	if _, f := openAIModel(x, q.Model); f != nil {
		return reply{}, f
	}
	switch {
	case q.Query == "":
		return reply{}, missing("query")
	case len(q.Documents) == 0:
		return reply{}, missing("documents")
	}
	p := &prompt{}
	p.add("user", q.Query)
	if f := x.direct(p); f != nil {
		return reply{}, f
	}
	type rank struct{ index, shared int }
	var ranks []rank
	words := strings.Fields(q.Query)
	for i, d := range q.Documents {
		shared := 0
		for w := range strings.FieldsSeq(d) {
			if slices.Contains(words, w) {
				shared++
			}
		}
		ranks = append(ranks, rank{i, shared})
	}
	slices.SortStableFunc(ranks, func(a, b rank) int { return cmp.Compare(b.shared, a.shared) })
	if q.TopN > 0 {
		ranks = ranks[:min(q.TopN, len(ranks))]
	}
	var results list
	for _, r := range ranks {
		results = append(results, obj("index", r.index, "relevance_score", float64(r.shared)/float64(len(words))))
	}
	body := obj("id", bodyID("rerank-", x.body), "results", results)
	if x.b.Usage != UsageNone {
		body = body.with("meta", obj("api_version", obj("version", "2"), "billed_units", obj("search_units", 1)))
	}
	if x.echoes("body") {
		body = body.with("echo", x.headerText())
	}
	return unaryOpenAI(x, body), nil
}
