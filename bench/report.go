package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// report is what a verb found, as JSON.
type report struct {
	Verb    string         `json:"verb"`
	Date    string         `json:"date"`
	Machine machine        `json:"machine"`
	Setting map[string]any `json:"setting"`
	Results any            `json:"results"`
}

// machine is where it was measured.
type machine struct {
	CPU      string `json:"cpu"`
	Cores    int    `json:"cores"`
	MemoryMB int64  `json:"memory_mb"`
	Kernel   string `json:"kernel"`
	Go       string `json:"go"`
	Revision string `json:"revision,omitempty"` // of the working tree
	Load     string `json:"load,omitempty"`     // of the machine when the verb ended
}

func thisMachine() machine {
	m := machine{Cores: runtime.NumCPU(), Go: runtime.Version(), Kernel: firstLine("/proc/sys/kernel/osrelease")}
	if f := strings.Fields(firstLine("/proc/loadavg")); len(f) >= 3 {
		m.Load = strings.Join(f[:3], " ")
	}
	m.CPU = field("/proc/cpuinfo", "model name")
	var kb int64
	if _, err := fmt.Sscan(field("/proc/meminfo", "MemTotal"), &kb); err == nil {
		m.MemoryMB = kb >> 10
	}
	if out, err := exec.Command("git", "describe", "--always", "--dirty").Output(); err == nil {
		m.Revision = strings.TrimSpace(string(out))
	}
	return m
}

func firstLine(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return line
}

// field finds "name : value" in a file of /proc.
func field(path, name string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.SplitSeq(string(b), "\n") {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// save prints a verb's results as a file when the flags ask for one. With
// several verbs in a run, each gets its own: results.json becomes
// results-cut.json.
func (o options) save(verb string, setting map[string]any, results any) error {
	if o.out == "" {
		return nil
	}
	ext := filepath.Ext(o.out)
	path := strings.TrimSuffix(o.out, ext) + "-" + verb + ext
	b, err := json.MarshalIndent(report{
		Verb: verb, Date: time.Now().UTC().Format(time.RFC3339), Machine: thisMachine(), Setting: setting, Results: results,
	}, "", "  ")
	if err != nil {
		return fmt.Errorf("encode results: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

// banner says what runs and where.
func banner(verb, what string) {
	m := thisMachine()
	fmt.Printf("\n== %s: %s\n   %s, %d cores, %d MB, Linux %s, %s, revision %s, load %s\n\n", verb, what, m.CPU, m.Cores, m.MemoryMB, m.Kernel, m.Go,
		m.Revision, m.Load)
}
