package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

// insert is a multi-row INSERT: one statement for chunk rows and one for a
// single row, both prepared when the database is opened.
type insert struct {
	table   string
	columns []string
	chunk   int    // rows of the large statement
	suffix  string // such as an ON CONFLICT clause
}

// inserts lists every multi-row insert.
var inserts = []*insert{&insertLeaf, &insertHash, &insertEntry, &insertCard, &insertCount, &insertVerdict, &upsertRollup, &upsertKey, &upsertAdmin}

// prepared is an insert made ready on the write pool.
type prepared struct{ large, single *sql.Stmt }

// text is the statement for a number of rows. Placeholders differ by engine: in
// SQLite $1 is a named parameter, and looking names up makes binding thousands
// of them quadratic.
func (in *insert) text(e engine, rows int) string {
	var b strings.Builder
	b.WriteString("INSERT INTO " + in.table + " (" + strings.Join(in.columns, ", ") + ") VALUES ")
	for n := range rows * len(in.columns) {
		switch {
		case n == 0:
			b.WriteByte('(')
		case n%len(in.columns) == 0:
			b.WriteString("),(")
		default:
			b.WriteByte(',')
		}
		b.WriteString(e.placeholder(n + 1))
	}
	b.WriteString(") " + in.suffix)
	return b.String()
}

// prepare readies every multi-row insert on the write pool. A pool of one
// connection cannot prepare while a transaction holds it, hence at the start.
func (db *DB) prepare(ctx context.Context) error {
	db.inserts = map[*insert]prepared{}
	for _, in := range inserts {
		var p prepared
		var err error
		if p.large, err = db.write.PrepareContext(ctx, in.text(db.engine, in.chunk)); err == nil {
			p.single, err = db.write.PrepareContext(ctx, in.text(db.engine, 1))
		}
		if err != nil {
			return fmt.Errorf("prepare insert into %s: %w", in.table, err)
		}
		db.inserts[in] = p
	}
	return nil
}

// insertRows writes n rows; row appends the columns of row i.
func (t *Tx) insertRows(ctx context.Context, in *insert, n int, row func(i int, dst []any) []any) error {
	p := t.db.inserts[in]
	for i := 0; i < n; {
		stmt, rows := p.single, 1
		if n-i >= in.chunk {
			stmt, rows = p.large, in.chunk
		}
		t.args = t.args[:0]
		for j := range rows {
			t.args = row(i+j, t.args)
		}
		if _, err := t.tx.StmtContext(ctx, stmt).ExecContext(ctx, t.args...); err != nil {
			return fmt.Errorf("insert into %s: %w", in.table, err)
		}
		i += rows
	}
	return nil
}
