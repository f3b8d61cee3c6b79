package main

import (
	"fmt"
	"strings"
)

// The values of a literal: object, list, text, number (its decimal text), truth.
type (
	object struct {
		keys   []string
		values map[string]any
	}
	list   []any
	number string
)

// parseLiteral reads the first array literal of a script: `const E = [ ... ]`.
// It knows the little of JavaScript that a bundler writes for plain data.
func parseLiteral(script string) (list, error) {
	start := strings.Index(script, "= [")
	if start < 0 || !strings.HasPrefix(script, "const ") {
		return nil, fmt.Errorf("does not begin with an array literal")
	}
	p := &reader{s: script, at: start + 2}
	v, err := p.value(0)
	if err != nil {
		return nil, fmt.Errorf("line %d: %w", 1+strings.Count(script[:p.at], "\n"), err)
	}
	return v.(list), nil
}

type reader struct {
	s  string
	at int
}

// space skips white space.
func (p *reader) space() byte {
	for p.at < len(p.s) && strings.IndexByte(" \t\r\n", p.s[p.at]) >= 0 {
		p.at++
	}
	if p.at == len(p.s) {
		return 0
	}
	return p.s[p.at]
}

const maxDepth = 32

func (p *reader) value(depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested too deep")
	}
	switch c := p.space(); {
	case c == '[':
		return p.list(depth)
	case c == '{':
		return p.object(depth)
	case c == '"' || c == '`' || c == '\'':
		return p.text()
	case c == '!' && strings.HasPrefix(p.s[p.at:], "!0"):
		p.at += 2
		return true, nil
	case c == '!' && strings.HasPrefix(p.s[p.at:], "!1"):
		p.at += 2
		return false, nil
	case c >= '0' && c <= '9' || c == '.' || c == '-':
		from := p.at
		for p.at < len(p.s) && strings.IndexByte("0123456789.eE+-", p.s[p.at]) >= 0 {
			p.at++
		}
		return number(p.s[from:p.at]), nil
	}
	return nil, fmt.Errorf("not a plain value")
}

func (p *reader) list(depth int) (list, error) {
	items := list{}
	p.at++
	for {
		if p.space() == ']' {
			p.at++
			return items, nil
		}
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		items = append(items, v)
		if err := p.comma(']'); err != nil {
			return nil, err
		}
	}
}

func (p *reader) object(depth int) (*object, error) {
	o := &object{values: map[string]any{}}
	p.at++
	for {
		if p.space() == '}' {
			p.at++
			return o, nil
		}
		key, err := p.key()
		if err != nil {
			return nil, err
		}
		if p.space() != ':' {
			return nil, fmt.Errorf("no colon after %s", key)
		}
		p.at++
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		if _, has := o.values[key]; has {
			return nil, fmt.Errorf("second %s", key)
		}
		o.keys, o.values[key] = append(o.keys, key), v
		if err := p.comma('}'); err != nil {
			return nil, err
		}
	}
}

// comma skips a comma, which may be missing before the closing byte.
func (p *reader) comma(closing byte) error {
	switch p.space() {
	case ',':
		p.at++
		return nil
	case closing:
		return nil
	}
	return fmt.Errorf("neither a comma nor %q", closing)
}

func (p *reader) key() (string, error) {
	if p.space() == '"' {
		return p.text()
	}
	from := p.at
	for p.at < len(p.s) && (p.s[p.at] == '_' || p.s[p.at] == '$' ||
		p.s[p.at]|0x20 >= 'a' && p.s[p.at]|0x20 <= 'z' || p.at > from && p.s[p.at] >= '0' && p.s[p.at] <= '9') {
		p.at++
	}
	if p.at == from {
		return "", fmt.Errorf("not a key")
	}
	return p.s[from:p.at], nil
}

// text reads a double-quoted string or a template without substitutions.
func (p *reader) text() (string, error) {
	quote := p.s[p.at]
	p.at++
	var b strings.Builder
	for p.at < len(p.s) {
		c := p.s[p.at]
		switch {
		case c == quote:
			p.at++
			return b.String(), nil
		case c == '$' && quote == '`' && strings.HasPrefix(p.s[p.at:], "${"):
			return "", fmt.Errorf("a substitution in a template")
		case c == '\\':
			if p.at+1 == len(p.s) || strings.IndexByte("\\\"'`$", p.s[p.at+1]) < 0 {
				return "", fmt.Errorf("an escape that is not known here")
			}
			p.at++
			c = p.s[p.at]
		case c == '\n' && quote != '`':
			return "", fmt.Errorf("a line break in a string")
		}
		b.WriteByte(c)
		p.at++
	}
	return "", fmt.Errorf("a text without end")
}
