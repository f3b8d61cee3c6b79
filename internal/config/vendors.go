package config

import (
	"net/url"
	"regexp"
	"strings"

	"sallyport/internal/label"
	"sallyport/internal/price"
	"sallyport/internal/secret"
)

// vendor is a provider that Sallyport knows by its official address.
type vendor struct {
	name     string // of the upstream made from the environment
	kind     Kind
	baseURL  string
	host     string // official host; hosts below it are not meant
	provider string // whose price cards apply
	env      string // the variable that its own SDK or documentation uses for the key

	// endpoints of its API that it serves; nil for all.
	endpoints []string
}

// chatOnly is what most compatible providers serve.
var chatOnly = []string{"chat", "embeddings"}

// vendors lists the official addresses. Sources: the vendors' API references.
var vendors = []vendor{
	{"openai", OpenAI, "https://api.openai.com/v1", "api.openai.com", "openai", "OPENAI_API_KEY", nil},
	{"anthropic", Anthropic, "https://api.anthropic.com/v1", "api.anthropic.com", "anthropic", "ANTHROPIC_API_KEY", nil},
	{"gemini", Gemini, "https://generativelanguage.googleapis.com/v1beta", "generativelanguage.googleapis.com", "google", "GEMINI_API_KEY", nil},
	{"mistral", OpenAI, "https://api.mistral.ai/v1", "api.mistral.ai", "mistral", "MISTRAL_API_KEY", chatOnly},
	{"deepseek", OpenAI, "https://api.deepseek.com/v1", "api.deepseek.com", "deepseek", "DEEPSEEK_API_KEY", []string{"chat"}},
	{"xai", OpenAI, "https://api.x.ai/v1", "api.x.ai", "xai", "XAI_API_KEY", nil},
	{"groq", OpenAI, "https://api.groq.com/openai/v1", "api.groq.com", "groq", "GROQ_API_KEY", nil},
	{"together", OpenAI, "https://api.together.xyz/v1", "api.together.xyz", "together", "TOGETHER_API_KEY", chatOnly},
	{"openrouter", OpenAI, "https://openrouter.ai/api/v1", "openrouter.ai", "openrouter", "OPENROUTER_API_KEY", nil},
}

// moreHosts are further official hosts with price cards.
var moreHosts = map[string]string{
	"api.together.ai": "together", "api.cerebras.ai": "cerebras", "api.cohere.com": "cohere", "api.cohere.ai": "cohere",
	"api.fireworks.ai": "fireworks", "api.minimax.io": "minimax", "api.moonshot.ai": "moonshotai",
	"api.voyageai.com": "voyageai", "api.z.ai": "zai", "aiplatform.googleapis.com": "google",
	"aiplatform.eu.rep.googleapis.com": "google", "aiplatform.us.rep.googleapis.com": "google",
}

// cloudHosts end the host names of what operators have in clouds.
var cloudHosts = map[string]string{
	".openai.azure.com": "azure", ".services.ai.azure.com": "azure", ".cognitiveservices.azure.com": "azure",
	"-aiplatform.googleapis.com": "google",
}

// officialProvider is the provider whose official API a host serves, or nothing.
func officialProvider(host string) string {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	for _, v := range vendors {
		if host == v.host {
			return v.provider
		}
	}
	if regionOf(host) != "" {
		return "aws"
	}
	for suffix, provider := range cloudHosts {
		if strings.HasSuffix(host, suffix) {
			return provider
		}
	}
	return moreHosts[host]
}

// bedrockHost are the hosts of Bedrock's models, by region
// (docs.aws.amazon.com/general/latest/gr/bedrock.html).
var bedrockHost = regexp.MustCompile(`^bedrock-runtime(?:-fips)?\.([a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|api\.aws)$`)

// regionOf is the region of a host of Bedrock's, or nothing.
func regionOf(host string) string {
	if m := bedrockHost.FindStringSubmatch(host); m != nil {
		return m[1]
	}
	return ""
}

// defaultRegion is the region of the base URL, of kind bedrock.
func (u *Upstream) defaultRegion() string {
	base, err := url.Parse(u.BaseURL)
	if err != nil || u.Kind != Bedrock {
		return ""
	}
	return regionOf(strings.ToLower(base.Hostname()))
}

// defaultEndpoints are the endpoints that an official host is known to serve; nil
// for all.
func (u *Upstream) defaultEndpoints() []string {
	if base, err := url.Parse(u.BaseURL); err == nil {
		for _, v := range vendors {
			if v.kind == u.Kind && strings.EqualFold(base.Hostname(), v.host) {
				return v.endpoints
			}
		}
	}
	return nil
}

// defaultProvider is whose price cards apply when the file does not say.
func (u *Upstream) defaultProvider() string {
	if u.Class == label.OnSite {
		return price.Local
	}
	if p := cloudProviders[u.Kind]; p != "" {
		return p
	}
	base, err := url.Parse(u.BaseURL)
	if err != nil {
		return ""
	}
	return officialProvider(base.Hostname())
}

// cloudProviders are whose price cards apply to the kinds that only their cloud has.
var cloudProviders = map[Kind]string{Azure: "azure", Vertex: "google", Bedrock: "aws"}

// FromEnvironment returns the configuration of an installation without a file:
// the defaults and one upstream for every vendor whose usual key variable is set,
// at its official address, vetted, with all its models exposed. Variables that
// name another address, such as OPENAI_BASE_URL, are not looked at: whoever can
// set one would otherwise be sent the key and every prompt.
func FromEnvironment(env func(string) (string, bool)) *Config {
	c := &Config{}
	for _, v := range vendors {
		key, ok := env(v.env)
		if key = strings.TrimSpace(key); !ok || key == "" {
			continue
		}
		c.Upstreams = append(c.Upstreams, Upstream{
			Name: v.name, Kind: v.kind, BaseURL: v.baseURL, Key: NewRef("env:"+v.env, secret.New(key)),
			Class: label.Vetted, Provider: v.provider, ExposeUnlisted: true,
		})
	}
	c.fill()
	return c
}

// EnvironmentKeys lists the variables that FromEnvironment looks at.
func EnvironmentKeys() []string {
	names := make([]string, len(vendors))
	for i, v := range vendors {
		names[i] = v.env
	}
	return names
}
