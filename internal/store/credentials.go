package store

import (
	"context"
	"fmt"
	"strings"
)

// Proof is what the rows of virtual keys and administrators share: when they
// hold, how a presented credential finds them, and what proves that the holder
// of the master secret wrote them. This package stores proofs and judges none.
type Proof struct {
	Created int64 // when the row was first written
	Issued  int64 // when the present credential was made
	Expires int64
	Revoked int64 // 0 while it is not

	Lookup        string // keyed hash of the present credential, unique, hex
	LookupVersion int64  // version of the master secret behind it
	Prior         string // the same of the credential before; empty without one
	PriorVersion  int64
	PriorUntil    int64 // until when the credential before is valid

	Epoch          int64  // of the change that wrote the row
	Binding        string // keyed hash over every other column, hex
	BindingVersion int64
}

// proofColumns are the columns of a Proof, in the order of into and values.
var proofColumns = []string{
	"created", "issued", "expires", "revoked", "lookup", "lookup_version", "prior", "prior_version", "prior_until",
	"epoch", "binding", "binding_version",
}

// into lists the destinations of proofColumns.
func (p *Proof) into() []any {
	return []any{
		&p.Created, &p.Issued, &p.Expires, &p.Revoked, &p.Lookup, &p.LookupVersion, &p.Prior, &p.PriorVersion, &p.PriorUntil,
		&p.Epoch, &p.Binding, &p.BindingVersion,
	}
}

// values appends the values of proofColumns.
func (p *Proof) values(dst []any) []any {
	return append(dst,
		p.Created, p.Issued, p.Expires, p.Revoked, p.Lookup, p.LookupVersion, p.Prior, p.PriorVersion, p.PriorUntil,
		p.Epoch, p.Binding, p.BindingVersion,
	)
}

// overwrite is the conflict clause by which a row replaces the one of its id.
func overwrite(columns []string) string {
	var sets []string
	for _, c := range columns {
		if c != "id" {
			sets = append(sets, c+" = excluded."+c)
		}
	}
	return "ON CONFLICT (id) DO UPDATE SET " + strings.Join(sets, ", ")
}

// CredentialState is the one row that stands for all credentials.
type CredentialState struct {
	Epoch         int64  // counts the changes; replicas watch it
	SecretVersion int64  // version of the master secret that binds the rows
	SecretCheck   string // tells whether a process holds that version
	Nonce         string // fresh at every change
	Seal          string // keyed hash over the bindings of all rows
}

// CredentialState reads the state, or ErrNotFound before there is one.
func (t *Tx) CredentialState(ctx context.Context) (CredentialState, error) {
	return t.scanState(ctx, `SELECT epoch, secret_version, secret_check, nonce, seal FROM credential_state WHERE one = 1`)
}

// NextCredentialState counts the epoch up by one and returns the state with the
// new epoch and everything else as it was. Until the transaction ends no other
// can change credentials: the row's lock orders the writers of one database.
// SetCredentialState must follow.
func (t *Tx) NextCredentialState(ctx context.Context) (CredentialState, error) {
	return t.scanState(ctx, `UPDATE credential_state SET epoch = epoch + 1 WHERE one = 1
		RETURNING epoch, secret_version, secret_check, nonce, seal`)
}

func (t *Tx) scanState(ctx context.Context, query string) (CredentialState, error) {
	var s CredentialState
	err := t.tx.QueryRowContext(ctx, query).Scan(&s.Epoch, &s.SecretVersion, &s.SecretCheck, &s.Nonce, &s.Seal)
	if err != nil {
		return CredentialState{}, fmt.Errorf("credential state: %w", missing(err))
	}
	return s, nil
}

// InitCredentialState writes the first state unless there is one.
func (t *Tx) InitCredentialState(ctx context.Context, s CredentialState) error {
	_, err := t.tx.ExecContext(ctx, `INSERT INTO credential_state (one, epoch, secret_version, secret_check, nonce, seal)
		VALUES (1, $1, $2, $3, $4, $5) ON CONFLICT (one) DO NOTHING`,
		s.Epoch, s.SecretVersion, s.SecretCheck, s.Nonce, s.Seal)
	if err != nil {
		return fmt.Errorf("credential state: %w", err)
	}
	return nil
}

// SetCredentialState replaces the state.
func (t *Tx) SetCredentialState(ctx context.Context, s CredentialState) error {
	res, err := t.tx.ExecContext(ctx, `UPDATE credential_state
		SET epoch = $1, secret_version = $2, secret_check = $3, nonce = $4, seal = $5 WHERE one = 1`,
		s.Epoch, s.SecretVersion, s.SecretCheck, s.Nonce, s.Seal)
	if err != nil {
		return fmt.Errorf("credential state: %w", err)
	}
	n, err := res.RowsAffected()
	if err == nil && n != 1 {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("credential state: %w", err)
	}
	return nil
}
