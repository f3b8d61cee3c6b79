package main

import (
	"cmp"
	"fmt"
	"math"
	"strings"
)

// deployments are the served models and texts of one scenario.
type deployments struct {
	*scenario
	library        *library
	settings       *settings
	recordings     map[string]recording // by arm: the claimed model's, and the substitute
	models         map[string]model     // the same, served
	texts          map[string]texts
	prose          map[string]*prose
	claimed, other model
	variants       []model // the claimed model's recorded honest deployments; the first is it
	names          []string
}

// wordBank is the file of an arm's word questions, textBank that of its answers to
// prompts like traffic, and proseBank that of its continuations.
func wordBank(arm string) string  { return "words-" + arm + ".jsonl.gz" }
func textBank(arm string) string  { return "texts-" + arm + ".jsonl.gz" }
func proseBank(arm string) string { return "prose-" + arm + ".jsonl.gz" }

// deploy serves what was recorded for a scenario. Its models and their variants must
// be there; rows whose arms are not are left out.
func deploy(l *library, s *settings, sc *scenario) (*deployments, error) {
	d := &deployments{
		scenario: sc, library: l, settings: s, recordings: map[string]recording{}, models: map[string]model{}, texts: map[string]texts{}, prose: map[string]*prose{},
	}
	for _, name := range sortedKeys(l.banks) {
		kind, rest, _ := strings.Cut(name, "-")
		arm := strings.TrimSuffix(rest, ".jsonl.gz")
		if arm != sc.Claimed && arm != sc.Substitute && !strings.HasPrefix(arm, sc.Claimed+"-") {
			continue
		}
		var err error
		switch kind {
		case "texts":
			d.texts[arm], err = l.texts(arm)
		case "prose":
			d.prose[arm], err = l.prose(arm)
		default:
			if d.recordings[arm], err = l.words(arm); err == nil {
				d.models[arm] = d.recordings[arm].serve(serving{temperature: s.Temperature})
			}
		}
		if err != nil {
			return nil, err
		}
	}
	for _, suffix := range append([]string{""}, s.Variants...) {
		d.names = append(d.names, sc.Claimed+suffix)
		d.variants = append(d.variants, d.models[sc.Claimed+suffix])
	}
	for _, arm := range append(d.names, sc.Substitute) {
		if d.models[arm] == nil {
			return nil, fmt.Errorf("the scenario %s needs the bank %s", sc.Name, wordBank(arm))
		}
	}
	d.claimed, d.other = d.variants[0], d.models[sc.Substitute]
	return d, nil
}

// served is the claimed model served otherwise; its temperature is relative to the
// usual one.
func (d *deployments) served(s serving) model {
	s.temperature = d.settings.Temperature * cmp.Or(s.temperature, 1)
	return d.recordings[d.Claimed].serve(s)
}

// distance is the mean total variation between two models over the cells that count.
func (d *deployments) distance(a, b model) float64 {
	sum, n := 0.0, 0
	for _, c := range d.cells() {
		if a[c].counts() {
			sum += apart(a[c], b[c])
			n++
		}
	}
	return sum / math.Max(float64(n), 1)
}

// traffic is how an endpoint treats real requests: the share that an arm answers. It
// is nil where no text was recorded.
func (d *deployments) traffic(arm string, share float64) *shadow {
	s := &shadow{claimed: d.texts[d.Claimed], other: d.texts[arm], share: share}
	if s.claimed == nil || share > 0 && s.other == nil {
		return nil
	}
	s.variants = []texts{s.claimed}
	for _, suffix := range d.settings.Variants {
		if v := d.texts[d.Claimed+suffix]; v != nil {
			s.variants = append(s.variants, v)
		}
	}
	return s
}

// writes is how an endpoint continues texts: the share that an arm continues. It is nil
// where no continuations were recorded.
func (d *deployments) writes(arm string, share float64) *writing {
	w := &writing{claimed: d.prose[d.Claimed], other: d.prose[arm], share: share, cells: d.library.learnt.texts}
	if w.claimed == nil || share > 0 && w.other == nil {
		return nil
	}
	w.variants = []*prose{w.claimed}
	for _, suffix := range d.settings.Variants {
		if v := d.prose[d.Claimed+suffix]; v != nil {
			w.variants = append(w.variants, v)
		}
	}
	return w
}

// known are the cells that a spoofing relay knows: every second one.
func (d *deployments) known() map[string]bool {
	known := map[string]bool{}
	for i, c := range d.cells() {
		known[c] = i%2 == 0
	}
	return known
}
