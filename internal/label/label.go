// Package label holds data classes and upstream classes, their order, and the
// findings that raise a label.
package label

import (
	"encoding/json"
	"fmt"
)

// Label is how sensitive the data of a request is. Labels are ordered; the zero
// value is not a label, and everything that meets it must deny.
type Label uint8

// The labels, from least to most sensitive.
const (
	Unlabelled Label = iota
	Public
	Internal
	Confidential
	Restricted
)

var labelNames = [...]string{"unlabelled", "public", "internal", "confidential", "restricted"}

// String returns the stable name of the label.
func (l Label) String() string {
	if int(l) >= len(labelNames) {
		return "unlabelled"
	}
	return labelNames[l]
}

// Valid reports whether l is one of the four labels.
func (l Label) Valid() bool { return l >= Public && l <= Restricted }

// ParseLabel finds a label by name; "unlabelled" and anything unknown is an error.
func ParseLabel(name string) (Label, error) {
	for l := Public; l <= Restricted; l++ {
		if labelNames[l] == name {
			return l, nil
		}
	}
	return Unlabelled, fmt.Errorf("label %q is none of public, internal, confidential, restricted", name)
}

// Class is how far an upstream is trusted with data. Classes are ordered from
// most to least trusted; the zero value is Any, the least trusted, so a missing
// class is safe.
type Class uint8

// The upstream classes. A larger value is more trusted.
const (
	Any      Class = iota // nothing is known or promised
	Vetted                // a vetted provider
	InRegion              // vetted, and in the operator's region
	OnSite                // "local": run by the operator, on a loopback or private address, confirmed
)

var classNames = [...]string{"any", "vetted", "in-region", "local"}

// String returns the stable name of the class: any, vetted, in-region or local.
func (c Class) String() string {
	if int(c) >= len(classNames) {
		return "any"
	}
	return classNames[c]
}

// Worst returns the less trusted of two classes.
func Worst(a, b Class) Class { return min(a, b) }

// ParseClass finds a class by name. The empty name is Any.
func ParseClass(name string) (Class, error) {
	if name == "" {
		return Any, nil
	}
	for c, n := range classNames {
		if n == name {
			return Class(c), nil
		}
	}
	return Any, fmt.Errorf("class %q is none of local, in-region, vetted, any", name)
}

// MarshalJSON writes the stable name.
func (l Label) MarshalJSON() ([]byte, error) { return json.Marshal(l.String()) }

// MarshalJSON writes the stable name.
func (c Class) MarshalJSON() ([]byte, error) { return json.Marshal(c.String()) }

// UnmarshalJSON reads what MarshalJSON writes.
func (c *Class) UnmarshalJSON(b []byte) error {
	var name string
	if err := json.Unmarshal(b, &name); err != nil {
		return err
	}
	class, err := ParseClass(name)
	*c = class
	return err
}

// Finding is one thing a detector found in a request: what, never the text itself.
type Finding struct {
	Detector string // which detector
	Type     string // what kind of data, such as "iban"
	Label    Label  // what the finding raises the request to
	Secret   bool   // a credential: it never leaves in clear
	Action   string // empty, or the transform that a policy named for this type
}

// Raise returns the label of a request that carries base and the findings:
// the most sensitive of them all. An invalid base stays invalid.
func Raise(base Label, findings []Finding) Label {
	if !base.Valid() {
		return Unlabelled
	}
	for _, f := range findings {
		base = max(base, f.Label)
	}
	return base
}
