package config

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"reflect"
	"slices"

	"sallyport/internal/price"
)

// Hash is a hex SHA-256 over the effective configuration in a canonical form.
// References count by their text: no secret enters it, so that a rotated key
// does not change it and a guessed one cannot be confirmed by it.
func (c *Config) Hash() string {
	b, err := json.Marshal(c)
	if err != nil {
		panic("config: " + err.Error()) // no value of these types fails to marshal
	}
	sum := sha256.Sum256(append([]byte("sallyport configuration v1\n"), b...))
	return hex.EncodeToString(sum[:])
}

// Diff lists the fields that differ between two configurations and take effect
// only after a restart, by their names in the file.
func Diff(running, next *Config) (restart []string) {
	for _, f := range []struct {
		name    string
		changed bool
	}{
		{"listen", running.Listen != next.Listen},
		{"tls", (running.TLS == nil) != (next.TLS == nil)},
		{"behind_proxy", !slices.Equal(running.BehindProxy, next.BehindProxy)},
		{"admin.listen", running.Admin.Listen != next.Admin.Listen},
		{"admin.tls", (running.Admin.TLS == nil) != (next.Admin.TLS == nil)},
		{"admin.behind_proxy", !slices.Equal(running.Admin.BehindProxy, next.Admin.BehindProxy)},
		{"admin.hosts", !slices.Equal(running.Admin.Hosts, next.Admin.Hosts)},
		{"data", running.Data != next.Data},
		{"database.url", differ(running.Database.URL, next.Database.URL)},
		{"secret", differ(running.Secret, next.Secret)},
		{"durability", running.Durability != next.Durability},
		{"limits.header", running.Limits.Header != next.Limits.Header},
		{"retention.journal", running.Retention.Journal != next.Retention.Journal},
		{"retention.documents", running.Retention.Documents != next.Retention.Documents},
		{"watch", !reflect.DeepEqual(running.Watch, next.Watch)},
		{"log", running.Log != next.Log},
		{"metrics.token", differ(running.Metrics.Token, next.Metrics.Token)},
	} {
		if f.changed {
			restart = append(restart, f.name)
		}
	}
	return restart
}

// differ reports whether two references are not the same or lead to other secrets.
func differ(a, b Ref) bool {
	return a.String() != b.String() || a.Secret().Reveal() != b.Secret().Reveal()
}

// Cards returns the operator's prices as cards, to be passed to price.NewBook
// after the built-in ones. A card's id contains a part of its hash: another
// price is another card.
func (c *Config) Cards() []price.Card {
	cards := make([]price.Card, 0, len(c.Prices))
	for _, p := range c.Prices {
		card := price.Card{
			Provider: p.Provider, Model: p.Model, From: p.From.Micros(), Until: p.Until.Micros(),
			Source: "the operator's configuration", Rates: price.Rates(p.USDPerMillion),
		}
		for _, t := range p.Tiers {
			card.Tiers = append(card.Tiers, price.Tier{Above: int64(t.Above), Rates: price.Rates(t.USDPerMillion)})
		}
		id := "operator/" + p.Provider + "/" + p.Model
		if !p.From.IsZero() {
			id += "@" + p.From.String()
		}
		card.ID = id + "#" + card.Hash()[:12]
		cards = append(cards, card)
	}
	return cards
}
