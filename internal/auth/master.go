package auth

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"sallyport/internal/secret"
)

// Master is the master secret: every version of it that is still held, newest
// first. Nothing is ever keyed with a version itself, only with sub-keys of it.
// It is safe for concurrent use and never shows what it holds.
type Master struct {
	file string // the folder of the secret file; empty when the caller gave the text

	mu       sync.Mutex // serialises changes of versions and of the file
	versions atomic.Pointer[[]version]
}

// version is one version of the master secret.
type version struct {
	number int64
	secret []byte
}

// Subkey is a 256-bit key derived from one version for one purpose. It does not
// print, log or marshal itself.
type Subkey [32]byte

// Bounds of the master secret's text.
const (
	minSecretBytes    = 32
	maxSecretText     = 8 << 10
	maxSecretVersions = 16
)

// secretFile is the name of the secret in the data folder.
const secretFile = "secret"

// ParseMaster reads a master secret. The text is either one value, which is
// version 1, or versions as "v2:base64url", newest first, separated by commas or
// newlines. Values that are short, repetitive or well known are refused. No
// error holds a part of the text.
func ParseMaster(text secret.String) (*Master, error) {
	vs, err := parseVersions(text.Reveal())
	if err != nil {
		return nil, fmt.Errorf("master secret: %w", err)
	}
	m := &Master{}
	m.versions.Store(&vs)
	return m, nil
}

// LoadMaster reads the file "secret" in the data folder, or makes it with 32
// random bytes and mode 0600 when there is none; made tells which. A file that
// the group or others may read is refused.
func LoadMaster(folder string) (m *Master, made bool, err error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, false, fmt.Errorf("master secret: %w", err)
	}
	defer root.Close() //nolint:errcheck // nothing is written through it
	text, err := readSecretFile(root)
	if errors.Is(err, os.ErrNotExist) {
		made = true
		if err = writeSecretFile(root, secretText([]version{newVersion(1)}), false); err == nil {
			text, err = readSecretFile(root)
		}
	}
	if err != nil {
		return nil, false, fmt.Errorf("master secret: %w", err)
	}
	vs, err := parseVersions(text)
	if err != nil {
		return nil, false, fmt.Errorf("master secret in file %q: %w", secretFile, err)
	}
	m = &Master{file: folder}
	m.versions.Store(&vs)
	return m, made, nil
}

// NewSecretText returns a fresh secret of a version as text, such as
// "v2:5Yx...", to be put in front of the versions that are in use.
func NewSecretText(number int64) secret.String {
	return secret.New(strings.TrimSpace(secretText([]version{newVersion(number)})))
}

// Newest is the number of the newest version held.
func (m *Master) Newest() int64 { return (*m.versions.Load())[0].number }

// Versions lists the version numbers held, newest first.
func (m *Master) Versions() []int64 {
	var ns []int64
	for _, v := range *m.versions.Load() {
		ns = append(ns, v.number)
	}
	return ns
}

// Subkey derives the key of a version for a purpose by HKDF-SHA-256 (RFC 5869).
// It reports false when the version is not held. Keys of different purposes or
// versions tell nothing about each other.
func (m *Master) Subkey(number int64, purpose string) (Subkey, bool) {
	for _, v := range *m.versions.Load() {
		if v.number == number {
			key, err := hkdf.Key(sha256.New, v.secret, nil, "sallyport v1 "+purpose, len(Subkey{}))
			return Subkey(key), err == nil
		}
	}
	return Subkey{}, false
}

// add puts a fresh version on top, in the file first.
func (m *Master) add() (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	vs := *m.versions.Load()
	if len(vs) >= maxSecretVersions {
		return 0, fmt.Errorf("master secret: %d versions are held, drop old ones first", len(vs))
	}
	next := append([]version{newVersion(vs[0].number + 1)}, vs...)
	return next[0].number, m.replace(next)
}

// drop forgets a version, in the file first.
func (m *Master) drop(number int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	vs := slices.DeleteFunc(slices.Clone(*m.versions.Load()), func(v version) bool { return v.number == number })
	if len(vs) == 0 {
		return errors.New("master secret: the only version cannot be dropped")
	}
	return m.replace(vs)
}

// replace writes the versions to the file, when there is one, and then holds them.
func (m *Master) replace(vs []version) error {
	if m.file != "" {
		root, err := os.OpenRoot(m.file)
		if err != nil {
			return fmt.Errorf("master secret: %w", err)
		}
		defer root.Close() //nolint:errcheck // the file itself is synced and closed
		if err := writeSecretFile(root, secretText(vs), true); err != nil {
			return fmt.Errorf("master secret: %w", err)
		}
	}
	m.versions.Store(&vs)
	return nil
}

func newVersion(number int64) version {
	v := version{number: number, secret: make([]byte, minSecretBytes)}
	rand.Read(v.secret) //nolint:errcheck // crypto/rand never fails
	return v
}

// secretText is the text form of versions, a line each.
func secretText(vs []version) string {
	var b strings.Builder
	for _, v := range vs {
		fmt.Fprintf(&b, "v%d:%s\n", v.number, base64.RawURLEncoding.EncodeToString(v.secret))
	}
	return b.String()
}

// parseVersions reads both text forms. Errors name places, never values.
func parseVersions(text string) ([]version, error) {
	if len(text) > maxSecretText {
		return nil, fmt.Errorf("longer than %d bytes", maxSecretText)
	}
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, errors.New("empty; make one with: openssl rand -base64 32")
	}
	if _, _, ok := versionPrefix(text); !ok {
		if err := checkStrength(text); err != nil {
			return nil, err
		}
		return []version{{1, []byte(text)}}, nil
	}
	var vs []version
	for i, part := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == '\n' || r == '\r' }) {
		number, encoded, ok := versionPrefix(strings.TrimSpace(part))
		if !ok {
			return nil, fmt.Errorf("part %d is not of the form v2:base64url", i+1)
		}
		value, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(encoded, "="))
		if err != nil {
			return nil, fmt.Errorf("version %d is not base64url", number)
		}
		if len(value) < minSecretBytes || distinct(string(value)) < minSecretBytes/2 {
			return nil, fmt.Errorf("version %d is weak: want at least %d random bytes", number, minSecretBytes)
		}
		if len(vs) > 0 && vs[len(vs)-1].number <= number {
			return nil, fmt.Errorf("version %d stands after version %d: want the newest first, each once", number, vs[len(vs)-1].number)
		}
		if slices.ContainsFunc(vs, func(v version) bool { return string(v.secret) == string(value) }) {
			return nil, fmt.Errorf("version %d repeats the value of a newer one", number)
		}
		if vs = append(vs, version{number, value}); len(vs) > maxSecretVersions {
			return nil, fmt.Errorf("more than %d versions", maxSecretVersions)
		}
	}
	return vs, nil
}

// versionPrefix splits "v2:value".
func versionPrefix(part string) (number int64, value string, ok bool) {
	head, value, ok := strings.Cut(part, ":")
	digits, isV := strings.CutPrefix(head, "v")
	if !ok || !isV || digits == "" || digits[0] < '1' || digits[0] > '9' {
		return 0, "", false
	}
	number, err := strconv.ParseInt(digits, 10, 31)
	return number, value, err == nil
}

// readSecretFile reads the secret and insists that only its owner may.
func readSecretFile(root *os.Root) (string, error) {
	f, err := root.Open(secretFile)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%q is not a regular file", secretFile)
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return "", fmt.Errorf("%q has mode %04o and may be read by others; if nobody did, run: chmod 600 %s", secretFile, perm, secretFile)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSecretText+1))
	return string(b), err
}

// writeSecretFile writes a new file beside the secret, syncs it and puts it in
// its place: over the old one, or only where there is none.
func writeSecretFile(root *os.Root, text string, over bool) (err error) {
	tmp := secretFile + "." + strings.ToLower(rand.Text()) + ".tmp"
	f, err := root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if e := root.Remove(tmp); !errors.Is(e, os.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}()
	_, err = f.WriteString(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if over {
		err = root.Rename(tmp, secretFile)
	} else if err = root.Link(tmp, secretFile); errors.Is(err, os.ErrExist) {
		err = nil // another process was first: its secret counts
	}
	if err != nil {
		return err
	}
	dir, err := root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

const hidden = "[secret]"

// String implements fmt.Stringer without the secret.
func (m *Master) String() string { return hidden }

// Format implements fmt.Formatter without the secret.
func (m *Master) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hidden)) }

// LogValue implements slog.LogValuer without the secret.
func (m *Master) LogValue() slog.Value { return slog.StringValue(hidden) }

// String implements fmt.Stringer without the key.
func (k Subkey) String() string { return hidden }

// Format implements fmt.Formatter without the key.
func (k Subkey) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hidden)) }

// LogValue implements slog.LogValuer without the key.
func (k Subkey) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText implements encoding.TextMarshaler without the key.
func (k Subkey) MarshalText() ([]byte, error) { return []byte(hidden), nil }
