package probe_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/llm"
	"sallyport/internal/price"
	"sallyport/internal/probe"
	"sallyport/internal/reference"
	"sallyport/internal/tokens"
	"sallyport/internal/verdict"
)

// vocabularyIn opens a vocabulary among the test files of package tokens.
func vocabularyIn(t testing.TB, path string) *tokens.Vocabulary {
	t.Helper()
	v, err := tokens.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

const (
	qwenFile  = "../tokens/testdata/qwen.json"
	gemmaFile = "../tokens/testdata/gemma.json"
)

// runNamed audits an endpoint of a model that nothing is published of with one detector,
// by the vocabulary in a file.
func runNamed(t testing.TB, id verdict.ID, c *counter, v *tokens.Vocabulary) (verdict.Result, *probe.Record) {
	t.Helper()
	report, record, err := probe.Run(t.Context(), probe.Config{
		Program: "test", Subject: c.serveAs(t, "my-model"), Tokenizer: v, Profile: only(id, 160),
		Price: func(llm.Tokens) (price.Nano, bool) { return 0, true },
		Beacon: func(context.Context, string) (verdict.Beacon, error) {
			return verdict.Beacon{Value: "1", Source: "test"}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Detectors {
		if r.ID == id {
			return r, record
		}
	}
	t.Fatal("the detector is missing")
	return verdict.Result{}, nil
}

// TestTokenizer counts by a vocabulary that was named: honest counts lead to no
// finding, and each lie is found.
func TestTokenizer(t *testing.T) {
	qwen := vocabularyIn(t, qwenFile)
	for name, test := range map[string]struct {
		by       verdict.ID
		endpoint *counter
		says     string
	}{
		"honest prompts":  {"D1", &counter{}, ""},
		"template":        {"D1", &counter{hidden: map[string]int64{"plain": 30, "system": 30, "tool": 30}}, ""}, // it may be any
		"prompts 1.2":     {"D1", &counter{scale: times(1.2)}, "1.20 times those of " + qwen.Name},
		"other":           {"D1", &counter{file: vocabularyIn(t, gemmaFile)}, "neither as by " + qwen.Name},
		"published":       {"D1", &counter{file: tokens.Named("o200k_base")}, "exactly by the vocabulary o200k_base"},
		"honest answers":  {"D7", &counter{answer: prose, out: honestEnd}, ""},
		"answers 1.1":     {"D7", &counter{answer: prose, out: times(1.1)}, "are reported where " + qwen.Name + " counts"},
		"answers of less": {"D7", &counter{answer: prose, out: times(.9)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if test.endpoint.file == nil {
				test.endpoint.file = qwen
			}
			r, record := runNamed(t, test.by, test.endpoint, qwen)
			again := reopened(t, record)
			again.Tokenizer = qwen
			if _, err := again.Verify(t.Context()); err != nil {
				t.Errorf("verify: %v", err)
			}
			if found := fmt.Sprint(r.Findings); r.State != verdict.Ran || (test.says == "") != (len(r.Findings) == 0) || !strings.Contains(found, test.says) {
				t.Errorf("%s %s: %s, want %q\n%+v", r.State, r.Reason, found, test.says, r.Facts)
			}
		})
	}
}

// TestTokenizerIsNeeded does an audit again without the file that it counts by, with
// another one, and with the same under another name.
func TestTokenizerIsNeeded(t *testing.T) {
	qwen := vocabularyIn(t, qwenFile)
	_, record := runNamed(t, "D7", &counter{answer: prose, file: qwen, out: times(1.5)}, qwen)
	for name, v := range map[string]*tokens.Vocabulary{"none": nil, "another": vocabularyIn(t, gemmaFile)} {
		opened := reopened(t, record)
		opened.Tokenizer = v
		_, err := opened.Verify(t.Context())
		missing := (*probe.TokenizerError)(nil)
		if !errors.As(err, &missing) || errors.Is(err, probe.ErrOtherEnd) || !strings.Contains(err.Error(), qwen.Name) || !strings.Contains(err.Error(), qwen.SHA256) {
			t.Errorf("%s: %v", name, err)
		}
	}
	file, err := os.ReadFile(qwenFile)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "renamed.json")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	opened := reopened(t, record)
	opened.Tokenizer = vocabularyIn(t, path)
	if _, err := opened.Verify(t.Context()); err != nil {
		t.Errorf("under another name: %v", err)
	}
	opened = reopened(t, record) // and the plan says that there was none
	opened.Plan.Tokenizer = nil
	if _, err := opened.Verify(t.Context()); !errors.Is(err, probe.ErrOtherEnd) {
		t.Errorf("the plan was changed: %v", err)
	}
	_, record = runNamed(t, "D7", &counter{answer: prose}, nil)
	opened = reopened(t, record)
	if opened.Tokenizer = qwen; opened.Plan.Tokenizer != nil {
		t.Errorf("the plan names %+v", opened.Plan.Tokenizer)
	}
	if _, err := opened.Verify(t.Context()); err == nil || !strings.Contains(err.Error(), "counts by no file") {
		t.Errorf("a file that is not counted by: %v", err)
	}
}

// TestTokenizerOfReference records what an endpoint counts over a vocabulary that is
// named; only audits that count by the same file take its honest excess over.
func TestTokenizerOfReference(t *testing.T) {
	qwen, gemma := vocabularyIn(t, qwenFile), vocabularyIn(t, gemmaFile)
	enrolled := func(v *tokens.Vocabulary) *reference.Opened {
		return recordBy(t, &counter{answer: words, file: qwen}, v)
	}
	ref := enrolled(qwen)
	if a := ref.Accounting; a == nil || a.Vocabulary != qwen.Name || a.SHA256 != qwen.SHA256 || len(ref.Excess) != 40 || len(ref.Notes) != 0 {
		t.Fatalf("recorded %+v, %d excesses, notes %v", a, len(ref.Excess), ref.Notes)
	}
	if other := enrolled(gemma); other.Accounting.SHA256 != "" || len(other.Excess) != 0 || !strings.Contains(fmt.Sprint(other.Notes), "does not count by "+gemma.Name) {
		t.Errorf("by another vocabulary: %+v, %d excesses, notes %v", other.Accounting, len(other.Excess), other.Notes)
	}
	for name, test := range map[string]struct {
		by   *tokens.Vocabulary
		want string
	}{
		"the same": {qwen, "which its 40 answers bound by"},
		"another":  {gemma, "0.020 (assumed)"},
		"none":     {nil, "the reference counts by " + qwen.Name + ", whose file was not named"},
	} {
		report, _, err := probe.Run(t.Context(), probe.Config{
			Program: "test", Subject: (&counter{answer: prose, file: qwen}).serveAs(t, "my-model"), Tokenizer: test.by, Reference: ref, Profile: only("D7", 20),
			Price: func(llm.Tokens) (price.Nano, bool) { return 0, true },
			Beacon: func(context.Context, string) (verdict.Beacon, error) {
				return verdict.Beacon{Value: "1", Source: "test"}, nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range report.Detectors {
			if r.ID == "D7" && !strings.Contains(fmt.Sprint(r.Facts), test.want) {
				t.Errorf("%s: %+v, want %q", name, r.Facts, test.want)
			}
		}
	}
}
