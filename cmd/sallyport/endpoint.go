package main

import (
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/app"
	"sallyport/internal/config"
	"sallyport/internal/llm"
	"sallyport/internal/price"
	"sallyport/internal/probe"
	"sallyport/internal/secret"
	"sallyport/internal/upstream"
)

// endpointFlags say which endpoint is meant and how it is reached.
type endpointFlags struct {
	url      string
	upstream string
	kind     string
	model    string
	key      string
	ca       string
	timeout  time.Duration
	parallel int
	prices   string
	limit    string
}

func (e *endpointFlags) add(c *cobra.Command) {
	p := c.Flags()
	p.StringVar(&e.model, "model", "", "model to ask for (required)")
	p.StringVar(&e.upstream, "upstream", "", "an upstream of the configuration, in the place of an address")
	p.StringVar(&e.kind, "kind", "", "API that it speaks: openai, anthropic or gemini (default: told by the address, else openai)")
	p.StringVar(&e.key, "key", "", "credential: env:NAME, file:PATH, or - for standard input")
	p.StringVar(&e.ca, "ca", "", "file of PEM roots that replace the system's")
	p.DurationVar(&e.timeout, "timeout", probe.DefaultTimeout, "how long one question may take")
	p.IntVar(&e.parallel, "parallel", 8, "questions at a time")
	p.StringVar(&e.prices, "price", "", "list price as INPUT,OUTPUT in USD a million tokens, where none is known")
	p.StringVar(&e.limit, "cap", "", "most that may be spent, in USD (default 1 where a price is known)")
	_ = c.MarkFlagRequired("model")
}

// take takes the address that was given, if one was: either that or an upstream.
func (e *endpointFlags) take(args []string) error {
	switch {
	case len(args) == 1 && e.upstream == "":
		e.url = args[0]
	case len(args) == 1:
		return &exitError{exitUsage, "write either an address or --upstream, not both"}
	case e.upstream == "":
		return &exitError{exitUsage, "write the address of the endpoint, or --upstream and a name of the configuration"}
	case e.key != "" || e.kind != "" || e.ca != "":
		return &exitError{exitUsage, "--key, --kind and --ca belong to an address; an upstream has its own"}
	}
	return nil
}

// named is the endpoint that an address, or the name of an upstream, means, with a
// model behind a comma if it is another one.
func (e *endpointFlags) named(cmd *cobra.Command, f *flags, text string) (*probe.Endpoint, error) {
	other := *e
	place, model, named := strings.Cut(text, ",")
	if named {
		other.model = model
	}
	other.url, other.upstream = place, ""
	if !isAddress(place) {
		other.url, other.upstream = "", place
	}
	return other.endpoint(cmd, f)
}

// configured is the upstream of the configuration that the flags name.
func (f *flags) configured(cmd *cobra.Command, e *endpointFlags) (*probe.Endpoint, error) {
	c := config.FromEnvironment(os.LookupEnv)
	if f.config != "" {
		var err error
		if c, err = config.Load(f.config); err != nil {
			return nil, err
		}
	}
	u, err := app.Configured(cmd.Context(), c, e.upstream)
	if err != nil {
		return nil, &exitError{exitUsage, err.Error()}
	}
	return probe.NewEndpoint(probe.EndpointConfig{Configured: u, Model: e.model, Timeout: e.timeout})
}

// endpoint is the endpoint that the flags name.
func (e *endpointFlags) endpoint(cmd *cobra.Command, f *flags) (*probe.Endpoint, error) {
	if e.upstream != "" {
		return f.configured(cmd, e)
	}
	key, err := credential(cmd.InOrStdin(), e.key)
	if err != nil {
		return nil, &exitError{exitUsage, "--key: " + err.Error()}
	}
	var roots []byte
	if e.ca != "" {
		if roots, err = config.ReadFile(e.ca); err != nil {
			return nil, &exitError{exitUsage, "--ca: the file cannot be read: " + err.Error()}
		}
	}
	kind := upstream.Kind(e.kind)
	if kind == "" {
		kind = kindOf(e.url)
	}
	end, err := probe.NewEndpoint(probe.EndpointConfig{URL: e.url, Kind: kind, Key: key, Model: e.model, Timeout: e.timeout, CA: roots})
	if err != nil {
		return nil, &exitError{exitUsage, strings.Replace(err.Error(), "upstream audited: ", "", 1)}
	}
	return end, nil
}

// kindOf guesses the API from an address; what nothing is known of is compatible with
// OpenAI's, as nearly all are.
func kindOf(url string) upstream.Kind {
	switch {
	case strings.Contains(url, "api.anthropic.com"):
		return upstream.Anthropic
	case strings.Contains(url, "generativelanguage.googleapis.com"):
		return upstream.Gemini
	}
	return upstream.OpenAI
}

// credential reads a secret from where its reference says.
func credential(in io.Reader, ref string) (secret.String, error) {
	switch ref {
	case "":
		return secret.String{}, nil
	case "-":
		b, err := io.ReadAll(io.LimitReader(in, 64<<10))
		if err != nil {
			return secret.String{}, errors.New("standard input cannot be read")
		}
		return secret.New(strings.TrimSpace(string(b))), nil
	}
	r, err := config.Resolve(ref)
	return r.Secret(), err
}

// price is what the tokens of a model cost at its maker's list price, and the cap on
// what may be spent.
func (e *endpointFlags) price(kind string) (probe.Price, price.Nano, error) {
	of, err := e.listPrice(kind)
	if err != nil {
		return nil, 0, err
	}
	if e.limit != "" {
		usd, good := new(big.Rat).SetString(e.limit)
		if !good || usd.Sign() <= 0 || usd.Cmp(big.NewRat(1e6, 1)) > 0 {
			return nil, 0, &exitError{exitUsage, "--cap: write an amount in USD, such as 0.50"}
		}
		if _, known := of(llm.Tokens{}); !known {
			return nil, 0, &exitError{exitUsage, "--cap needs a price and none is known for this model; add --price INPUT,OUTPUT"}
		}
		nano, _ := usd.Mul(usd, big.NewRat(1e9, 1)).Float64()
		return of, price.Nano(nano), nil
	}
	if _, known := of(llm.Tokens{}); known {
		return of, 1e9, nil
	}
	return of, 0, nil
}

func (e *endpointFlags) listPrice(kind string) (probe.Price, error) {
	if e.prices != "" {
		in, out, both := strings.Cut(e.prices, ",")
		input, err := config.ParseUSD(strings.TrimSpace(in))
		output, err2 := config.ParseUSD(strings.TrimSpace(out))
		if !both || err != nil || err2 != nil {
			return nil, &exitError{exitUsage, "--price: write two amounts in USD a million tokens, such as 0.15,0.60"}
		}
		return func(t llm.Tokens) (price.Nano, bool) {
			return price.Nano((t.Prompt()*int64(input) + t.Completion()*int64(output) + 500) / 1000), true
		}, nil
	}
	cards, err := price.Builtin()
	if err != nil {
		return nil, fmt.Errorf("read the price cards: %w", err)
	}
	provider := map[string]string{"openai": "openai", "anthropic": "anthropic", "gemini": "google"}[kind]
	card, known := price.NewBook(cards).At(provider, e.model, time.Now().UnixMicro())
	return func(t llm.Tokens) (price.Nano, bool) {
		if !known {
			return 0, false
		}
		n, err := card.Cost(t)
		return n, err == nil
	}, nil
}
