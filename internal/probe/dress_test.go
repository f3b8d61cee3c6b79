package probe

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"sallyport/internal/reference"
	"sallyport/internal/stat"
	"sallyport/internal/upstreamtest"
	"sallyport/internal/verdict"
)

// TestWorkTexts: every piece of work is whole, long enough, holds its question, and
// never comes twice.
func TestWorkTexts(t *testing.T) {
	skeletons := 0
	for _, language := range wordLanguages {
		skeletons += len(offices[language].skeletons)
	}
	if n := len(officeEN.skeletons); n < 40 {
		t.Errorf("%d skeletons in English, %d in all", n, skeletons)
	}
	r := stat.Rand(stat.Seed([32]byte{}, "texts"))
	seen := map[string]bool{}
	for _, cell := range cellsIn(WorkDress) {
		o := offices[languageOf(cell)]
		task, _, _ := strings.Cut(cell, ".")
		for range 200 {
			a := workAsk(cell, WorkDress, r)
			last := a.Turns[len(a.Turns)-1].Text
			if slot := slotForm.FindString(a.System + last); slot != "" {
				t.Fatalf("%s: the slot %s is not filled:\n%s", cell, slot, last)
			}
			if len(last) < minWork || !utf8.ValidString(last) {
				t.Fatalf("%s: %d bytes:\n%s", cell, len(last), last)
			}
			if seen[last] {
				t.Fatalf("%s: comes twice:\n%s", cell, last)
			}
			seen[last] = true
			if !strings.Contains(last, o.things[task][0]) && !strings.Contains(last, o.things[task][1]) || !slices.ContainsFunc(o.forms, func(w string) bool { return strings.Contains(last, slotForm.Split(w, 2)[0]) }) {
				t.Fatalf("%s: asks nothing:\n%s", cell, last)
			}
		}
	}
	for _, language := range wordLanguages[1:] {
		for _, task := range wordTasks {
			if !slices.Contains(cellsIn(WorkDress, language), task.name+"."+language) {
				t.Errorf("%s is not dressed in %s", task.name, language)
			}
		}
	}
}

// TestWorkTextsAreFixed: a changed text makes recorded references useless. Who changes
// one gives workVersion a new name, and this test the new hash.
func TestWorkTextsAreFixed(t *testing.T) {
	h := sha256.New()
	r := stat.Rand(stat.Seed([32]byte{}, "fixed"))
	for _, cell := range cellsIn(WorkDress) {
		for range 100 {
			a := workAsk(cell, WorkDress, r)
			fmt.Fprintf(h, "%s\n%v\n", a.body("m", "max_tokens"), a.Header)
		}
	}
	const want = "words-1 work-2 b0e806037afceff07cb8d995de03eaa850a22235280b8b24958a060857ac3b35"
	if got := versionOf(WorkDress) + " " + hex.EncodeToString(h.Sum(nil)); got != want {
		t.Errorf("the questions are %s", got)
	}
}

func TestChosen(t *testing.T) {
	for text, want := range map[string]string{
		"Teal":                                 "teal",
		"**Teal.**\n":                          "teal",
		"Thanks, noted.\nChoice: Teal":         "teal",
		"Noted.\n\n**Choice:** teal":           "teal",
		"Answer: teal":                         "teal",
		"- Choice: \"teal\"":                   "teal",
		"Choice: red\nor rather\nChoice: Teal": "teal",
		"```json\n{\"status\": \"done\", \"choice\": \"Teal\"}\n```": "teal",
		`{"reviewed": true, "choice": 42}`:                           "42",
		"Выбор: Синий":                                               "синий",
		"好的。\n选择：蓝色":                                                 "蓝色",
		"تم.\nالاختيار: أزرق":                                        "أزرق",
		"":                                                           "EMPTY",
	} {
		if got := chosen(&Reply{Outcome: Answered, Text: text}); got != want {
			t.Errorf("%q: chosen is %q, want %q", text, got, want)
		}
	}
	if got := chosen(&Reply{Outcome: Answered, Refusal: "no", Text: "Choice: teal"}); got != "REFUSED" {
		t.Errorf("a refusal is read as %q", got)
	}
}

// knowing gives a model answers to dressed questions: to each wording of a task those
// that it gives to the plain question of the same task.
func knowing(o *upstreamtest.Oracle) *upstreamtest.Oracle {
	marks := regexp.MustCompile(`[^\pL\pM\pN]+`)
	for _, task := range workTasks {
		answers := o.Cell("", "name some "+task)
		for _, frame := range officeEN.frames {
			d := newDesk(&officeEN, nil)
			d.fixed["one"], d.fixed["thing"] = officeEN.things[task][0], officeEN.things[task][1]
			question := strings.TrimSpace(marks.ReplaceAllString(strings.ToLower(d.fill(frame)), " "))
			o.Cells = append(o.Cells, upstreamtest.Cell{Question: regexp.MustCompile(question), Answers: answers})
		}
	}
	return o
}

// dressedReference is a reference of one deployment in a dress.
func dressedReference(t *testing.T, dress string, of *Endpoint) *reference.Opened {
	t.Helper()
	ref, err := Enrol(t.Context(), Enrolment{
		Name: "test", Model: testModel, Lifetime: time.Hour, Train: 30, Bank: 100, Parallel: 8, Price: free, Dress: dress, Languages: []string{"en"},
		Variants: []Source{{reference.Variant{Name: "a", Host: "127.0.0.1", Class: "local"}, of}},
	})
	if err != nil {
		t.Fatal(err)
	}
	opened, err := reference.Seal(&bytes.Buffer{}, nil, ref)
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

// TestProbeAwareRelay: a relay that serves the claimed model to whatever looks like a
// probe is not seen by plain questions and is by dressed ones; the claimed model
// itself is not accused. How well the questions can be told is measured beside.
func TestProbeAwareRelay(t *testing.T) {
	claimed := startOracle(t, knowing(&upstreamtest.Oracle{Seed: "one", Family: "claimed"}))
	cheap := startOracle(t, knowing(&upstreamtest.Oracle{Seed: "two", Family: "other"}))
	cfg, err := upstreamtest.Preset("R5")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Backend, cfg.Cheap, cfg.Keys = claimed.BaseURL(), cheap.BaseURL(), []string{"sk-audit"}
	relay, err := upstreamtest.StartRelay(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = relay.Close() })
	for _, dress := range []string{PlainDress, WorkDress} {
		ref := dressedReference(t, dress, auditedAt(t, claimed.BaseURL()))
		for name, url := range map[string]string{"relay": relay.BaseURL(), "claimed": claimed.BaseURL()} {
			t.Run(dress+" to the "+name, func(t *testing.T) {
				r, record := run(t, Config{Subject: auditedAt(t, url), Reference: ref, Profile: onlyWords(200), Camouflage: true})
				want := dress == WorkDress && name == "relay"
				v := verdictOn(t, r, verdict.Same)
				if v.Rejected != want {
					t.Errorf("rejected: %v with log10 E %.2f after %d answers", v.Rejected, v.MaxLogE, v.N)
				}
				checkCamouflage(t, r, dress)
				checkFile(t, record)
			})
		}
	}
}

// checkCamouflage: plain questions are told from traffic by their form without a mistake,
// dressed ones with many, and the report says against what. By words that were learnt
// from the same texts both are told.
func checkCamouflage(t *testing.T, r *verdict.Report, dress string) {
	t.Helper()
	c := r.Camouflage
	if c == nil {
		t.Fatal("how well the questions can be told from traffic is not said")
	}
	for _, told := range []verdict.Told{c.Told, c.Form} {
		if !(told.Low <= told.AUC && told.AUC <= told.High) {
			t.Errorf("%+v", told)
		}
	}
	if c.Against != "built-in requests of made-up applications" || !strings.Contains(c.Note, "dress: "+dress) {
		t.Errorf("%+v", c)
	}
	if dress == PlainDress && c.Form.AUC < .99 || dress == WorkDress && c.Form.Low > .85 || c.AUC < .99 {
		t.Errorf("the AUC is %.2f, by form alone %.2f", c.AUC, c.Form.AUC)
	}
	if len(c.Parts) != 1 || c.Parts[0].By != "D3" || c.Parts[0].AUC != c.AUC || c.Form.Probes != c.Probes {
		t.Errorf("by detector %+v, by form %+v", c.Parts, c.Form)
	}
}

// errands are other work than that of the questions, around which the same texts stand.
var errands = []string{
	"Summarise this in two sentences.", "Draft a short and friendly reply.", "List the open points as bullets.", "Translate the text above into German.",
	"Extract every date as a JSON array of strings.", "Which department should deal with this? Give its name only.", "Classify the tone as positive, neutral or negative.",
	"Rewrite it so that it sounds less formal.", "What is the total amount? Answer with the figure.", "Find spelling mistakes and correct them.", "Explain what the customer wants and what we should do next.",
	"Turn it into a message for the team chat.", "Suggest a subject line.", "Write a test for this.", "Is anything missing? Answer yes or no.", "Give the priority as low, medium or high.",
	"Return JSON with the members \"person\", \"company\" and \"due\".", "Write three possible titles.", "Make a table of who does what by when.", "Shorten it to at most 40 words.",
}

// TestTold is how well dressed questions are told from each kind of traffic: from
// requests of the same texts around other work, of the applications that the dress was
// fitted to, and of those that it was not. By form the last two must stay near each
// other: where only the first fell, the dress would have been fitted to it.
func TestTold(t *testing.T) {
	r := stat.Rand(stat.Seed([32]byte{}, "told"))
	vectors := func(n int, draw func(i int) Ask) (all [][]stat.Feature) {
		for i := range n {
			a := draw(i)
			v, ok := seenByRelay(a.body("", "max_tokens"))
			if !ok {
				t.Fatalf("no request: %+v", a)
			}
			all = append(all, v)
		}
		return all
	}
	cells := cellsIn(WorkDress, "en")
	probes := vectors(400, func(i int) Ask { return workAsk(cells[i%len(cells)], WorkDress, r) })
	of := func(apps []application) [][]stat.Feature {
		return vectors(1000, func(int) Ask { return pick(r, apps).request(r) })
	}
	kindred := vectors(1000, func(int) Ask {
		a := newDesk(&officeEN, r).write(pick(r, errands), "")
		sendAsWork(&a, 0, WorkDress, r)
		return a
	})
	audit := &audit{}
	for _, c := range []struct {
		name                  string
		n                     int
		traffic               [][]stat.Feature
		most, mostForm, least float64
	}{
		{"the same texts", 200, kindred[:200], .95, .7, .5},
		{"the same texts, with more to learn from", 400, kindred, .96, .6, .8},
		{"applications that were looked at", 400, of(knownApplications), 1, .88, .99},
		{"applications that were not", 400, of(otherApplications), 1, .82, .99},
	} {
		told, err := audit.told("D3", probes[:c.n], c.traffic)
		form, err2 := audit.told("D3", formOf(probes[:c.n]), formOf(c.traffic))
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		t.Logf("from %s: AUC %.3f (%.3f to %.3f), by form %.3f (%.3f to %.3f)", c.name, told.AUC, told.Low, told.High, form.AUC, form.Low, form.High)
		if told.AUC > c.most || form.AUC > c.mostForm || told.AUC < c.least {
			t.Errorf("from %s: AUC %.3f, by form %.3f", c.name, told.AUC, form.AUC)
		}
	}
}

// TestDressedItems: items of a dressed reference are sent like traffic, with room for
// their answers.
func TestDressedItems(t *testing.T) {
	item, err := makeItem("percent", 2, false, nil, "test", 0)
	if err != nil {
		t.Fatal(err)
	}
	r := stat.Rand(stat.Seed([32]byte{}, "items"))
	streamed, warm := 0, 0
	for range 400 {
		a := itemAsk(item, WorkDress, r)
		if a.MaxTokens != 0 && a.MaxTokens < itemTokens || a.TopP != nil || a.Header.Get("User-Agent") == "" || a.Turns[0].Text != item.Prompt {
			t.Fatalf("%+v", a)
		}
		if a.Stream {
			streamed++
		}
		if a.Temperature != nil {
			warm++
		}
	}
	if streamed < 150 || streamed > 250 || warm < 100 || warm > 180 {
		t.Errorf("of 400, %d are streamed and %d have a temperature", streamed, warm)
	}
}

// TestDressedBilling: questions on billing of a dressed reference are pieces of work
// with room for their answers, none comes twice, and an audit asks them.
func TestDressedBilling(t *testing.T) {
	r := stat.Rand(stat.Seed([32]byte{}, "billing"))
	seen := map[string]bool{}
	streamed, alone := 0, 0
	for _, a := range billingAsks(r, 400, WorkDress) {
		last := a.Turns[len(a.Turns)-1].Text
		if a.MaxTokens != 0 && a.MaxTokens < billingLimit || slotForm.MatchString(a.System+last) || seen[last] ||
			!slices.ContainsFunc(billingTopics, func(topic string) bool { return strings.Contains(last, topic) }) {
			t.Fatalf("%+v", a)
		}
		seen[last] = true
		if a.Stream {
			streamed++
		}
		if a.System == "" && len(a.Turns) == 1 {
			alone++
		}
	}
	if streamed < 150 || streamed > 250 || alone < 80 || alone > 190 {
		t.Errorf("of 400, %d are streamed and %d stand alone", streamed, alone)
	}
	s := startOracle(t, knowing(&upstreamtest.Oracle{Seed: "one", Family: "claimed"}))
	for _, dress := range []string{PlainDress, WorkDress} {
		ref := dressedReference(t, dress, auditedAt(t, s.BaseURL()))
		report, record := run(t, Config{Subject: auditedAt(t, s.BaseURL()), Reference: ref, Profile: Profile{"billing", map[verdict.ID]int{"D7": 40}}})
		if d := resultOf(t, report, "D7"); d.State != verdict.Ran || len(d.Findings) != 0 || d.Queries != 40 {
			t.Errorf("%s: %+v", dress, d)
		}
		dressed := 0
		for _, x := range record.Exchanges {
			if x.By == "D7" && x.Ask.Header.Get("User-Agent") != "" {
				dressed++
			}
		}
		if want := map[string]int{PlainDress: 0, WorkDress: 40}[dress]; dressed != want {
			t.Errorf("%s: %d of 40 questions are dressed", dress, dressed)
		}
		checkFile(t, record)
	}
}

// TestOtherDress: a reference in a dress that this version does not know is not compared
// with.
func TestOtherDress(t *testing.T) {
	now := time.Now()
	b := &baseline{Opened: &reference.Opened{Reference: reference.Reference{Expires: now.Add(time.Hour), Protocol: reference.Protocol{Questions: QuestionsVersion, Dress: "evening"}}}}
	if why := b.comparable(&Plan{Started: now}); !strings.Contains(why, "evening") {
		t.Errorf("it is compared: %q", why)
	}
	b.Protocol.Dress = WorkDress
	if why := b.comparable(&Plan{Started: now}); !strings.Contains(why, workVersion) {
		t.Errorf("it was recorded with other texts of work and is compared: %q", why)
	}
	b.Protocol.Questions = versionOf(WorkDress)
	if why := b.comparable(&Plan{Started: now}); why != "" {
		t.Error(why)
	}
	b.Words = []reference.Cell{{ID: "verb.xx"}}
	if why := b.comparable(&Plan{Started: now}); !strings.Contains(why, "verb.xx") {
		t.Errorf("a cell of no language is asked: %q", why)
	}
}

// TestSteadyDress: a model that takes no temperature but 1 is recorded and audited
// without others, and no question is refused.
func TestSteadyDress(t *testing.T) {
	s := startOracle(t, knowing(&upstreamtest.Oracle{Seed: "one", Family: "claimed"}))
	target, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	forward := httputil.NewSingleHostReverseProxy(target)
	var mu sync.Mutex
	reasoning := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var q struct{ Temperature *float64 }
		if json.Unmarshal(body, &q) == nil && q.Temperature != nil && *q.Temperature != 1 {
			mu.Lock()
			refused++
			mu.Unlock()
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error":{"message":"temperature is not supported"}}`)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(reasoning.Close)
	for name, c := range map[string]struct{ url, dress string }{
		"any temperature": {s.BaseURL(), WorkDress},
		"only 1":          {reasoning.URL + "/v1", steadyDress},
	} {
		ref := dressedReference(t, WorkDress, auditedAt(t, c.url))
		if ref.Protocol.Dress != c.dress || ref.Protocol.Questions != versionOf(WorkDress) {
			t.Fatalf("%s: recorded as %+v", name, ref.Protocol)
		}
		refused = 0
		r, record := run(t, Config{Subject: auditedAt(t, c.url), Reference: ref, Profile: onlyWords(100)})
		if v := verdictOn(t, r, verdict.Same); v.Rejected || v.N < 90 || refused != 0 {
			t.Errorf("%s: rejected: %v after %d answers, %d refused", name, v.Rejected, v.N, refused)
		}
		checkFile(t, record)
	}
}
