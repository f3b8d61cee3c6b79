// Package keep remembers what clients refer to later: which objects at an upstream
// belong to which project, and documents that Sallyport keeps itself, such as the
// turns that previous_response_id names.
//
// Documents hold prompts and answers. They are sealed with AES-256-GCM under a
// sub-key of the master secret, bound to their project and id, and expire. Whoever
// copies the database without the secret reads nothing; whoever moves a row to
// another project breaks its seal.
package keep

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"sallyport/internal/fault"
	"sallyport/internal/identity"
	"sallyport/internal/store"
)

// ErrNotFound is returned for what does not exist, has expired, belongs to another
// project, or cannot be opened any more.
var ErrNotFound = errors.New("nothing is kept under this id")

// Kind is a sort of object at an upstream; its text is stored.
type Kind string

// The kinds of object.
const (
	File         Kind = "file"
	Batch        Kind = "batch"
	Response     Kind = "response"
	Conversation Kind = "conversation"
	VectorStore  Kind = "vector_store"
	CachedText   Kind = "cached_content"
	Upload       Kind = "upload"
	Item         Kind = "item" // of a response
	Container    Kind = "container"
)

// Config is what a Keep is made of. All fields are required.
type Config struct {
	Store *store.DB
	// Newest is the version of the master secret that new documents are sealed
	// under, and Subkey its key for them.
	Newest   func() int64
	Subkey   func(version int64) (key [32]byte, held bool)
	Lifetime time.Duration // of a document
	Logger   *slog.Logger
}

// Keep is safe for concurrent use. Every call waits for the database at most
// patience; a request that depends on it is refused when the database is down.
type Keep struct{ Config }

// patience bounds how long a request waits for the database.
const patience = 5 * time.Second

// MaxDocument is the largest document that is kept, in bytes.
const MaxDocument = 32 << 20

// objectLifetime is how long an object is remembered whose upstream says nothing:
// longer than any provider keeps one unasked.
const objectLifetime = 400 * 24 * time.Hour

// New returns a Keep.
func New(cfg Config) *Keep { return &Keep{cfg} }

// down is what a client is told when the database does not answer.
func down(err error) error {
	return fault.Wrap(fault.Unavailable, "what is kept for clients cannot be read or written now", err)
}

func now() int64 { return time.Now().UnixMicro() }

// batch and view run one short transaction.
func (k *Keep) batch(ctx context.Context, f func(context.Context, *store.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return k.Store.Batch(ctx, func(tx *store.Tx) error { return f(ctx, tx) })
}

func (k *Keep) view(ctx context.Context, f func(context.Context, *store.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := k.Store.View(ctx, func(tx *store.Tx) error { return f(ctx, tx) })
	switch {
	case errors.Is(err, store.ErrNotFound):
		return ErrNotFound
	case err != nil:
		return down(err)
	}
	return nil
}

// Own records that an object at an upstream is a project's. It must succeed before
// the client learns the object's id.
func (k *Keep) Own(ctx context.Context, project identity.ProjectID, kind Kind, id string, at identity.Upstream) error {
	t := now()
	err := k.batch(ctx, func(ctx context.Context, tx *store.Tx) error {
		return tx.PutObject(ctx, store.Object{
			Project: string(project), Kind: string(kind), ID: id, Upstream: string(at), Created: t, Expires: t + objectLifetime.Microseconds(),
		})
	})
	if err != nil {
		return down(err)
	}
	return nil
}

// Owned finds the upstream of a project's object. The error is ErrNotFound when
// the project has none of the id, or a *fault.Error when nobody can tell.
func (k *Keep) Owned(ctx context.Context, project identity.ProjectID, kind Kind, id string) (at identity.Upstream, err error) {
	err = k.view(ctx, func(ctx context.Context, tx *store.Tx) error {
		o, err := tx.Object(ctx, string(project), string(kind), id, now())
		at = identity.Upstream(o.Upstream)
		return err
	})
	return at, err
}

// Mine lists the ids of a kind that are a project's at an upstream.
func (k *Keep) Mine(ctx context.Context, project identity.ProjectID, kind Kind, at identity.Upstream) (ids map[string]bool, err error) {
	err = k.view(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		ids, err = tx.Objects(ctx, string(project), string(kind), string(at), now())
		return err
	})
	return ids, err
}

// Disown forgets a project's object.
func (k *Keep) Disown(ctx context.Context, project identity.ProjectID, kind Kind, id string) error {
	err := k.batch(ctx, func(ctx context.Context, tx *store.Tx) error {
		return tx.DropObject(ctx, string(project), string(kind), id)
	})
	if err != nil {
		return down(err)
	}
	return nil
}

// Put keeps documents of a project by their ids until their lifetime ends: all of
// them or none. More than MaxDocument bytes are refused.
func (k *Keep) Put(ctx context.Context, project identity.ProjectID, documents map[string][]byte) error {
	size := 0
	for _, d := range documents {
		size += len(d)
	}
	if size > MaxDocument {
		return fault.Newf(fault.TooLarge, "more than %d bytes are not kept", MaxDocument)
	}
	version := k.Newest()
	aead, err := k.aead(version)
	if err != nil {
		return err
	}
	t := now()
	rows := make([]store.Document, 0, len(documents))
	for id, d := range documents {
		nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(d)+aead.Overhead())
		_, _ = rand.Read(nonce) // never fails: crypto/rand aborts the program instead
		rows = append(rows, store.Document{
			Project: string(project), ID: id, Created: t, Expires: t + k.Lifetime.Microseconds(), Version: version,
			Sealed: aead.Seal(nonce, nonce, d, bound(project, id)),
		})
	}
	err = k.batch(ctx, func(ctx context.Context, tx *store.Tx) error {
		for _, row := range rows {
			if err := tx.PutDocument(ctx, row); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return down(err)
	}
	return nil
}

// Get reads a document of a project. The error is ErrNotFound when the project has
// none of the id that can still be opened, or a *fault.Error.
func (k *Keep) Get(ctx context.Context, project identity.ProjectID, id string) ([]byte, error) {
	var d store.Document
	err := k.view(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		d, err = tx.Document(ctx, string(project), id, now())
		return err
	})
	if err != nil {
		return nil, err
	}
	aead, err := k.aead(d.Version)
	if err == nil && len(d.Sealed) >= aead.NonceSize() {
		n := aead.NonceSize()
		var plain []byte
		if plain, err = aead.Open(nil, d.Sealed[:n], d.Sealed[n:], bound(project, id)); err == nil {
			return plain, nil
		}
	}
	k.Logger.Error("a kept document does not open: it was changed, or its version of the master secret is gone", "project", string(project), "version", d.Version, "error", err)
	return nil, ErrNotFound
}

// Drop forgets a document. The error is ErrNotFound when there is none.
func (k *Keep) Drop(ctx context.Context, project identity.ProjectID, id string) error {
	found := false
	err := k.batch(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		found, err = tx.DropDocument(ctx, string(project), id)
		return err
	})
	switch {
	case err != nil:
		return down(err)
	case !found:
		return ErrNotFound
	}
	return nil
}

// aead is the cipher of a version of the master secret.
func (k *Keep) aead(version int64) (cipher.AEAD, error) {
	key, held := k.Subkey(version)
	if !held {
		return nil, fmt.Errorf("version %d of the master secret is not held", version)
	}
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// bound is what a seal is bound to besides its key.
func bound(project identity.ProjectID, id string) []byte {
	return fmt.Appendf(nil, "sallyport document v1\n%d %s\n%s", len(project), project, id)
}

// How much is forgotten at a time, and how often.
const (
	sweepEvery = time.Minute
	sweepLimit = 200
)

// Run forgets what has expired until ctx ends.
func (k *Keep) Run(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if err := k.Sweep(ctx); err != nil && ctx.Err() == nil {
			k.Logger.Warn("what has expired is still kept", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Sweep forgets everything that has expired, a little at a time.
func (k *Keep) Sweep(ctx context.Context) error {
	for {
		var n int64
		err := k.batch(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
			n, err = tx.DropExpired(ctx, now(), sweepLimit)
			return err
		})
		if err != nil || n < sweepLimit {
			return err
		}
	}
}
