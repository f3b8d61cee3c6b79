package sallyport

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Groups of the import table. A package is named by its path below internal/; a package below another
// (wire/openai) may also import the one above it and its siblings' parent.
var (
	layer0 = []string{"llm", "label", "price", "secret", "stat", "verdict", "exam", "policy", "route", "record"}
	layer1 = []string{
		"wire", "wire/openai", "wire/anthropic", "wire/bedrock", "wire/gemini", "dlp", "integrity", "upstream", "journal", "store",
		"quota", "auth", "ledger", "auditlog", "keep", "projector", "feed", "alert", "tokens", "evidence", "reference", "report",
	}
	// anywhere may be imported by every package.
	anywhere = []string{"identity", "fault"}
)

// imports is the table: what the non-test files of each package may import besides anywhere. Adding a
// package means one line here and one in doc.go.
var imports = map[string][]string{
	"identity": nil,
	"fault":    nil,
	"llm":      nil,
	"label":    nil,
	"secret":   nil,
	"stat":     nil,
	"verdict":  nil,
	"exam":     nil,
	"price":    {"llm"},
	"policy":   {"label", "price"},
	"route":    {"price", "label"},
	"record":   {"llm", "label", "price"},

	"wire":           {"llm"},
	"wire/openai":    {"llm", "wire"},
	"wire/anthropic": {"llm", "wire"},
	"wire/gemini":    {"llm", "wire"},
	"wire/bedrock":   {"llm", "wire", "wire/anthropic"},
	"upstream":       {"llm", "label", "wire", "route", "secret"},
	"journal":        nil,
	"store":          {"record", "label", "price", "secret"},
	"quota":          {"price"},
	"auth":           {"store", "secret"},
	"ledger":         {"llm", "price", "record", "quota", "store"},
	"auditlog":       {"record", "store"},
	"keep":           {"store", "secret", "llm"},
	"tokens":         nil,
	"evidence":       nil,
	"reference":      {"evidence", "stat"},
	"report":         {"verdict"},
	"projector":      {"journal", "record", "ledger", "auditlog", "store"},

	"gateway": allBut("store", "feed", "alert", "stat", "projector", "verdict", "exam", "evidence", "reference", "report"),
	"probe":   allBut("feed", "alert", "projector", "report"),
	"console": allBut("wire", "wire/openai", "wire/anthropic", "wire/bedrock", "wire/gemini", "projector", "exam", "reference"),

	"config": layer0,
	"app":    everything,
	"demo":   everything,

	"upstreamtest":    {"llm", "wire", "tokens"},
	"store/storetest": {"store", "secret"},
}

// forTests are imported by tests and benchmarks only.
var forTests = []string{"upstreamtest", "store/storetest"}

// demonstrates may import upstreamtest: the demo needs providers that cheat without
// any key or network, and simulates nothing else. Only its verb may import it.
const demonstrates = "demo"

// everything stands for no restriction.
var everything = []string{"*"}

func allBut(names ...string) []string {
	return slices.DeleteFunc(slices.Concat(layer0, layer1), func(name string) bool { return slices.Contains(names, name) })
}

// impure are the packages and prefixes (with a slash at the end) that layer 0 may not import.
var impure = []string{
	"os", "os/", "io/ioutil", "net", "net/http", "net/http/", "net/rpc", "net/smtp", "database/", "log", "syscall",
	"plugin", "golang.org/x/sys/",
}

// clock are the functions of package time that layer 0 may not call.
var clock = []string{"Now", "Since", "Until", "After", "AfterFunc", "Tick", "NewTicker", "NewTimer", "Sleep"}

// maxLines is the length above which a function outside tests needs a comment "// long: REASON".
const maxLines = 80

// source is one parsed Go file of this module.
type source struct {
	path string // slash-separated, from the root
	test bool
	fset *token.FileSet
	file *ast.File
}

func (s source) dir() string { return path.Dir(s.path) }

// internal is the package's path below internal/, and whether it is there at all.
func (s source) internal() (string, bool) { return strings.CutPrefix(s.dir(), "internal/") }

func (s source) errorf(t *testing.T, at token.Pos, format string, args ...any) {
	t.Helper()
	t.Errorf("%s:%d: %s", s.path, s.fset.Position(at).Line, fmt.Sprintf(format, args...))
}

// sources parses every Go file of this module; nested modules, testdata and ignored folders are left out.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil && name != "." {
				return filepath.SkipDir
			}
			if base := entry.Name(); name != "." && (base[0] == '.' || base == "testdata" || base == "node_modules") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		all = append(all, source{filepath.ToSlash(name), strings.HasSuffix(name, "_test.go"), fset, file})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 20 {
		t.Fatalf("only %d Go files found: the walk is broken", len(all))
	}
	return all
}

func TestImportTable(t *testing.T) {
	for _, s := range sources(t) {
		name, inside := s.internal()
		if s.test || !inside {
			continue
		}
		if s.file.Name.Name == "main" { // a tool beside its package: a generator, a test server
			continue
		}
		allowed, known := imports[name]
		if !known {
			t.Errorf("%s: package %s is not in the import table", s.path, name)
			continue
		}
		for _, spec := range s.file.Imports {
			other, ours := strings.CutPrefix(importPath(spec), "sallyport/internal/")
			switch {
			case importPath(spec) == "C":
				s.errorf(t, spec.Pos(), "cgo: the product is one static binary")
			case !ours:
			case name == "journal":
				s.errorf(t, spec.Pos(), "journal knows bytes only and imports nothing of ours")
			case other == demonstrates:
				s.errorf(t, spec.Pos(), "%s is for its verb", other)
			case slices.Contains(forTests, other) && !(name == demonstrates && other == "upstreamtest"):
				s.errorf(t, spec.Pos(), "%s is for tests", other)
			case slices.Contains(anywhere, other), slices.Contains(allowed, other), slices.Equal(allowed, everything):
			default:
				s.errorf(t, spec.Pos(), "%s may not import %s", name, other)
			}
		}
	}
}

func TestLayer0IsPure(t *testing.T) {
	pure := slices.Concat(layer0, anywhere)
	for _, s := range sources(t) {
		name, inside := s.internal()
		if s.test || !inside || !slices.Contains(pure, name) {
			continue
		}
		for _, spec := range s.file.Imports {
			imported := importPath(spec)
			if slices.ContainsFunc(impure, func(bad string) bool {
				return imported == bad || strings.HasSuffix(bad, "/") && strings.HasPrefix(imported, bad)
			}) {
				s.errorf(t, spec.Pos(), "layer 0 may not import %s", imported)
			}
		}
		ast.Inspect(s.file, func(node ast.Node) bool {
			if call, ok := node.(*ast.SelectorExpr); ok && isIdent(call.X, "time") && slices.Contains(clock, call.Sel.Name) {
				s.errorf(t, call.Pos(), "layer 0 has no clock: time.%s", call.Sel.Name)
			}
			return true
		})
	}
}

// TestPackages checks names, comments and that doc.go maps exactly the packages that exist.
func TestPackages(t *testing.T) {
	documented := map[string]string{} // directory to package comment
	var doc string
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		if s.path == "doc.go" {
			doc = s.file.Doc.Text()
		}
		if s.file.Doc != nil {
			documented[s.dir()] += s.file.Doc.Text()
		} else if documented[s.dir()] == "" {
			documented[s.dir()] = ""
		}
		if slices.Contains([]string{"audit", "util", "utils", "common", "helper", "helpers", "types", "manager"}, s.file.Name.Name) {
			s.errorf(t, s.file.Name.Pos(), "package %s says nothing about what it holds", s.file.Name.Name)
		}
	}
	var mapped []string
	for line := range strings.Lines(doc) {
		if strings.HasPrefix(line, "\t") {
			mapped = append(mapped, strings.Fields(line)[0])
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(documented)) {
		comment := documented[dir]
		if !strings.HasPrefix(comment, "Package ") && !strings.HasPrefix(comment, "Command ") {
			t.Errorf("%s: no package comment, or it does not begin with Package or Command", dir)
		}
		if name, ok := strings.CutPrefix(dir, "internal/"); ok && !strings.Contains(name, "/") && !slices.Contains(mapped, name) {
			t.Errorf("doc.go: package %s is missing from the map", name)
		}
	}
	for _, name := range mapped {
		if _, ok := documented["internal/"+name]; !ok {
			t.Errorf("doc.go: the map names package %s, which does not exist", name)
		}
	}
}

func TestFunctions(t *testing.T) {
	for _, s := range sources(t) {
		for _, declaration := range s.file.Decls {
			function, ok := declaration.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if function.Name.Name == "init" && function.Recv == nil {
				s.errorf(t, function.Pos(), "func init: initialise where it is used, or in a constructor")
			}
			lines := s.fset.Position(function.End()).Line - s.fset.Position(function.Pos()).Line + 1
			if lines > maxLines && !s.test && !hasReason(s.file, function) {
				s.errorf(t, function.Pos(), "%s has %d lines, more than %d, and no comment \"// long: REASON\"", function.Name.Name, lines, maxLines)
			}
		}
	}
}

func TestNoSleepInTests(t *testing.T) {
	for _, s := range sources(t) {
		if !s.test {
			continue
		}
		ast.Inspect(s.file, func(node ast.Node) bool {
			if call, ok := node.(*ast.SelectorExpr); ok && isIdent(call.X, "time") && call.Sel.Name == "Sleep" {
				s.errorf(t, call.Pos(), "time.Sleep in a test: wait for the event, or use testing/synctest")
			}
			return true
		})
	}
}

// hasReason reports whether a comment "long: ..." stands in or directly above the function.
func hasReason(file *ast.File, function *ast.FuncDecl) bool {
	start := function.Pos()
	if function.Doc != nil {
		start = function.Doc.Pos()
	}
	return slices.ContainsFunc(file.Comments, func(group *ast.CommentGroup) bool {
		return group.Pos() >= start && group.End() <= function.End() && strings.Contains("\n"+group.Text(), "\nlong: ")
	})
}

func importPath(spec *ast.ImportSpec) string {
	value, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		return spec.Path.Value
	}
	return value
}

func isIdent(expression ast.Expr, name string) bool {
	identifier, ok := expression.(*ast.Ident)
	return ok && identifier.Name == name
}
