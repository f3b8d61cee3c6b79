package main

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	"sallyport/internal/llm"
	"sallyport/internal/probe"
	"sallyport/internal/stat"
	"sallyport/internal/verdict"
)

// texts are the features of two answers of one deployment to each prompt.
type texts map[string][2][]stat.Feature

// texts reads the continuations of an arm.
func (l *library) texts(arm string) (texts, error) {
	all := texts{}
	return all, l.lines(textBank(arm), func(line []byte) error {
		var c struct {
			Prompt string   `json:"prompt"`
			Texts  []string `json:"texts"`
		}
		if err := json.Unmarshal(line, &c); err != nil {
			return err
		}
		if len(c.Texts) != 2 {
			return fmt.Errorf("%d answers to %q, not 2", len(c.Texts), c.Prompt)
		}
		var f [2][]stat.Feature
		for i, text := range c.Texts {
			f[i] = probe.Features(&probe.Said{Text: text, Finish: llm.FinishLength})
		}
		all[c.Prompt] = f
		return nil
	})
}

// shadow is who answers one request of traffic.
type shadow struct {
	claimed, other texts
	variants       []texts // the trusted deployments; the first is the claimed one
	share          float64 // of requests that other answers
}

// pairs compares answers to recorded prompts in random order, each prompt once: the
// product's test of pairs, on the suspect's answer and one of each trusted deployment.
// A deployment that stands on both sides answers with a sample of its own on each.
func (s *shadow) pairs(seed [32]byte, into curves) error {
	paired, err := probe.NewPaired(len(s.variants))
	if err != nil {
		return err
	}
	r := stat.Rand(stat.Seed(seed, "pairs"))
	prompts := sortedKeys(s.claimed)
	evidence := map[verdict.Null]verdict.Evidence{verdict.Same: {Null: verdict.Same}}
	if len(s.variants) > 1 {
		evidence[verdict.Honest] = verdict.Evidence{Null: verdict.Honest}
	}
	for n, at := range r.Perm(len(prompts)) {
		prompt, side := prompts[at], r.IntN(2)
		suspect := s.claimed[prompt][side]
		if r.Float64() < s.share {
			suspect = s.other[prompt][side]
		}
		var trusted [][]stat.Feature
		for _, v := range s.variants {
			trusted = append(trusted, v[prompt][1-side])
		}
		if _, err := paired.Observe(probe.StrataOf(len(prompt), false, recorded.Add(time.Duration(n)*time.Minute)), suspect, trusted...); err != nil {
			return fmt.Errorf("compare a pair: %w", err)
		}
		for null, e := range evidence {
			process := paired.Same()
			if null == verdict.Honest {
				process = paired.Honest()
			}
			y := process.LogE() / math.Ln10
			e.N, e.MaxLogE = n+1, max(e.MaxLogE, y)
			e.Curve = append(e.Curve, verdict.Point{X: float64(n + 1), Y: y})
			evidence[null] = e
		}
	}
	for null, e := range evidence {
		into[column("D4", null)] = e
	}
	return nil
}
