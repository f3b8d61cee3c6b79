package upstreamtest

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
)

// TestMediaAnswers: the answers about images, audio, moderation and ranking depend
// on the request.
func TestMediaAnswers(t *testing.T) {
	s := start(t, Config{})
	image := ok(t, s, "/v1/images/generations", `{"model":"gpt-image-1","prompt":"a cat","n":2}`).body
	for _, want := range []string{base64.StdEncoding.EncodeToString(Media("a cat0", 1024)), base64.StdEncoding.EncodeToString(Media("a cat1", 1024)), `"output_tokens": 200`} {
		if !strings.Contains(string(image), want) {
			t.Errorf("%.40s is missing in %.300s", want, image)
		}
	}
	sound := ok(t, s, "/v1/audio/speech", `{"model":"gpt-4o-mini-tts","input":"hello","voice":"alloy"}`)
	if string(sound.body) != string(Media("hello", 8*soundBytes)) || sound.Header.Get("Content-Type") != "audio/mpeg" {
		t.Errorf("%d bytes of %s", len(sound.body), sound.Header.Get("Content-Type"))
	}
	verdict := ok(t, s, "/v1/moderations", `{"input":["violence","peace"]}`).body
	if strings.Count(string(verdict), `"flagged": true`) != 1 {
		t.Errorf("%s", verdict)
	}
	ranking := decode(t, ok(t, s, "/v1/rerank", `{"model":"rerank-v3.5","query":"red fox","documents":["a dog","a red fox","red"],"top_n":2}`).body)
	if ranking.len("results") != 2 || ranking.num("results.0.index") != "1" || ranking.num("results.1.index") != "2" {
		t.Errorf("%v", ranking)
	}
	for path, body := range map[string]string{
		"/v1/images/generations":   `{"model":"gpt-image-1"}`,
		"/v1/audio/speech":         `{"model":"gpt-4o-mini-tts","input":"hello"}`,
		"/v1/audio/transcriptions": `{"model":"whisper-1"}`,
		"/v1/rerank":               `{"model":"rerank-v3.5","query":"x"}`,
		"/v1/moderations":          `{}`,
	} {
		if got := post(t, s, path, body); got.StatusCode != http.StatusBadRequest {
			t.Errorf("%s %s: status %d", path, body, got.StatusCode)
		}
	}
}
