// Package identity holds who is asking: the principal of a request and every
// identifier type of the product. Any package may import it; it imports none.
package identity

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"slices"
	"strings"
)

// Identifiers. Each is opaque text; distinct types keep the compiler on guard
// against a swapped argument.
type (
	// RequestID names one exchange, and is what a client sees as x-request-id.
	RequestID string
	// KeyID names a virtual key; it is public, the key itself is not.
	KeyID string
	// AdminID names an administrator's credential.
	AdminID string
	// ProjectID names the project that a key, its spending and its objects belong to.
	ProjectID string
	// Upstream names one configured way to reach a provider.
	Upstream string
	// Model is a public model name as clients write it.
	Model string
)

// sortable is RFC 4648's base32hex in lower case: its order is that of the bytes.
var sortable = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// NewRequestID returns a fresh request id: the time in milliseconds, then 80
// random bits. Ids of later requests sort behind those of earlier ones, so that
// an index over them grows at its end. micros is microseconds since the Unix epoch.
func NewRequestID(micros int64) RequestID {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], uint64(micros/1000)<<16)
	_, _ = rand.Read(b[6:]) // never fails: crypto/rand aborts the program instead
	return RequestID("req_" + sortable.EncodeToString(b[:]))
}

// NewKeyID returns a fresh random key id.
func NewKeyID() KeyID { return KeyID("key_" + strings.ToLower(rand.Text()[:16])) }

// NewAdminID returns a fresh random administrator id.
func NewAdminID() AdminID { return AdminID("adm_" + strings.ToLower(rand.Text()[:16])) }

// Kind says what sort of credential made a Principal.
type Kind string

// The kinds of principal. The zero value is nobody and is allowed nothing.
const (
	Nobody Kind = ""
	Key    Kind = "key"   // a virtual key: inference only
	Admin  Kind = "admin" // an administrator's credential: the admin API only
	Local  Kind = "local" // the owner of the data folder, through its socket: both
	Audit  Kind = "audit" // Sallyport itself, asking an upstream what it serves: inference only
)

// Role is what an administrator may do. Roles are ordered: an admin may do what
// an operator may, an operator what an auditor may.
type Role string

// The roles. An auditor reads; an operator also runs (upstreams, reloads); an
// admin also hands out credentials.
const (
	RoleAuditor  Role = "auditor"
	RoleOperator Role = "operator"
	RoleAdmin    Role = "admin"
)

// rank orders the roles; an unknown role ranks 0 and covers nothing.
var rank = map[Role]int{RoleAuditor: 1, RoleOperator: 2, RoleAdmin: 3}

// Valid reports whether r is one of the defined roles.
func (r Role) Valid() bool { return rank[r] > 0 }

// Covers reports whether a holder of r may do what need asks for.
// Unknown roles on either side deny.
func (r Role) Covers(need Role) bool { return rank[r] > 0 && rank[need] > 0 && rank[r] >= rank[need] }

// Principal is who stands behind one request after authentication.
// The zero Principal is nobody.
type Principal struct {
	Kind    Kind
	Key     KeyID     // set when Kind is Key
	Admin   AdminID   // set when Kind is Admin
	Name    string    // what the operator called the credential
	Project ProjectID // whom spending is charged to
	Role    Role      // set when Kind is Admin or Local
	Models  []Model   // public names it may use; empty means every configured model
}

// MayUse reports whether the principal's allow-list admits the public model name.
func (p Principal) MayUse(m Model) bool {
	return p.Kind != Nobody && (len(p.Models) == 0 || slices.Contains(p.Models, m))
}

// MayInfer reports whether the principal may send traffic to models at all.
// An administrator's credential may not.
func (p Principal) MayInfer() bool { return p.Kind == Key || p.Kind == Local || p.Kind == Audit }
