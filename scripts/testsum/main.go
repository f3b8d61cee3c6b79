// Command testsum reads the output of `go test -json` from standard input and prints what `go test`
// would have printed: a line a package, and the output of what failed. The package lines also go to
// the file named by -summary, and every skipped test with its reason to the one named by -skipped,
// because a test that did not run must not pass for one that did.
//
// It exits 0 whatever the tests did; their own exit status is go test's.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// event is one line of test2json's output (cmd/test2json).
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
}

// test names one test; Name is empty for its package.
type test struct{ Package, Name string }

func main() {
	summary := flag.String("summary", "", "file for the package lines")
	skipped := flag.String("skipped", "", "file for the skipped tests, one a line")
	flag.Parse()
	if err := run(os.Stdin, os.Stdout, *summary, *skipped); err != nil {
		fmt.Fprintln(os.Stderr, "testsum:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer, summary, skipped string) error {
	var packages, skips []string
	output := map[test][]string{}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil { // a compiler's words, or a crash of go itself
			fmt.Fprintln(out, lines.Text())
			continue
		}
		at := test{e.Package, e.Test}
		switch e.Action {
		case "output", "build-output":
			switch {
			case isPackageLine(e):
				packages = append(packages, e.Output)
				fmt.Fprint(out, e.Output)
			case e.Action == "build-output":
				fmt.Fprint(out, e.Output)
			default:
				output[at] = append(output[at], e.Output)
			}
		case "fail":
			fmt.Fprint(out, strings.Join(output[at], ""))
			delete(output, at)
			if e.Test == "" {
				unfinished(out, output, e.Package)
			}
		case "skip":
			if e.Test != "" {
				skips = append(skips, fmt.Sprintf("%s %s: %s\n", e.Package, e.Test, reason(output[at])))
			}
			delete(output, at)
		case "pass":
			delete(output, at)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read the test output: %w", err)
	}
	slices.Sort(skips)
	return cmp.Or(write(summary, packages), write(skipped, skips))
}

// unfinished prints what tests of a failed package said that have no end of their own: it
// ended in the middle of one, as by a crash or its time limit.
func unfinished(out io.Writer, output map[test][]string, pkg string) {
	var names []string
	for at := range output {
		if at.Package == pkg {
			names = append(names, at.Name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprint(out, strings.Join(output[test{pkg, name}], ""))
		delete(output, test{pkg, name})
	}
}

// isPackageLine reports whether the event is one of go test's own lines about a package.
func isPackageLine(e event) bool {
	if e.Test != "" {
		return false
	}
	return slices.ContainsFunc([]string{"ok  \t", "FAIL\t", "?   \t", "--- FAIL", "\t" + e.Package}, func(prefix string) bool {
		return strings.HasPrefix(e.Output, prefix)
	})
}

// reason is the text that a skipped test gave.
func reason(output []string) string {
	for _, line := range output {
		text := strings.TrimSpace(line)
		if text != "" && !strings.HasPrefix(text, "===") && !strings.HasPrefix(text, "---") {
			return text
		}
	}
	return "no reason given"
}

func write(name string, lines []string) error {
	if name == "" {
		return nil
	}
	return os.WriteFile(name, []byte(strings.Join(lines, "")), 0o600)
}
