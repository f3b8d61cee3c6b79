package console

import "sallyport/internal/fault"

// Watching is what is concluded of one stream under watch on one hypothesis.
type Watching struct {
	Upstream   string   `json:"upstream"`
	Model      string   `json:"model"` // the upstream's name of it
	References []string `json:"references"`
	Null       string   `json:"null"`
	Level      string   `json:"level"`
	LogM       *float64 `json:"log10_m"`     // decimal logarithm of the detector of change; null before the first pair
	Alarm      float64  `json:"log10_alarm"` // at which the next level is reached; at the highest, that level's
	LogE       float64  `json:"log10_e"`     // of the whole time
	Pairs      int      `json:"pairs"`
	Dropped    int      `json:"dropped"` // requests that could not be compared
	Month      int      `json:"month"`   // of pairs and dropped ones, in this month
	Monthly    int      `json:"monthly"` // most of a month
	Silent     string   `json:"silent,omitempty"`
	Strata     []Part   `json:"strata"`
	Wording    string   `json:"wording"`
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
