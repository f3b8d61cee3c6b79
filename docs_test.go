package sallyport

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"sallyport/internal/record"
)

var (
	tables  = regexp.MustCompile(`(?s)CREATE TABLE (\w+) \((.*?)\n\)`)
	columns = regexp.MustCompile(`(?m)^    ([a-z]\w*) +[A-Z]`)
	added   = regexp.MustCompile(`ALTER TABLE (\w+) ADD COLUMN (\w+)`)
)

// TestDataStored holds docs/data-stored.md to the tables and the records: a field that it does not name is
// kept without anybody having said so.
func TestDataStored(t *testing.T) {
	page, err := os.ReadFile("docs/data-stored.md")
	if err != nil {
		t.Fatal(err)
	}
	named := func(what, name string) {
		t.Helper()
		if !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("docs/data-stored.md does not name `%s` (%s)", name, what)
		}
	}
	files, err := filepath.Glob("internal/store/migrations/sqlite/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("no migrations found: %v", err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, table := range tables.FindAllStringSubmatch(string(text), -1) {
			if !strings.Contains(string(page), "**"+table[1]+"**") {
				t.Errorf("docs/data-stored.md does not describe the table %s", table[1])
			}
			for _, column := range columns.FindAllStringSubmatch(table[2], -1) {
				named("column of "+table[1], column[1])
			}
		}
		for _, column := range added.FindAllStringSubmatch(string(text), -1) {
			named("column of "+column[1], column[2])
		}
	}
	for _, kind := range []any{record.Exchange{}, record.Try{}, record.Attempt{}, record.Count{}, record.Verdict{}, record.Start{}, record.Admin{}, record.Card{}, record.Strangers{}, record.Head{}} {
		for field := range reflect.TypeOf(kind).Fields() {
			named(reflect.TypeOf(kind).String()+"."+field.Name, field.Tag.Get("json"))
		}
	}
}
