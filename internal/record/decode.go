package record

import (
	"fmt"
	"strconv"
	"strings"
)

// parser reads one JSON object of the shape that this package writes. It is lax
// about order and repetition: Decode compares what it read, encoded again, with
// what it was given. Texts without escapes share the memory of s. After the first
// error everything reads as zero.
type parser struct {
	s   string
	i   int
	bad string // what was wrong; empty when nothing was
}

func (p *parser) fail(why string) {
	if p.bad == "" {
		p.bad = why + " at byte " + strconv.Itoa(p.i)
	}
}

// end is the outcome after the outermost object.
func (p *parser) end() error {
	if p.bad == "" && p.i != len(p.s) {
		p.fail("trailing data")
	}
	if p.bad != "" {
		return fmt.Errorf("decode record: %s", p.bad)
	}
	return nil
}

// take moves past c, or fails.
func (p *parser) take(c byte) {
	if p.bad == "" && p.i < len(p.s) && p.s[p.i] == c {
		p.i++
		return
	}
	p.fail("no " + strconv.QuoteRune(rune(c)))
}

// at reports whether the next byte is c.
func (p *parser) at(c byte) bool { return p.bad == "" && p.i < len(p.s) && p.s[p.i] == c }

// members yields the names of an object's members; the body of the loop reads
// each value.
func (p *parser) members(yield func(string) bool) {
	p.take('{')
	if p.at('}') {
		p.i++
		return
	}
	for p.bad == "" {
		name := p.text()
		p.take(':')
		if p.bad != "" || !yield(name) {
			return
		}
		if !p.at(',') {
			break
		}
		p.i++
	}
	p.take('}')
}

// elements runs read for each element of an array.
func (p *parser) elements(read func()) {
	p.take('[')
	if p.at(']') {
		p.i++
		return
	}
	for p.bad == "" {
		read()
		if !p.at(',') {
			break
		}
		p.i++
	}
	p.take(']')
}

func (p *parser) integer() int64 {
	start := p.i
	for p.i < len(p.s) && (p.s[p.i] == '-' || p.s[p.i] >= '0' && p.s[p.i] <= '9') {
		p.i++
	}
	n, err := strconv.ParseInt(p.s[start:p.i], 10, 64)
	if err != nil {
		p.fail("no integer")
	}
	return n
}

func (p *parser) truth() bool {
	if p.bad == "" && strings.HasPrefix(p.s[p.i:], "true") {
		p.i += len("true")
		return true
	}
	p.fail("no truth value")
	return false
}

// text reads a string.
func (p *parser) text() string {
	p.take('"')
	if p.bad != "" {
		return ""
	}
	rest := p.s[p.i:]
	n := strings.IndexByte(rest, '"')
	if n < 0 {
		p.fail("a string without end")
		return ""
	}
	if strings.IndexByte(rest[:n], '\\') < 0 {
		p.i += n + 1
		return rest[:n]
	}
	return p.escaped()
}

// escaped reads the rest of a string that has escapes.
func (p *parser) escaped() string {
	var b strings.Builder
	for p.i < len(p.s) {
		c := p.s[p.i]
		p.i++
		switch c {
		case '"':
			return b.String()
		case '\\':
			p.escape(&b)
		default:
			b.WriteByte(c)
		}
	}
	p.fail("a string without end")
	return ""
}

// escape reads what follows a backslash: the escapes that AppendString writes.
func (p *parser) escape(b *strings.Builder) {
	rest := p.s[p.i:]
	if len(rest) == 0 {
		return
	}
	if i := strings.IndexByte(`"\bfnrt`, rest[0]); i >= 0 {
		b.WriteByte("\"\\\b\f\n\r\t"[i])
		p.i++
		return
	}
	if len(rest) >= 5 && strings.HasPrefix(rest, "u00") {
		if c, err := strconv.ParseUint(rest[3:5], 16, 8); err == nil {
			b.WriteByte(byte(c))
			p.i += 5
			return
		}
	}
	p.fail("an escape that is not canonical")
}

func (p *parser) texts() (list []string) {
	p.elements(func() { list = append(list, p.text()) })
	return list
}

// parse reads the members of an exchange.
//
// long: one case per member.
func (x *Exchange) parse(p *parser) {
	for name := range p.members {
		switch name {
		case "card":
			x.Card = p.text()
		case "cardh":
			x.CardHash = p.text()
		case "cfg":
			x.Config = p.text()
		case "claim":
			x.Verbatim = p.text()
		case "client":
			x.Client = p.text()
		case "counted":
			x.Counted = p.text()
		case "dec":
			x.Effect = p.text()
		case "dialect":
			x.Dialect = p.text()
		case "drop":
			x.Dropped = p.texts()
		case "end":
			x.End = p.integer()
		case "ep":
			x.Endpoint = p.text()
		case "fault":
			x.Fault = p.text()
		case "finish":
			x.Finish = p.text()
		case "fwd":
			x.Forwarded = p.text()
		case "hold":
			x.Hold = p.integer()
		case "in":
			x.InBytes = p.integer()
		case "k":
			p.text()
		case "v":
			p.integer()
		case "key":
			x.Key = p.text()
		case "label":
			x.Label = p.text()
		case "model":
			x.Model = p.text()
		case "mstat":
			x.Money = p.text()
		case "nano":
			x.Amount = p.integer()
		case "obs":
			x.Findings = p.texts()
		case "out":
			x.OutBytes = p.integer()
		case "pk":
			x.Principal = p.text()
		case "project":
			x.Project = p.text()
		case "req":
			x.Req = p.text()
		case "res":
			x.Returned = p.text()
		case "rid":
			x.RID = p.text()
		case "rmodel":
			x.Declared = p.text()
		case "rmsg":
			x.AnswerID = p.text()
		case "rules":
			x.Rules = p.texts()
		case "salt":
			x.Salt = p.text()
		case "state":
			x.State = p.text()
		case "status":
			x.Status = p.integer()
		case "stream":
			x.Stream = p.truth()
		case "tok":
			x.Claimed = new(Counts)
			x.Claimed.parse(p)
		case "tries":
			p.elements(func() {
				x.Attempts = append(x.Attempts, Try{})
				x.Attempts[len(x.Attempts)-1].parse(p)
			})
		case "ts":
			x.TS = p.integer()
		case "ttfb":
			x.TTFB = p.integer()
		case "uep":
			x.Spoken = p.text()
		case "umodel":
			x.Target = p.text()
		case "up":
			x.Upstream = p.text()
		case "upres":
			x.Answer = p.text()
		case "ustat":
			x.Usage = p.text()
		case "uwhy":
			x.Implaus = p.text()
		default:
			p.fail("unknown member " + strconv.Quote(name))
		}
	}
}

func (c *Counts) parse(p *parser) {
members:
	for name := range p.members {
		for _, class := range byName {
			if class.String() == name {
				c[class] = p.integer()
				continue members
			}
		}
		p.fail("unknown token class " + strconv.Quote(name))
	}
}

func (t *Try) parse(p *parser) {
	for name := range p.members {
		switch name {
		case "end":
			t.End = p.integer()
		case "model":
			t.Model = p.text()
		case "n":
			t.N = p.integer()
		case "state":
			t.State = p.text()
		case "status":
			t.Status = p.integer()
		case "ts":
			t.Start = p.integer()
		case "up":
			t.Upstream = p.text()
		default:
			p.fail("unknown member " + strconv.Quote(name))
		}
	}
}

func (a *Attempt) parse(p *parser) {
	for name := range p.members {
		switch name {
		case "class":
			a.Class = p.text()
		case "hold":
			a.Hold = p.integer()
		case "k":
			p.text()
		case "v":
			p.integer()
		case "model":
			a.Model = p.text()
		case "n":
			a.N = p.integer()
		case "rid":
			a.RID = p.text()
		case "ts":
			a.TS = p.integer()
		case "up":
			a.Upstream = p.text()
		default:
			p.fail("unknown member " + strconv.Quote(name))
		}
	}
}
