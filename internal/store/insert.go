package store

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
)

// insert is a multi-row INSERT: a large and a single-row statement of the same
// text shape, both prepared when the database is opened.
type insert struct {
	table   string
	columns []string
	chunk   int    // rows of the large statement
	suffix  string // such as "ON CONFLICT ..."
}

// text is the statement for a number of rows.
func (in insert) text(rows int) string {
	var b strings.Builder
	b.WriteString("INSERT INTO " + in.table + " (" + strings.Join(in.columns, ", ") + ") VALUES ")
	n := 0
	for r := range rows {
		if r > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('(')
		for c := range in.columns {
			if c > 0 {
				b.WriteByte(',')
			}
			n++
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(n))
		}
		b.WriteByte(')')
	}
	if in.suffix != "" {
		b.WriteByte(' ')
		b.WriteString(in.suffix)
	}
	return b.String()
}

// prepare readies every multi-row insert on the write pool. A pool of one
// connection cannot prepare while a transaction holds it, hence at the start.
func (db *DB) prepare(ctx context.Context) error {
	db.stmts = map[string]*sql.Stmt{}
	for _, in := range inserts() {
		for _, rows := range []int{in.chunk, 1} {
			text := in.text(rows)
			s, err := db.write.PrepareContext(ctx, text)
			if err != nil {
				return fmt.Errorf("prepare insert into %s: %w", in.table, err)
			}
			db.stmts[text] = s
		}
	}
	return nil
}

// inserts lists every multi-row insert.
func inserts() []insert { return nil }
