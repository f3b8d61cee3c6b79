package label

import (
	"encoding/json"
	"testing"
)

func TestLabels(t *testing.T) {
	order := []Label{Public, Internal, Confidential, Restricted}
	for i, l := range order {
		if i > 0 && order[i-1] >= l {
			t.Errorf("%v is not below %v", order[i-1], l)
		}
		if got, err := ParseLabel(l.String()); err != nil || got != l || !l.Valid() {
			t.Errorf("%v does not survive its name: %v, %v", l, got, err)
		}
		if b, err := json.Marshal(l); err != nil || string(b) != `"`+l.String()+`"` {
			t.Errorf("%v is marshalled as %s, %v", l, b, err)
		}
	}
	for _, bad := range []string{"", "unlabelled", "Public", "secret", "public "} {
		if l, err := ParseLabel(bad); err == nil || l != Unlabelled {
			t.Errorf("%q is label %v", bad, l)
		}
	}
	for _, bad := range []Label{Unlabelled, Restricted + 1, 255} {
		if bad.Valid() || bad.String() != "unlabelled" {
			t.Errorf("label %d is valid, or called %s", bad, bad)
		}
	}
}

func TestClasses(t *testing.T) {
	order := []Class{Any, Vetted, InRegion, OnSite}
	for i, c := range order {
		if i > 0 && order[i-1] >= c {
			t.Errorf("%v is not less trusted than %v", order[i-1], c)
		}
		if got, err := ParseClass(c.String()); err != nil || got != c {
			t.Errorf("%v does not survive its name: %v, %v", c, got, err)
		}
		if b, err := json.Marshal(c); err != nil || string(b) != `"`+c.String()+`"` {
			t.Errorf("%v is marshalled as %s, %v", c, b, err)
		}
		for _, d := range order {
			if w := Worst(c, d); w > c || w > d || w != c && w != d || w != Worst(d, c) {
				t.Errorf("the worst of %v and %v is %v", c, d, w)
			}
		}
	}
	if c, err := ParseClass(""); err != nil || c != Any {
		t.Errorf("a missing class is %v, %v", c, err)
	}
	for _, bad := range []string{"Local", "trusted", "on-site", " any"} {
		if c, err := ParseClass(bad); err == nil || c != Any {
			t.Errorf("%q is class %v", bad, c)
		}
	}
	if Class(200).String() != "any" {
		t.Errorf("an unknown class is called %s", Class(200))
	}
}

func TestRaise(t *testing.T) {
	for _, c := range []struct {
		base     Label
		findings []Label
		want     Label
	}{
		{Internal, nil, Internal},
		{Internal, []Label{Public}, Internal},
		{Internal, []Label{Public, Restricted, Confidential}, Restricted},
		{Public, []Label{Unlabelled}, Public},
		{Unlabelled, []Label{Restricted}, Unlabelled},
		{Restricted + 1, nil, Unlabelled},
	} {
		var findings []Finding
		for _, l := range c.findings {
			findings = append(findings, Finding{Label: l})
		}
		if got := Raise(c.base, findings); got != c.want {
			t.Errorf("%v raised by %v is %v, want %v", c.base, c.findings, got, c.want)
		}
	}
	if l := Raise(Public, []Finding{{Label: 99}}); l.Valid() {
		t.Errorf("a finding with an unknown label gives the valid label %v", l)
	}
}
