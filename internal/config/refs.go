package config

import (
	"errors"
	"io/fs"
	"os"
	"reflect"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"

	"sallyport/internal/secret"
)

// resolver looks references up.
type resolver struct {
	env      func(string) (string, bool)
	readFile func(string) ([]byte, error)
}

// maxSecret bounds the text that a reference leads to.
const maxSecret = 64 << 10

// variable is what a name of an environment variable looks like (POSIX.1-2024,
// section 8.1, lower case allowed).
var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`)

const refFix = "write env:NAME or file:PATH"

// lookup resolves a reference. What is wrong is told without the text, which may
// be a secret written in clear.
func (r resolver) lookup(text string) (ref Ref, what, fix string) {
	var value string
	switch kind, name, _ := strings.Cut(text, ":"); {
	case kind == "env":
		if !variable.MatchString(name) {
			return Ref{}, "the name of the environment variable is not valid", "write env: and letters, digits and underscores"
		}
		v, ok := r.env(name)
		if !ok || v == "" {
			return Ref{}, "the environment variable " + name + " is not set", "set it before starting Sallyport"
		}
		value = v
	case kind == "file":
		if name == "" {
			return Ref{}, "the file has no name", "write file: and a path"
		}
		b, err := r.readFile(name)
		if err != nil {
			return Ref{}, "the file " + quote(name) + " " + reason(err), "make it readable for Sallyport"
		}
		if len(b) > maxSecret {
			return Ref{}, "the file " + quote(name) + " is too large for a secret", "store nothing but the secret in it"
		}
		value = strings.TrimRight(string(b), "\r\n")
		if value == "" {
			return Ref{}, "the file " + quote(name) + " is empty", "store the secret in it"
		}
	default:
		return Ref{}, "a secret must not be written in clear", refFix
	}
	if !utf8.ValidString(value) || strings.ContainsRune(value, 0) {
		return Ref{}, "what " + quote(text) + " leads to is not text", "store the secret as text"
	}
	return NewRef(text, secret.New(value)), "", ""
}

// reason tells why a file cannot be read, without the path that the operating
// system's message repeats.
func reason(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "does not exist"
	case errors.Is(err, fs.ErrPermission):
		return "may not be read"
	}
	return "cannot be read"
}

// ref decodes a reference.
func (d *decoder) ref(path string, n ast.Node, v reflect.Value) {
	text, ok := d.number(n)
	if !ok {
		d.at(placeOf(n), path, "is not a reference", refFix)
		return
	}
	r, what, fix := d.resolve.lookup(text)
	if what != "" {
		d.at(placeOf(n), path, what, fix)
		return
	}
	v.Set(reflect.ValueOf(r))
}

// credentialName finds header names whose values are credentials.
var credentialName = regexp.MustCompile(`(?i)auth|cookie|credential|key|pass|secret|session|signature|token`)

// headerValue decodes a text or a reference; the name decides whether a text will do.
func (d *decoder) headerValue(path string, n ast.Node, v reflect.Value) {
	text, ok := d.words(path, n)
	if !ok {
		return
	}
	if !strings.HasPrefix(text, "env:") && !strings.HasPrefix(text, "file:") {
		if credentialName.MatchString(path[strings.LastIndexByte(path, '.')+1:]) {
			d.at(placeOf(n), path, "a header of this name must not be written in clear", refFix)
			return
		}
		v.Set(reflect.ValueOf(NewValue(text)))
		return
	}
	r, what, fix := d.resolve.lookup(text)
	if what != "" {
		d.at(placeOf(n), path, what, fix)
		return
	}
	v.Set(reflect.ValueOf(Value{Ref: r}))
}

// Resolve looks up a reference that stands outside a configuration file, such as on
// a command line. The error does not repeat the text, which may be a secret written
// in clear.
func Resolve(text string) (Ref, error) {
	ref, what, fix := resolver{env: os.LookupEnv, readFile: ReadFile}.lookup(text)
	if what != "" {
		return Ref{}, errors.New(what + "; " + fix)
	}
	return ref, nil
}
