package config

import (
	"net/url"
	"regexp"
	"strings"
)

// apiVersion is the form of Azure's versions.
var apiVersion = regexp.MustCompile(`^20[0-9]{2}-[0-9]{2}-[0-9]{2}(-preview)?$`)

// cloud checks the fields that only kinds of a cloud have.
func (k *checker) cloud(field string, u *Upstream) {
	for _, only := range []struct {
		name  string
		given bool
		kind  Kind
	}{
		{"token", !u.Token.IsZero(), Azure},
		{"api_version", u.APIVersion != "", Azure},
	} {
		if only.given && u.Kind != only.kind {
			k.add(field+"."+only.name, "is of kind "+string(only.kind)+" only", "remove it")
		}
	}
	if u.Kind != Azure {
		return
	}
	if !u.Token.IsZero() && !u.Key.IsZero() {
		k.add(field+".token", "stands beside key", "remove one of the two")
	}
	if u.APIVersion != "" && !apiVersion.MatchString(u.APIVersion) {
		k.add(field+".api_version", "is not a version", "write one such as 2024-10-21, or remove it for the API without versions")
	}
	if base, err := url.Parse(u.BaseURL); err == nil && strings.HasPrefix(strings.TrimLeft(base.Path, "/"), "openai") {
		k.add(field+".base_url", "holds a path that Sallyport adds", "write it as https://NAME.openai.azure.com")
	}
	k.listed(field, u)
}

// listed refuses to expose what a cloud cannot list.
func (k *checker) listed(field string, u *Upstream) {
	if u.ExposeUnlisted && len(u.Models) == 0 {
		k.add(field+".expose_unlisted", "kind "+string(u.Kind)+" cannot list what is deployed", "list them under models")
	}
}
