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
	claimed, other model
	variants       []model // the claimed model's recorded honest deployments; the first is it
	names          []string
}

// wordBank is the file of an arm's word questions, and textBank that of its texts.
func wordBank(arm string) string { return "words-" + arm + ".jsonl.gz" }
func textBank(arm string) string { return "texts-" + arm + ".jsonl.gz" }

// deploy serves what was recorded for a scenario. Its models and their variants must
// be there; rows whose arms are not are left out.
func deploy(l *library, s *settings, sc *scenario) (*deployments, error) {
	d := &deployments{
		scenario: sc, library: l, settings: s, recordings: map[string]recording{}, models: map[string]model{}, texts: map[string]texts{},
	}
	for _, name := range sortedKeys(l.banks) {
		kind, rest, _ := strings.Cut(name, "-")
		arm := strings.TrimSuffix(rest, ".jsonl.gz")
		if arm != sc.Claimed && arm != sc.Substitute && !strings.HasPrefix(arm, sc.Claimed+"-") {
			continue
		}
		var err error
		if kind == "texts" {
			d.texts[arm], err = l.texts(arm)
		} else if d.recordings[arm], err = l.words(arm); err == nil {
			d.models[arm] = d.recordings[arm].serve(serving{temperature: s.Temperature})
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
	if v := d.texts[d.Claimed+"-cache"]; v != nil {
		s.variants = append(s.variants, v)
	}
	return s
}

// known are the cells that a spoofing relay knows: every second one.
func (d *deployments) known() map[string]bool {
	known := map[string]bool{}
	for i, c := range d.cells() {
		known[c] = i%2 == 0
	}
	return known
}
