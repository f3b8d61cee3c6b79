package app

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/gateway"
	"sallyport/internal/record"
	"sallyport/internal/upstreamtest"
)

// newestAct is the last administrative act of a kind in the log.
func newestAct(t *testing.T, a *App, name string) *record.Admin {
	t.Helper()
	if err := a.projector.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	leaves, err := a.store.Records(t.Context(), record.KindAdmin, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range leaves {
		r, err := record.Decode(l.Record)
		if err != nil {
			t.Fatal(err)
		}
		if r.Admin.Act == name {
			return r.Admin
		}
	}
	return nil
}

// TestReload: what the file says now is served, without a restart, and the log
// has both hashes.
func TestReload(t *testing.T) {
	t.Parallel()
	up := provider(t, upstreamtest.Config{})
	file := configure(t, up.BaseURL(), "")
	i := start(t, options(t.TempDir(), file))
	before := i.gateway.Snapshot().Hash
	kept := i.parts.Load().upstreams["up"]
	ask{base: i.data, key: i.key, model: "renamed", text: "x"}.want(t, 404)

	named := "  renamed: {targets: [{upstream: up, model: " + model + "}]}\n"
	write(t, file, configText(up.BaseURL(), named))
	if err := i.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	ask{base: i.data, key: i.key, model: "renamed", text: "nonce-1"}.want(t, 200)
	if i.parts.Load().upstreams["up"] != kept {
		t.Error("an upstream that did not change lost its connections")
	}
	act := newestAct(t, i.App, "config.reload")
	if act == nil || act.Actor != "local" || act.Detail["from"] != before || act.Detail["to"] != i.gateway.Snapshot().Hash || before == i.gateway.Snapshot().Hash {
		t.Errorf("the record of the reload: %+v", act)
	}

	write(t, file, configText(up.BaseURL(), named+"listen: 127.0.0.1:1\ndurability: strict\nadmin: {listen: 127.0.0.1:2}\n"))
	if err := i.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if logged := i.logs.String(); !strings.Contains(logged, "need a restart") || !strings.Contains(logged, "durability") {
		t.Errorf("fields that need a restart are not named: %s", logged)
	}
	ask{base: i.data, key: i.key, text: "nonce-2"}.want(t, 200) // on the listener as it was

	broken := write(t, file, configText(up.BaseURL(), named)+"nonsense: true\n")
	hash := i.gateway.Snapshot().Hash
	if err := i.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), broken) || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("a broken file: %v", err)
	}
	if i.gateway.Snapshot().Hash != hash {
		t.Error("a broken file changed what is in force")
	}
	if logged := i.logs.String(); !strings.Contains(logged, "not reloaded") {
		t.Errorf("a broken file is not told of: %s", logged)
	}
	ask{base: i.data, key: i.key, model: "renamed", text: "nonce-3"}.want(t, 200)
	i.verified(t)
}

// TestReloadVocabularies: a vocabulary is read with the configuration, and one that
// cannot be read changes nothing and is named.
func TestReloadVocabularies(t *testing.T) {
	t.Parallel()
	up := provider(t, upstreamtest.Config{})
	file := configure(t, up.BaseURL(), "count: {vocabularies: {'qwen*': ../tokens/testdata/qwen.json, 'other/*': ../tokens/testdata/qwen.json}}\n")
	i := start(t, options(t.TempDir(), file))
	read := i.gateway.Snapshot().Count.Vocabularies
	if v := read["qwen*"]; len(read) != 2 || v == nil || v != read["other/*"] || !strings.HasPrefix(v.Name, "qwen.json@") {
		t.Fatalf("%v", read)
	}
	empty := write(t, filepath.Join(t.TempDir(), "tokenizer.json"), "{}")
	for path, why := range map[string]string{"nowhere/tokenizer.json": "no such file", empty: "not supported"} {
		write(t, file, configText(up.BaseURL(), "count: {vocabularies: {'qwen*': "+path+"}}\n"))
		if err := i.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), `count.vocabularies["qwen*"]`) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", path, err)
		}
		if v := i.gateway.Snapshot().Count.Vocabularies["qwen*"]; v != read["qwen*"] {
			t.Errorf("%s: the vocabulary in force is %v", path, v)
		}
	}
}

// TestReloadOnChange: a file that is written or replaced is read by itself.
func TestReloadOnChange(t *testing.T) {
	t.Parallel()
	up := provider(t, upstreamtest.Config{})
	file := configure(t, up.BaseURL(), "")
	i := start(t, options(t.TempDir(), file))
	served := func(name string) bool {
		for _, m := range i.models() {
			if m.Name == name {
				return true
			}
		}
		return false
	}
	write(t, file, configText(up.BaseURL(), "  written: {targets: [{upstream: up, model: "+model+"}]}\n"))
	until(t, "a written file is in force", func() bool { return served("written") })
	fresh := write(t, file+".new", configText(up.BaseURL(), "  replaced: {targets: [{upstream: up, model: "+model+"}]}\n"))
	if err := os.Rename(fresh, file); err != nil {
		t.Fatal(err)
	}
	until(t, "a replaced file is in force", func() bool { return served("replaced") && !served("written") })
	write(t, file, "upstreams: [\n")
	until(t, "a broken file is told of", func() bool { return strings.Contains(i.logs.String(), "not reloaded") })
	if !served("replaced") {
		t.Error("a broken file changed what is in force")
	}
	if act := newestAct(t, i.App, "config.reload"); act == nil || act.Actor != "file" {
		t.Errorf("the record of the reload: %+v", act)
	}
}

// TestReloadInABusyFolder: other files beside the configuration, such as the log
// that tells of a broken one, neither hold a reload back nor bring one about.
func TestReloadInABusyFolder(t *testing.T) {
	t.Parallel()
	up := provider(t, upstreamtest.Config{})
	file := configure(t, up.BaseURL(), "")
	i := start(t, options(t.TempDir(), file))
	told := func() int { return strings.Count(i.logs.String(), "not reloaded") }
	turns := 0
	beside := func() { write(t, filepath.Join(filepath.Dir(file), "serve.log"), strconv.Itoa(turns)) }

	write(t, file, "upstreams: [\n")
	until(t, "a broken file is told of while another changes", func() bool {
		turns++
		beside()
		return told() > 0
	})
	turns = 0
	until(t, "another file changed now and then", func() bool {
		if turns++; turns%15 == 0 { // longer than a changed file must rest
			beside()
		}
		return turns > 60
	})
	if n := told(); n != 1 {
		t.Errorf("a broken file was told of %d times", n)
	}
}

// TestReloadKeepsStreams: an exchange finishes on the configuration it began with.
func TestReloadKeepsStreams(t *testing.T) {
	t.Parallel()
	up, other := provider(t, upstreamtest.Config{}), provider(t, upstreamtest.Config{})
	file := configure(t, up.BaseURL(), "")
	i := start(t, options(t.TempDir(), file))
	resp, err := ask{base: i.data, key: i.key, stream: true, text: "nonce-1 [[frames=40 gap=10ms]]"}.send(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	write(t, file, configText(other.BaseURL(), ""))
	if err := i.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	ask{base: i.data, key: i.key, text: "nonce-2"}.want(t, 200)
	if b, err := io.ReadAll(resp.Body); err != nil || !bytes.Contains(b, []byte("[DONE]")) {
		t.Errorf("the stream was cut: %v: %s", err, b)
	}
	if up.Journal().Len() != 1 || len(other.Journal().ByNonce("2")) != 1 {
		t.Error("requests went to the wrong upstream")
	}
}

// TestWriteDeadline: the server waits as long as the slowest upstream may take,
// also after a reload.
func TestWriteDeadline(t *testing.T) {
	t.Parallel()
	up := provider(t, upstreamtest.Config{})
	file := write(t, filepath.Join(t.TempDir(), "c.yaml"), strings.Replace(configText(up.BaseURL(), "timeouts: {total: 10m}\n"), "    class", "    timeouts: {total: 5m}\n    class", 1))
	i := start(t, options(t.TempDir(), file))
	if got := i.parts.Load().longest; got != 10*time.Minute+answerRoom {
		t.Errorf("%v", got)
	}
	write(t, file, strings.Replace(configText(up.BaseURL(), "timeouts: {total: 10m}\n"), "    class", "    timeouts: {total: 2h}\n    class", 1))
	if err := i.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := i.parts.Load().longest; got != 2*time.Hour+answerRoom {
		t.Errorf("%v", got)
	}
}

// TestFormerUpstreamsAreForgotten: reloads do not pile up what was.
func TestFormerUpstreamsAreForgotten(t *testing.T) {
	t.Parallel()
	up := provider(t, upstreamtest.Config{})
	file := configure(t, up.BaseURL(), "")
	i := start(t, options(t.TempDir(), file))
	asked := i.refreshDue(t.Context(), nil)
	for n := range 5 {
		write(t, file, strings.Replace(configText(up.BaseURL(), ""), "    class", fmt.Sprintf("    expose_unlisted: true\n    timeouts: {total: %dm}\n    class", n+1), 1))
		if err := i.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		asked = i.refreshDue(t.Context(), asked)
	}
	if len(asked) != 1 {
		t.Errorf("%d upstreams are remembered", len(asked))
	}
}

// TestDrain: while the gateway stops it says that it is not ready and takes
// nothing new; what runs finishes.
func TestDrain(t *testing.T) {
	t.Parallel()
	up := provider(t, upstreamtest.Config{})
	i := start(t, options(t.TempDir(), configure(t, up.BaseURL(), "")))
	resp, err := ask{base: i.data, key: i.key, stream: true, text: "nonce-1 [[frames=60 gap=10ms]]"}.send(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	stopped := make(chan error, 1)
	go func() { stopped <- i.stop() }()
	until(t, "it says that it is not ready", func() bool { status, _ := get(t, i.data+"/readyz"); return status == 503 })
	if status, _ := get(t, i.admin+"/readyz"); status != 503 {
		t.Errorf("readiness on the admin listener: status %d", status)
	}
	if status, _ := get(t, i.data+"/healthz"); status != 200 {
		t.Errorf("liveness: status %d", status)
	}
	ask{base: i.data, key: i.key, text: "nonce-2"}.want(t, 503)
	if b, err := io.ReadAll(resp.Body); err != nil || !bytes.Contains(b, []byte("[DONE]")) {
		t.Errorf("the running stream was cut: %v: %s", err, b)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	again := offline(t, childPlan{i.opts.ConfigFile, i.opts.Data})
	if states := judge(t, again.App, up); states["complete"] != 1 || states["lost"] != 0 {
		t.Errorf("rows by state: %v", states)
	}
}

// TestStopCuts: a stream that does not end in time is cut, and its outcome is
// recorded before the journal closes.
func TestStopCuts(t *testing.T) {
	t.Parallel()
	up := provider(t, upstreamtest.Config{})
	i := start(t, options(t.TempDir(), configure(t, up.BaseURL(), "")))
	resp, err := ask{base: i.data, key: i.key, stream: true, text: "nonce-1 [[frames=10 stall=2]]"}.send(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	rid := resp.Header.Get("X-Request-Id")
	i.drain = 10 * time.Millisecond
	if err := i.stop(); !errors.Is(err, gateway.ErrDraining) {
		t.Errorf("a stop that cut a stream: %v", err)
	}
	again := offline(t, childPlan{i.opts.ConfigFile, i.opts.Data})
	again.verified(t)
	if e, err := again.store.Entry(t.Context(), rid); err != nil || e.State == "lost" || e.State == "complete" {
		t.Errorf("%+v, %v", e, err)
	}
}

// authority makes certificates for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.cert, a.key, a.pem, _ = certificate(t, template, nil)
	return a
}

func (a *authority) issue(t *testing.T, serial int64) (certPEM, keyPEM []byte) {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "gateway"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"gateway.example"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	_, _, certPEM, keyPEM = certificate(t, template, a)
	return certPEM, keyPEM
}

func certificate(t *testing.T, template *x509.Certificate, by *authority) (*x509.Certificate, *ecdsa.PrivateKey, []byte, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
}

// TestTLS: certificates are read again without a restart, broken ones leave what
// was, and clients without a certificate of theirs are refused.
func TestTLS(t *testing.T) {
	t.Parallel()
	dir, ours, strangers := t.TempDir(), newAuthority(t, "ours"), newAuthority(t, "strangers")
	path := func(name string) string { return filepath.Join(dir, name) }
	install := func(serial int64) {
		c, k := ours.issue(t, serial)
		write(t, path("cert"), string(c))
		write(t, path("key"), string(k))
	}
	install(100)
	write(t, path("ca"), string(ours.pem))
	up := provider(t, upstreamtest.Config{})
	section := fmt.Sprintf("{cert: %s, key: %s, client_ca: %s}", path("cert"), path("key"), path("ca"))
	file := configure(t, up.BaseURL(), "tls: "+section+"\nadmin: {tls: "+section+"}\n")
	i := start(t, options(t.TempDir(), file))
	roots := x509.NewCertPool()
	roots.AddCert(ours.cert)
	// serial connects anew and tells which certificate the listener shows.
	serial := func(base string, own *authority) (int64, error) {
		conf := &tls.Config{RootCAs: roots, ServerName: "gateway.example"}
		if own != nil {
			c, k := own.issue(t, 7)
			pair, err := tls.X509KeyPair(c, k)
			if err != nil {
				t.Fatal(err)
			}
			conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
		}
		client := http.Client{Transport: &http.Transport{TLSClientConfig: conf, DisableKeepAlives: true, ForceAttemptHTTP2: true}}
		resp, err := client.Get(strings.Replace(base, "http://", "https://", 1) + "/healthz")
		if err != nil {
			return 0, err
		}
		resp.Body.Close()
		return resp.TLS.PeerCertificates[0].SerialNumber.Int64(), nil
	}
	for _, base := range []string{i.data, i.admin} {
		if n, err := serial(base, ours); err != nil || n != 100 {
			t.Errorf("serial %d, %v", n, err)
		}
		if _, err := serial(base, nil); err == nil {
			t.Error("a client without a certificate is served")
		}
		if _, err := serial(base, strangers); err == nil {
			t.Error("a client of another authority is served")
		}
	}
	install(200)
	until(t, "the new certificate is shown", func() bool { n, _ := serial(i.data, ours); return n == 200 })
	write(t, path("cert"), "no certificate")
	until(t, "a broken certificate is told of", func() bool {
		if n, err := serial(i.data, ours); err != nil || n != 200 {
			t.Fatalf("serial %d, %v", n, err)
		}
		return strings.Contains(i.logs.String(), "tls files not read again")
	})
	if names := certifiedNames(i.config.Admin.TLS); names != nil {
		t.Errorf("names of a broken certificate: %v", names)
	}
	install(300)
	until(t, "the next good certificate is shown", func() bool { n, _ := serial(i.data, ours); return n == 300 })
	if names := certifiedNames(i.config.Admin.TLS); len(names) != 1 || names[0] != "gateway.example" {
		t.Errorf("names %v", names)
	}
}

// TestSecretRotation: a new version of the master secret moves everything that is
// sealed, and the old one can then be dropped.
func TestSecretRotation(t *testing.T) {
	t.Parallel()
	up := provider(t, upstreamtest.Config{})
	file := configure(t, up.BaseURL(), "")
	dir := t.TempDir()
	i := start(t, options(dir, file))
	idle, act := i.auth.Keys(auth.KeyFilter{}), func(a auth.Act) error { return i.act("local", a) }
	_, i.key = i.newKey(t)
	ask{base: i.data, key: i.key, text: "nonce-1"}.want(t, 200)
	vkey := i.auditLog.VerifierKey()
	var rotated struct{ Version int64 }
	overSocket(t, dir, "POST", "/secret/rotate", &rotated)
	if rotated.Version != 2 {
		t.Errorf("version %d", rotated.Version)
	}
	ask{base: i.data, key: i.key, text: "nonce-2"}.want(t, 200)
	// The look-up of the used key moves; those of idle ones cannot.
	until(t, "the used key has moved", func() bool { return i.auth.Status().OldLookups == len(idle) })
	if ended, err := i.auth.DropSecret(t.Context(), 1, false, act); !errors.Is(err, auth.ErrInUse) || len(ended) != len(idle) {
		t.Errorf("a version in use was dropped: %v, %v", ended, err)
	}
	for _, k := range idle {
		if _, err := i.auth.RevokeKey(t.Context(), k.ID, act); err != nil {
			t.Fatal(err)
		}
	}
	var ended []string
	overSocket(t, dir, "POST", "/secret/drop/1", &ended)
	if text := secretFile(t, dir, "secret"); !strings.HasPrefix(text, "v2:") || strings.Contains(text, "v1:") {
		t.Error("the file still holds the old version")
	}
	if err := i.stop(); err != nil {
		t.Fatal(err)
	}
	again, err := try(t, options(dir, file))
	if err != nil {
		t.Fatal(err)
	}
	ask{base: again.data, key: i.key, text: "nonce-3"}.want(t, 200)
	again.verified(t)
	if again.auditLog.VerifierKey() != vkey {
		t.Error("the log has another signing key")
	}
	if err := again.stop(); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "secret"), auth.NewSecretText(2).Reveal())
	if _, err := try(t, options(dir, file)); err == nil {
		t.Error("a gateway with another secret started")
	}
}
