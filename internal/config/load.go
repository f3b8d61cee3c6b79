package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"sallyport/internal/label"
)

// maxFile bounds a configuration file, and every file that one names.
const maxFile = 1 << 20

// Load reads a configuration file, the environment variables and the files that
// it refers to. Its error is an Errors with every problem.
func Load(path string) (*Config, error) {
	b, err := ReadFile(path)
	if err != nil {
		return nil, Errors{{File: path, What: "the configuration file " + reason(err), Fix: "name an existing file of at most 1MiB"}}
	}
	return Parse(path, b, os.LookupEnv, ReadFile)
}

// ReadFile reads a file of at most 1 MiB.
func ReadFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.IsDir() {
		return nil, fmt.Errorf("read %s: not a file", path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxFile {
		return nil, fmt.Errorf("read %s: larger than %d bytes", path, maxFile)
	}
	return b, nil
}

// Parse reads a configuration from memory. The name stands for the file in
// problems; env and readFile resolve references. Its error is an Errors.
func Parse(name string, b []byte, env func(string) (string, bool), readFile func(string) ([]byte, error)) (*Config, error) {
	d := &decoder{
		report:  report{file: name, places: map[string]place{}},
		resolve: resolver{env, readFile},
		anchors: map[string]ast.Node{},
	}
	c := &Config{}
	if root := d.tree(b); root != nil {
		d.value("", root, reflect.ValueOf(c).Elem(), "")
	}
	c.fill()
	k := checker{report: &d.report, Config: c, readFile: readFile}
	k.all()
	if err := d.err(); err != nil {
		return nil, err
	}
	return c, nil
}

// Bounds on the shape of a file, far above any real one. They keep the parser's
// recursion and work small.
const (
	maxFlowDepth = 32
	maxIndent    = 256
	maxTokens    = 20_000 // the parser takes time in the square of them
	maxMarks     = 1000   // anchors, aliases, tags and explicit keys
)

// tree parses the bytes; nil when there is nothing or when a problem was reported.
func (d *decoder) tree(b []byte) (root ast.Node) {
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	if len(b) > maxFile {
		d.at(place{}, "", "the file is larger than 1MiB", "make it smaller")
		return nil
	}
	if i := firstBad(b); i >= 0 {
		d.at(place{1 + bytes.Count(b[:i], []byte("\n")), 1 + i - (bytes.LastIndexByte(b[:i], '\n') + 1)}, "",
			"the file holds a control character or is not UTF-8", "write it as plain UTF-8 text")
		return nil
	}
	// The parser is a third party's and the file may be anything.
	defer func() {
		if recover() != nil {
			root = nil
			d.at(place{}, "", "the file cannot be parsed", "check its YAML")
		}
	}()
	tokens := lexer.Tokenize(string(b))
	if what, at := excess(tokens); what != "" {
		d.at(at, "", what, "make the file simpler")
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		d.syntax(err)
		return nil
	}
	var bodies []ast.Node
	for _, doc := range file.Docs {
		if doc.Body != nil {
			bodies = append(bodies, doc.Body)
		}
	}
	switch {
	case len(bodies) > 1:
		d.at(placeOf(bodies[1]), "", "the file has a second document", "keep one, and no --- between fields")
		return nil
	case len(bodies) == 1:
		return bodies[0]
	}
	return nil
}

// firstBad is the offset of the first byte that no configuration holds, or -1.
func firstBad(b []byte) int {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 || r < ' ' && r != '\n' && r != '\r' && r != '\t' || r >= 0x7f && r < 0xa0 {
			return i
		}
		i += n
	}
	return -1
}

// excess says in what a token stream goes beyond the bounds, and where.
func excess(tokens token.Tokens) (what string, at place) {
	depth, marks, line := 0, 0, 0
	for i, t := range tokens {
		at := place{}
		if t.Position != nil {
			at = place{t.Position.Line, t.Position.Column}
		}
		leads := at.line != line
		line = at.line
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			depth++
		case token.MappingEndType, token.SequenceEndType:
			depth--
		case token.AnchorType, token.AliasType, token.TagType, token.MappingKeyType:
			marks++
		case token.SequenceEntryType:
			leads = true
		}
		switch {
		case depth > maxFlowDepth || leads && depth <= 0 && at.column > maxIndent:
			return "the file is nested too deep", at
		case marks > maxMarks:
			return "the file has too many anchors, aliases or tags", at
		case i >= maxTokens:
			return "the file has too many values", at
		}
	}
	return "", place{}
}

// syntax reports what the parser complained of, without the text that it quotes.
func (d *decoder) syntax(err error) {
	what, at := "is not YAML", place{}
	if e, ok := errors.AsType[yaml.Error](err); ok {
		if t := e.GetToken(); t != nil && t.Position != nil {
			at = place{t.Position.Line, t.Position.Column}
		}
		message, _, _ := strings.Cut(e.GetMessage(), `"`)
		what = "is not YAML: " + strings.TrimRight(message, " :")
	}
	d.at(at, "", "the file "+what, "check the indentation and the quotes around there")
}

// Default returns the configuration of an empty file.
func Default() *Config {
	c := &Config{}
	c.fill()
	return c
}

// fill puts defaults where the file says nothing.
func (c *Config) fill() {
	fill(&c.Listen, "127.0.0.1:8484")
	fill(&c.Admin.Listen, "127.0.0.1:8485")
	fill(&c.Data, "./data")
	fill(&c.Durability, Grouped)
	fill(&c.DefaultLabel, label.Internal)
	fill(&c.Limits.Body, 32*MiB)
	fill(&c.Limits.Header, 64*KiB)
	fill(&c.Limits.Depth, 100)
	fill(&c.Limits.Answer, 64*MiB)
	fill(&c.Limits.Event, 8*MiB)
	fill(&c.Limits.Concurrency, 512)
	fill(&c.Timeouts.Body, Duration(2*time.Minute))
	fill(&c.Timeouts.Heartbeat, Duration(10*time.Second))
	fill(&c.Retention.Journal, Duration(7*24*time.Hour))
	fill(&c.Retention.Documents, Duration(24*time.Hour))
	fill(&c.Count.Share, NewShare(10_000))
	fill(&c.Count.CPU, NewShare(50_000))
	for i := range c.Watch {
		fill(&c.Watch[i].Share, NewShare(20_000))
		fill(&c.Watch[i].Pairs, 3000)
		fill(&c.Watch[i].Act, Notice)
		fill(&c.Watch[i].Release, ByOperator)
		if c.Watch[i].Bills == nil {
			c.Watch[i].Bills = new(3000)
		}
	}
	fill(&c.Log.Level, "info")
	c.Timeouts.UpstreamTimeouts.fill(UpstreamTimeouts{
		Connect: Duration(10 * time.Second), FirstFrame: Duration(5 * time.Minute), Stall: Duration(2 * time.Minute),
		Total: Duration(30 * time.Minute), Idle: Duration(90 * time.Second),
	})
	for i := range c.Upstreams {
		u := &c.Upstreams[i]
		u.Timeouts.fill(c.Timeouts.UpstreamTimeouts)
		fill(&u.Provider, u.defaultProvider())
		fill(&u.Region, u.defaultRegion())
		if u.AddUsage == nil {
			u.AddUsage = new(true)
		}
		if u.Endpoints == nil {
			u.Endpoints = u.defaultEndpoints()
		}
	}
	for name, m := range c.Models {
		for i := range m.Targets {
			fill(&m.Targets[i].Model, name)
		}
	}
	for name, p := range c.Projects {
		fill(&p.DefaultLabel, c.DefaultLabel)
		c.Projects[name] = p
	}
}

func (t *UpstreamTimeouts) fill(from UpstreamTimeouts) {
	fill(&t.Connect, from.Connect)
	fill(&t.FirstFrame, from.FirstFrame)
	fill(&t.Stall, from.Stall)
	fill(&t.Total, from.Total)
	fill(&t.Idle, from.Idle)
}

// fill sets a field that the file left out.
func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
