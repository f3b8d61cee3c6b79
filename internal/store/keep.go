package store

import (
	"context"
	"fmt"
)

// Object is what an upstream keeps for one project.
type Object struct {
	Project, Kind, ID, Upstream string
	Created, Expires            int64 // microseconds
}

// PutObject stores an object, or where it is now when it is known.
func (t *Tx) PutObject(ctx context.Context, o Object) error {
	_, err := t.tx.ExecContext(ctx, `INSERT INTO object (project, kind, id, upstream, created, expires) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (project, kind, id) DO UPDATE SET upstream = excluded.upstream, expires = excluded.expires`,
		o.Project, o.Kind, o.ID, o.Upstream, o.Created, o.Expires)
	if err != nil {
		return fmt.Errorf("put object: %w", err)
	}
	return nil
}

// Object reads an object of a project that has not expired, or ErrNotFound.
func (t *Tx) Object(ctx context.Context, project, kind, id string, now int64) (Object, error) {
	o := Object{Project: project, Kind: kind, ID: id}
	err := t.tx.QueryRowContext(ctx, `SELECT upstream, created, expires FROM object WHERE project = $1 AND kind = $2 AND id = $3 AND expires > $4`,
		project, kind, id, now).Scan(&o.Upstream, &o.Created, &o.Expires)
	if err != nil {
		return Object{}, fmt.Errorf("object: %w", missing(err))
	}
	return o, nil
}

// Objects reads which ids of a kind are a project's at an upstream.
func (t *Tx) Objects(ctx context.Context, project, kind, upstream string, now int64) (map[string]bool, error) {
	rows, err := t.tx.QueryContext(ctx, `SELECT id FROM object WHERE project = $1 AND kind = $2 AND upstream = $3 AND expires > $4`, project, kind, upstream, now)
	if err != nil {
		return nil, fmt.Errorf("objects: %w", err)
	}
	defer rows.Close()
	ids := map[string]bool{}
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("objects: %w", err)
		}
		ids[id] = true
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("objects: %w", err)
	}
	return ids, nil
}

// DropObject forgets an object.
func (t *Tx) DropObject(ctx context.Context, project, kind, id string) error {
	if _, err := t.tx.ExecContext(ctx, `DELETE FROM object WHERE project = $1 AND kind = $2 AND id = $3`, project, kind, id); err != nil {
		return fmt.Errorf("drop object: %w", err)
	}
	return nil
}

// Document is one sealed document of a project.
type Document struct {
	Project, ID      string
	Created, Expires int64 // microseconds
	Version          int64 // of the master secret that it is sealed under
	Sealed           []byte
}

// PutDocument stores a document and replaces one of its id.
func (t *Tx) PutDocument(ctx context.Context, d Document) error {
	_, err := t.tx.ExecContext(ctx, `INSERT INTO document (project, id, created, expires, version, sealed) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (project, id) DO UPDATE SET expires = excluded.expires, version = excluded.version, sealed = excluded.sealed`,
		d.Project, d.ID, d.Created, d.Expires, d.Version, d.Sealed)
	if err != nil {
		return fmt.Errorf("put document: %w", err)
	}
	return nil
}

// Document reads a document of a project that has not expired, or ErrNotFound.
func (t *Tx) Document(ctx context.Context, project, id string, now int64) (Document, error) {
	d := Document{Project: project, ID: id}
	err := t.tx.QueryRowContext(ctx, `SELECT created, expires, version, sealed FROM document WHERE project = $1 AND id = $2 AND expires > $3`,
		project, id, now).Scan(&d.Created, &d.Expires, &d.Version, &d.Sealed)
	if err != nil {
		return Document{}, fmt.Errorf("document: %w", missing(err))
	}
	return d, nil
}

// DropDocument forgets a document, and reports whether there was one.
func (t *Tx) DropDocument(ctx context.Context, project, id string) (bool, error) {
	r, err := t.tx.ExecContext(ctx, `DELETE FROM document WHERE project = $1 AND id = $2`, project, id)
	if err != nil {
		return false, fmt.Errorf("drop document: %w", err)
	}
	n, err := r.RowsAffected()
	return n > 0, err
}

// DropExpired forgets at most limit documents and as many objects that have
// expired, and returns how many it forgot.
func (t *Tx) DropExpired(ctx context.Context, now, limit int64) (int64, error) {
	var dropped int64
	for _, statement := range []string{
		`DELETE FROM document WHERE (project, id) IN (SELECT project, id FROM document WHERE expires <= $1 ORDER BY expires LIMIT $2)`,
		`DELETE FROM object WHERE (project, kind, id) IN (SELECT project, kind, id FROM object WHERE expires <= $1 ORDER BY expires LIMIT $2)`,
	} {
		r, err := t.tx.ExecContext(ctx, statement, now, limit)
		if err != nil {
			return dropped, fmt.Errorf("drop what expired: %w", err)
		}
		n, err := r.RowsAffected()
		if err != nil {
			return dropped, fmt.Errorf("drop what expired: %w", err)
		}
		dropped += n
	}
	return dropped, nil
}
