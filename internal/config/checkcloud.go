package config

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// apiVersion is the form of Azure's versions.
var apiVersion = regexp.MustCompile(`^20[0-9]{2}-[0-9]{2}-[0-9]{2}(-preview)?$`)

// cloud checks the fields that only kinds of a cloud have.
func (k *checker) cloud(field string, u *Upstream) {
	for _, only := range []struct {
		name  string
		given bool
		kinds []Kind
	}{
		{"key_id", !u.KeyID.IsZero(), []Kind{Bedrock}},
		{"token", !u.Token.IsZero(), []Kind{Azure, Bedrock}},
		{"region", k.given(field + ".region"), []Kind{Bedrock}},
		{"api_version", u.APIVersion != "", []Kind{Azure}},
	} {
		if only.given && !slices.Contains(only.kinds, u.Kind) {
			k.add(field+"."+only.name, "means nothing to kind "+string(u.Kind), "remove it")
		}
	}
	switch u.Kind {
	case Azure:
		k.azure(field, u)
	case Vertex:
		k.vertex(field, u)
	case Bedrock:
		k.bedrock(field, u)
	default:
		return
	}
	if u.ExposeUnlisted && len(u.Models) == 0 {
		k.add(field+".expose_unlisted", "kind "+string(u.Kind)+" cannot list what is deployed", "list them under models")
	}
}

func (k *checker) azure(field string, u *Upstream) {
	if !u.Token.IsZero() && !u.Key.IsZero() {
		k.add(field+".token", "stands beside key", "remove one of the two")
	}
	if u.APIVersion != "" && !apiVersion.MatchString(u.APIVersion) {
		k.add(field+".api_version", "is not a version", "write one such as 2024-10-21, or remove it for the API without versions")
	}
	if base, err := url.Parse(u.BaseURL); err == nil && strings.HasPrefix(strings.TrimLeft(base.Path, "/"), "openai") {
		k.add(field+".base_url", "holds a path that Sallyport adds", "write it as https://NAME.openai.azure.com")
	}
}

// publisher is how the address of a publisher's models ends.
var publisher = regexp.MustCompile(`/projects/[^/]+/locations/[^/]+/publishers/(google|anthropic)/?$`)

func (k *checker) vertex(field string, u *Upstream) {
	if base, err := url.Parse(u.BaseURL); err == nil && !publisher.MatchString(base.Path) {
		k.add(field+".base_url", "names no publisher", "write it as https://REGION-aiplatform.googleapis.com/v1/projects/PROJECT/locations/REGION/publishers/google, or anthropic")
	}
	if u.Key.IsZero() {
		k.add(field+".key", "is missing", "set it to the key file of a service account, as a reference")
	}
}

// region is the form of a region's name.
var region = regexp.MustCompile(`^[a-z]{2,}(-[a-z]+)+-[0-9]+$`)

func (k *checker) bedrock(field string, u *Upstream) {
	if u.Key.IsZero() || u.KeyID.IsZero() {
		k.add(field+".key_id", "key_id or key is missing", "set both, as references: the access key id and its secret")
	}
	if !region.MatchString(u.Region) {
		k.add(field+".region", "is not the name of a region", "write one such as eu-central-1; it is found when base_url is https://bedrock-runtime.REGION.amazonaws.com")
	}
}
