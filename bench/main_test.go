package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	c, o, err := parse([]string{"cut", "-n", "7", "-targets", "rp,rpbuf"})
	if err != nil || c.name != "cut" || o.cuts != 7 || !slices.Equal(o.targets, []string{"rp", "rpbuf"}) {
		t.Errorf("%s %+v %v", c.name, o, err)
	}
	if c, _, err := parse(nil); err != nil || c.name != "compare" {
		t.Errorf("without a verb: %s, %v", c.name, err)
	}
	for _, bad := range [][]string{
		{"nonsense"},
		{"cut", "extra"},
		{"-rounds", "0"},
		{"-targets", "nginx"},
		{"-sizes", "2KB"},
		{"-slice", "1h"},
		{"-conns", "0"},
		{"-kills", "0"},
		{"-n", "0"},
		{"-streams", "-1"},
		{"mock", "-early", "late"},
	} {
		if c, o, err := parse(bad); err == nil {
			t.Errorf("%q became %s %+v", bad, c.name, o)
		}
	}
}

func TestQuantile(t *testing.T) {
	xs := []float64{4, 1, 3, 2}
	for q, want := range map[float64]float64{0: 1, 0.5: 2.5, 1: 4, 0.1: 1.3} {
		if got := quantile(xs, q); math.Abs(got-want) > 1e-9 {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	if got := quantile([]time.Duration{}, 0.5); got != 0 {
		t.Errorf("of nothing %v", got)
	}
}

func TestABBA(t *testing.T) {
	if got := slices.Concat(abba(3, 0), abba(3, 1), abba(3, 2)); !slices.Equal(got, []int{0, 1, 2, 2, 1, 0, 0, 1, 2}) {
		t.Errorf("order %v", got)
	}
}

// TestReadCPU: work done here shows, and about as much as was done.
func TestReadCPU(t *testing.T) {
	before, err := readCPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	const ticks = 10 * time.Millisecond
	used := time.Duration(0)
	sum := uint64(1)
	for used < 50*time.Millisecond {
		for i := range uint64(1 << 20) {
			sum = sum*6364136223846793005 + i
		}
		now, err := readCPU(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		used = now.since(before)
		if now.threads != nil && (now.ticks-before.ticks-used).Abs() > 100*time.Millisecond {
			t.Fatalf("the scheduler says %v, the clock ticks %v (sum %d)", used, now.ticks-before.ticks, sum)
		}
	}
	gone := before
	gone.threads = map[string]int64{"1": 1} // a thread that has ended: ticks count
	if after, err := readCPU(os.Getpid()); err != nil || after.since(gone)%ticks != 0 {
		t.Errorf("%v, %v", after.since(gone), err)
	}
}

func TestMemory(t *testing.T) {
	resident, peak, err := memory(os.Getpid())
	if err != nil || resident < 1<<20 || peak < resident {
		t.Errorf("resident %d, peak %d, %v", resident, peak, err)
	}
}

func TestSave(t *testing.T) {
	o := options{out: filepath.Join(t.TempDir(), "new", "results.json")}
	if err := o.save("cut", map[string]any{"n": 3}, []severed{{Target: "rp", Cut: 1}}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(filepath.Dir(o.out), "results-cut.json"))
	if err != nil {
		t.Fatal(err)
	}
	var r struct {
		Verb, Date string
		Machine    machine
		Results    []severed
	}
	if err := json.Unmarshal(b, &r); err != nil || r.Verb != "cut" || r.Machine.Cores == 0 || r.Machine.Go == "" || r.Results[0].Cut != 1 {
		t.Errorf("%s, %v", b, err)
	}
}
