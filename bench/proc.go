package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// proc is a process that bench started. Only these are ever signalled, by pid.
type proc struct {
	name string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has been waited for
}

// launch starts a program whose output goes to a file, or, for the first line
// of standard output, to the caller when first is set. A process dies with bench
// even when bench itself is killed.
func launch(name, logPath, dir string, env []string, wantLine bool, argv ...string) (*proc, string, error) {
	logFile, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, "", err
	}
	defer logFile.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	cmd.Stderr, cmd.Stdout = logFile, logFile
	cmd.SysProcAttr = childAttr()
	var out *os.File
	if wantLine {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, "", err
		}
		out, cmd.Stdout = r, w
		defer r.Close()
		defer w.Close()
	}
	if err := cmd.Start(); err != nil {
		return nil, "", fmt.Errorf("start %s: %w", name, err)
	}
	p := &proc{name: name, cmd: cmd, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		_ = cmd.Wait() // how it ended is judged by whoever stopped it
	}()
	if !wantLine {
		return p, "", nil
	}
	if err := out.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return nil, "", errors.Join(err, p.stop())
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, "", errors.Join(fmt.Errorf("%s did not print its address; see %s: %w", name, logPath, err), p.stop())
	}
	return p, strings.TrimSpace(line), nil
}

func (p *proc) pid() int { return p.cmd.Process.Pid }

// alive reports whether the process has not ended.
func (p *proc) alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// stop asks the process to end, and kills it when it does not within 20 s.
func (p *proc) stop() error {
	if !p.alive() {
		return nil
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended meanwhile
	select {
	case <-p.done:
		return nil
	case <-time.After(20 * time.Second):
		p.kill()
		return fmt.Errorf("%s (pid %d) did not stop and was killed", p.name, p.pid())
	}
}

// kill kills the process with signal 9 and waits for its end.
func (p *proc) kill() {
	_ = p.cmd.Process.Kill() // it may have ended meanwhile
	<-p.done
}

// workplace is a folder for one run and the processes started in it.
type workplace struct {
	dir  string
	keep bool
	opts options

	mu    sync.Mutex
	procs []*proc
	serve int // gateways started, for folder names
}

func newWorkplace(o options) (*workplace, error) {
	dir, err := os.MkdirTemp("", "sallyport-bench-")
	if err != nil {
		return nil, err
	}
	return &workplace{dir: dir, keep: o.keep, opts: o}, nil
}

// close stops what runs, last started first, and removes the folder.
func (w *workplace) close() {
	w.mu.Lock()
	procs := w.procs
	w.procs = nil
	w.mu.Unlock()
	for i := len(procs) - 1; i >= 0; i-- {
		if err := procs[i].stop(); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
	}
	if w.keep {
		fmt.Fprintln(os.Stderr, "kept:", w.dir)
		return
	}
	if err := os.RemoveAll(w.dir); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
}

func (w *workplace) add(p *proc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.procs = append(w.procs, p)
}

func (w *workplace) path(name string) string { return filepath.Join(w.dir, name) }

// child starts one of bench's own verbs and returns its address.
func (w *workplace) child(verb string, args ...string) (*proc, string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	p, addr, err := launch(verb, w.path(verb+".log"), w.dir, nil, true, append([]string{self, verb}, args...)...)
	if err != nil {
		return nil, "", err
	}
	w.add(p)
	return p, addr, nil
}

// build returns the gateway's binary, built when the flags name none.
func (w *workplace) build(ctx context.Context) (string, error) {
	if w.opts.gateway != "" {
		return filepath.Abs(w.opts.gateway)
	}
	bin := w.path("sallyport")
	out, err := exec.CommandContext(ctx, "go", "build", "-o", bin, "sallyport/cmd/sallyport").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build sallyport: %w\n%s", err, out)
	}
	return bin, nil
}

// cpuTime is the processor time, user and system, that a process has used. It is
// the sum over its threads from the scheduler (nanoseconds); where the kernel
// does not keep that, or a thread has ended, the caller gets what /proc/PID/stat
// holds (ticks of 10 ms).
type cpuTime struct {
	threads map[string]int64
	ticks   time.Duration
}

func readCPU(pid int) (cpuTime, error) {
	c := cpuTime{threads: map[string]int64{}}
	base := "/proc/" + strconv.Itoa(pid)
	stat, err := os.ReadFile(base + "/stat")
	if err != nil {
		return c, err
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // the name before may hold spaces
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return c, fmt.Errorf("unexpected %s/stat", base)
	}
	for _, f := range fields[11:13] { // utime and stime, see proc(5)
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return c, fmt.Errorf("unexpected %s/stat: %w", base, err)
		}
		c.ticks += time.Duration(n) * 10 * time.Millisecond
	}
	tasks, err := os.ReadDir(base + "/task")
	if err != nil {
		return c, err
	}
	for _, t := range tasks {
		b, err := os.ReadFile(base + "/task/" + t.Name() + "/schedstat")
		if err != nil {
			c.threads = nil
			return c, nil
		}
		run, _, _ := strings.Cut(string(b), " ")
		ns, err := strconv.ParseInt(run, 10, 64)
		if err != nil {
			c.threads = nil
			return c, nil
		}
		c.threads[t.Name()] = ns
	}
	return c, nil
}

// since is the processor time used between an earlier reading and this one.
func (c cpuTime) since(before cpuTime) time.Duration {
	if c.threads == nil || before.threads == nil {
		return c.ticks - before.ticks
	}
	var ns int64
	for thread, now := range c.threads {
		ns += now - before.threads[thread]
	}
	for thread := range before.threads {
		if _, there := c.threads[thread]; !there {
			return c.ticks - before.ticks
		}
	}
	return time.Duration(ns)
}

// memory reads VmRSS and VmHWM of a process, in bytes.
func memory(pid int) (resident, peak int64, err error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.SplitSeq(string(b), "\n") {
		name, value, _ := strings.Cut(line, ":")
		if name != "VmRSS" && name != "VmHWM" {
			continue
		}
		kb, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("unexpected %q: %w", line, err)
		}
		if name == "VmRSS" {
			resident = kb << 10
		} else {
			peak = kb << 10
		}
	}
	return resident, peak, nil
}
