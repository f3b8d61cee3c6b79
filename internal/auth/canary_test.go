package auth

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/identity"
	"sallyport/internal/secret"
)

// dump is every row of the tables of credentials as text.
func (d database) dump(t *testing.T) string {
	var out strings.Builder
	for _, table := range []string{"virtual_key", "admin", "credential_state", "meta"} {
		rows, err := d.raw.QueryContext(t.Context(), "SELECT * FROM "+table)
		if err != nil {
			t.Fatal(err)
		}
		columns, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		values := make([]any, len(columns))
		into := make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		for rows.Next() {
			if err := rows.Scan(into...); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&out, "%s %q\n", table, values)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		rows.Close()
	}
	return out.String()
}

// Whatever happens, no row, log line, error, record or formatted value holds a
// credential, a setup token or the master secret, plain, hexadecimal or base64.
func TestCanary(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db database) {
		dir := t.TempDir()
		m := loadMaster(t, dir)
		a := newAuth(t, db.store, m)
		var secrets []secret.String
		var out strings.Builder
		keep := func(s secret.String, err error) {
			secrets = append(secrets, s)
			fmt.Fprintln(&out, s, err)
		}
		k, token := a.newKey(t, "p")
		keep(token, nil)
		_, rotated, err := a.RotateKey(t.Context(), k.ID, RotateSpec{}, a.acts.record)
		keep(rotated, err)
		admin, adminToken := a.newAdmin(t, identity.RoleAdmin)
		keep(adminToken, nil)
		setup := a.MintSetup()
		keep(setup, nil)
		_, made, err := a.ExchangeSetup(t.Context(), setup, "root", here, a.acts.record)
		keep(made, err)
		_, _, err = a.ExchangeSetup(t.Context(), setup, "root", here, a.acts.record)
		keep(setup, err)
		unknown, typo := newToken(prefixKey), secret.New(newToken(prefixKey).Reveal()+"x")
		for _, s := range []secret.String{token, rotated, adminToken, unknown, typo} {
			for _, h := range []http.Header{{"Authorization": {"Bearer " + s.Reveal()}}, {"Authorization": {"Basic " + s.Reveal()}}, {"X-Api-Key": {s.Reveal(), "x"}}} {
				p, err := a.Request(h, []string{s.Reveal()}, here)
				fmt.Fprintf(&out, "%v %+v %#v\n", err, p, err)
			}
			_, _, err := a.Identify(s)
			keep(s, err)
		}
		if _, err := a.RotateSecret(t.Context(), a.acts.record); err != nil {
			t.Fatal(err)
		}
		_, err = a.RevokeAdmin(t.Context(), admin.ID, false, a.acts.record)
		fmt.Fprintln(&out, err)
		_, err = a.RevokeKey(t.Context(), k.ID, func(Act) error { return errors.New("disk full") })
		fmt.Fprintln(&out, err)
		db.exec(t, "UPDATE virtual_key SET project = 'x'")
		a.sweep(t)
		_, err = tryAuth(t, db.store, testMaster(t))
		fmt.Fprintln(&out, err)
		file, err := os.ReadFile(filepath.Join(dir, "secret"))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(file)) {
			secrets = append(secrets, secret.New(strings.TrimPrefix(strings.TrimSpace(line), "v1:")))
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			fmt.Fprintf(&out, verb+"\n", a.Auth)
			fmt.Fprintf(&out, verb+"\n", m)
			fmt.Fprintf(&out, verb+"\n", a.Keys(KeyFilter{}))
			fmt.Fprintf(&out, verb+"\n", a.Admins())
			fmt.Fprintf(&out, verb+"\n", a.Status())
			fmt.Fprintf(&out, verb+"\n", a.acts.list)
		}
		everything := out.String() + a.logs.String() + db.dump(t)
		if !strings.Contains(everything, string(k.ID)) || !strings.Contains(everything, string(admin.ID)) || !strings.Contains(everything, "virtual_key [") {
			t.Fatal("the test looks at nothing")
		}
		for i, s := range secrets {
			text := s.Reveal()
			body := text[len(text)-checksumChars-randomChars:]
			digest := digest(text)
			for _, form := range []string{
				text, body, hex.EncodeToString([]byte(text)), base64.StdEncoding.EncodeToString([]byte(text))[:20],
				hex.EncodeToString(digest[:]), base64.StdEncoding.EncodeToString(digest[:])[:20],
			} {
				if at := strings.Index(everything, form); at >= 0 {
					t.Errorf("secret %d shows: ...%q...", i, everything[max(at-40, 0):at])
				}
			}
		}
	})
}
