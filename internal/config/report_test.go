package config

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// world is what a configuration can refer to.
type world struct {
	env   map[string]string
	files map[string][]byte
}

func (w world) lookup(name string) (string, bool) {
	v, ok := w.env[name]
	return v, ok
}

func (w world) readFile(name string) ([]byte, error) {
	b, ok := w.files[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return b, nil
}

func (w world) parse(text string) (*Config, error) {
	return Parse("sallyport.yaml", []byte(text), w.lookup, w.readFile)
}

// TestReports compares whole reports: every problem at once, with line, column,
// field and fix, and none with a secret. Secrets contain the word canary.
func TestReports(t *testing.T) {
	files, err := filepath.Glob("testdata/reports/*.txt")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d reports, %v", len(files), err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			w := world{env: map[string]string{}, files: map[string][]byte{}}
			var text, want string
			for _, f := range archive.Files {
				switch f.Name {
				case "sallyport.yaml":
					text = string(f.Data)
				case "want":
					want = strings.TrimSpace(string(f.Data))
				case "env":
					for line := range strings.Lines(string(f.Data)) {
						k, v, _ := strings.Cut(strings.TrimSpace(line), "=")
						w.env[k] = strings.NewReplacer(`\r`, "\r", `\n`, "\n").Replace(v)
					}
				case "files":
					for line := range strings.Lines(string(f.Data)) {
						w.files[strings.TrimSpace(line)] = []byte("\n")
					}
				default:
					t.Fatalf("unknown part %s", f.Name)
				}
			}
			c, err := w.parse(text)
			got := "ok"
			if err != nil {
				got = err.Error()
				if _, ok := errors.AsType[Errors](err); !ok || c != nil {
					t.Errorf("Parse returned %v, %T", c, err)
				}
			}
			if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); diff != "" {
				t.Errorf("report (-want +got):\n%s", diff)
			}
			if strings.Contains(got, "canary") {
				t.Errorf("the report holds a secret:\n%s", got)
			}
		})
	}
}
