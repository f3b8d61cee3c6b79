package console

import "sallyport/internal/fault"

// Watching is what is concluded of one stream under watch on one hypothesis.
type Watching struct {
	Upstream   string     `json:"upstream"`
	Model      string     `json:"model"` // the upstream's name of it
	References []string   `json:"references"`
	Null       string     `json:"null"`
	Level      string     `json:"level"`
	LogM       float64    `json:"log10_m"`     // decimal logarithm of the detector of change; -99 before the first observation
	Alarm      float64    `json:"log10_alarm"` // at which the next level is reached; at the highest, that level's
	LogE       float64    `json:"log10_e"`     // of the whole time
	N          int        `json:"n"`           // observations that were bet on
	Silent     string     `json:"silent,omitempty"`
	Unpaid     string     `json:"unpaid,omitempty"` // why nothing more is asked this month
	Detectors  []Detector `json:"detectors"`
	Strata     []Part     `json:"strata"`
	Control    *Control   `json:"control,omitempty"`
	Trial      *Trial     `json:"trial,omitempty"` // of one that was taken out of routing
	Wording    string     `json:"wording"`
}

// Detector is one detector of a stream.
type Detector struct {
	ID      string  `json:"id"`
	N       int     `json:"n"`     // observations that were bet on
	Lost    int     `json:"lost"`  // that came to nothing
	Month   int     `json:"month"` // observations of this month, lost ones as well
	Monthly int     `json:"monthly"`
	LogM    float64 `json:"log10_m"`
	LogE    float64 `json:"log10_e"`
	Silent  string  `json:"silent,omitempty"`
}

// Control is how the first reference stands against what was recorded of it.
type Control struct {
	N       int     `json:"n"`
	LogE    float64 `json:"log10_e"`
	Changed bool    `json:"changed"`
	Left    int     `json:"left"` // recorded samples
	Days    float64 `json:"days"` // that they last
}

// Trial is what an upstream that was taken out of routing must show to come back by
// evidence: so many observations of a detector, and nothing found.
type Trial struct {
	By     string `json:"by"`
	Needed int    `json:"needed"`
}

// Part is a part of the traffic under watch.
type Part struct {
	Name string  `json:"name"`
	N    int     `json:"n"`
	LogE float64 `json:"log10_e"`
}

func (c *Console) watch(*call) (any, error) {
	all, running := c.Watching()
	if !running {
		return nil, fault.New(fault.Unavailable, "the watch runs in the gateway; start it with: sallyport serve")
	}
	return all, nil
}
