package app

import (
	"io/fs"
	"testing"

	"sallyport/internal/config"
	"sallyport/internal/upstream"
)

// TestCloudSettings: what a file says about clouds reaches their upstreams.
func TestCloudSettings(t *testing.T) {
	const file = `
upstreams:
  - name: azure
    kind: azure
    base_url: https://a.openai.azure.com
    token: env:TOKEN
    api_version: 2024-10-21
  - name: bedrock
    kind: bedrock
    base_url: https://bedrock-runtime.eu-central-1.amazonaws.com
    key_id: env:KEY_ID
    key: env:SECRET
    token: env:TOKEN
`
	env := map[string]string{"TOKEN": "token", "KEY_ID": "id", "SECRET": "secret"}
	cfg, err := config.Parse("test.yaml", []byte(file), func(name string) (string, bool) { v, ok := env[name]; return v, ok },
		func(string) ([]byte, error) { return nil, fs.ErrNotExist })
	if err != nil {
		t.Fatal(err)
	}
	want := map[upstream.Kind][6]string{
		upstream.Azure:   {"", "", "token", "2024-10-21", "", "azure"},
		upstream.Bedrock: {"id", "secret", "token", "", "eu-central-1", "aws"},
	}
	for _, c := range cfg.Upstreams {
		set, err := settings(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		got := [6]string{set.KeyID.Reveal(), set.Key.Reveal(), set.Token.Reveal(), set.APIVersion, set.Region, set.Provider}
		if got != want[set.Kind] {
			t.Errorf("%s: %q, want %q", set.Kind, got, want[set.Kind])
		}
		if _, err := upstream.New(set); err != nil {
			t.Error(err)
		}
	}
}
