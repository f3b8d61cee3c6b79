package auth

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/secret"
)

// Values that are strong by construction, for tests only.
const (
	hexSecret    = "9f3c1e7a50b2d84c6a19f0e35b7d428c1f6e0a93d5b7284e60cf39a1b85d27e4"
	base64Secret = "Vx3kPz8QmR5tYw1uBn6LcE9sDf2GhJ4aKo7TiXrZqUM="
)

func TestParseMaster(t *testing.T) {
	urlSafe := func(seed byte) string {
		b := make([]byte, 32)
		for i := range b {
			b[i] = seed + byte(i*7)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	for _, tt := range []struct {
		name, text string
		versions   []int64 // nil means refused
	}{
		{"hex", hexSecret, []int64{1}},
		{"base64", base64Secret, []int64{1}},
		{"base64 with a newline", base64Secret + "\n", []int64{1}},
		{"phrase", "the quay was empty but for two herons and a boat nobody had paid for", []int64{1}},
		{"one version", "v1:" + urlSafe(1), []int64{1}},
		{"padded", "v1:" + urlSafe(1) + "=", []int64{1}},
		{"newest first", "v3:" + urlSafe(1) + ",v1:" + urlSafe(2), []int64{3, 1}},
		{"lines", "v2:" + urlSafe(1) + "\nv1:" + urlSafe(2) + "\n", []int64{2, 1}},

		{"empty", " \n", nil},
		{"short", "hunter2", nil},
		{"half of a hex secret", hexSecret[:32], nil},
		{"half of a base64 secret", base64Secret[:22], nil},
		{"short phrase", "two herons and a boat", nil},
		{"long lower-case word", strings.Repeat("heronquaybt", 4), nil},
		{"repeated", strings.Repeat("Xy7-", 16), nil},
		{"one character", strings.Repeat("k", 64), nil},
		{"counting", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", nil},
		{"hash of nothing", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", nil},
		{"copied example", "sk-1234-Vx3kPz8QmR5tYw1uBn6LcE9sDf2GhJ4aKo7TiXrZqUM", nil},
		{"changeme in capitals", "CHANGEME-Vx3kPz8QmR5tYw1uBn6LcE9sDf2GhJ4aKo7TiXrZqUM", nil},
		{"zero version", "v0:" + urlSafe(1), nil},
		{"oldest first", "v1:" + urlSafe(2) + ",v2:" + urlSafe(1), nil},
		{"version twice", "v2:" + urlSafe(2) + ",v2:" + urlSafe(1), nil},
		{"value twice", "v2:" + urlSafe(1) + ",v1:" + urlSafe(1), nil},
		{"short version", "v1:" + urlSafe(1)[:40], nil},
		{"flat version", "v1:" + base64.RawURLEncoding.EncodeToString(make([]byte, 32)), nil},
		{"bare after versioned", "v2:" + urlSafe(1) + "," + base64Secret, nil},
		{"standard base64", "v2:" + strings.Repeat("+/", 22), nil},
		{"huge", strings.Repeat(base64Secret, 300), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := ParseMaster(secret.New(tt.text))
			if tt.versions == nil {
				if err == nil {
					t.Fatal("accepted")
				}
				if text := strings.TrimSpace(tt.text); len(text) > 8 && strings.Contains(err.Error(), text[len(text)-8:]) {
					t.Fatalf("the error tells the secret: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(m.Versions()); got != fmt.Sprint(tt.versions) || m.Newest() != tt.versions[0] {
				t.Errorf("versions %s, want %v", got, tt.versions)
			}
		})
	}
}

func TestSubkeysDiffer(t *testing.T) {
	m, err := ParseMaster(secret.New(NewSecretText(2).Reveal() + "," + NewSecretText(1).Reveal()))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[Subkey]string{}
	for _, v := range []int64{1, 2} {
		for _, purpose := range []string{"key lookup", "key binding", "keep", ""} {
			k, ok := m.Subkey(v, purpose)
			again, _ := m.Subkey(v, purpose)
			if !ok || k != again {
				t.Fatalf("version %d purpose %q: ok %v, repeatable %v", v, purpose, ok, k == again)
			}
			name := fmt.Sprint(v, purpose)
			if other, dup := seen[k]; dup {
				t.Errorf("%s and %s are the same key", name, other)
			}
			seen[k] = name
		}
	}
	if _, ok := m.Subkey(3, "keep"); ok {
		t.Error("a version that is not held gave a key")
	}
}

func TestSecretFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "secret")
	m, made, err := LoadMaster(dir)
	if err != nil || !made {
		t.Fatal(made, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatal(info.Mode(), err)
	}
	first, _ := m.Subkey(1, "x")
	if m, made, err = LoadMaster(dir); err != nil || made {
		t.Fatal(made, err)
	}
	if again, _ := m.Subkey(1, "x"); again != first {
		t.Error("the second start has another secret")
	}
	if n, err := m.add(); err != nil || n != 2 {
		t.Fatal(n, err)
	}
	if m, _, err = LoadMaster(dir); err != nil || m.Newest() != 2 {
		t.Fatal(m, err)
	}
	if again, _ := m.Subkey(1, "x"); again != first {
		t.Error("adding a version changed the old one")
	}
	if err := m.drop(1); err != nil {
		t.Fatal(err)
	}
	if err := m.drop(2); err == nil {
		t.Error("the last version was dropped")
	}
	if m, _, err = LoadMaster(dir); err != nil || fmt.Sprint(m.Versions()) != "[2]" {
		t.Fatal(m.Versions(), err)
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o660} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, _, err := LoadMaster(dir); err == nil {
			t.Errorf("mode %o was accepted", mode)
		}
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := LoadMaster(dir); err == nil {
		t.Error("an empty file was accepted, or replaced")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestSecretFileIsNotALinkOut(t *testing.T) {
	dir, out := t.TempDir(), filepath.Join(t.TempDir(), "elsewhere")
	if err := os.WriteFile(out, []byte(base64Secret), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(out, filepath.Join(dir, "secret")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := LoadMaster(dir); err == nil {
		t.Error("a link out of the data folder was followed")
	}
}

func TestMasterNeverShown(t *testing.T) {
	m, err := ParseMaster(secret.New(base64Secret))
	if err != nil {
		t.Fatal(err)
	}
	k, _ := m.Subkey(1, "x")
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+verb+verb+verb, m, k, struct{ K Subkey }{k}, Config{Master: m})
	}
	b, err := json.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(b)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "m", m, "k", k)
	slog.New(slog.NewTextHandler(&out, nil)).Info("m", "m", m, "k", k)
	for _, bad := range []string{base64Secret, fmt.Sprintf("%x", base64Secret), fmt.Sprintf("%x", k[:]), fmt.Sprint(k[:8])[1:20]} {
		if strings.Contains(out.String(), bad) {
			t.Fatalf("shown: %s", out.String())
		}
	}
}
