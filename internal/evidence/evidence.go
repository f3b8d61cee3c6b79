// Package evidence is the form of files that must be believed later and elsewhere: a
// payload under its hash and, where there is a key, a signature. It knows nothing of
// what the payload means.
//
// A sealed file is one line of JSON, the seal, and then the payload, gzip-compressed
// (RFC 1952). The signature is Ed25519 (RFC 8032) over the text
//
//	sallyport sealed file v1
//	<kind>
//	<SHA-256 of the compressed payload, lower-case hex>
//
// in which every line ends in LF. A file without a signature proves that it is whole,
// not who made it.
package evidence

import (
	"bytes"
	"compress/gzip"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Bounds on a sealed file, in bytes.
const (
	maxSeal    = 4 << 10
	maxFile    = 256 << 20 // of the compressed payload
	maxPayload = 1 << 30   // of the payload
)

// ErrBroken says that a file is not what was sealed: some byte of it is another one,
// or it is no sealed file at all.
var ErrBroken = errors.New("the sealed file is broken")

// Sealed is an opened file.
type Sealed struct {
	Kind    string // such as "sallyport.bundle/1"
	SHA256  string // hex, of the compressed payload; it names the file
	Signer  string // base64 of the Ed25519 public key; empty when nobody signed
	Payload []byte
}

// seal is the first line of a file.
type seal struct {
	Kind      string `json:"sealed"`
	SHA256    string `json:"sha256"`
	Signer    string `json:"signer,omitempty"`
	Signature string `json:"signature,omitempty"`
}

// Seal writes a payload as a sealed file, signed where key is not nil. It returns
// what Open will.
func Seal(w io.Writer, kind string, key ed25519.PrivateKey, payload []byte) (*Sealed, error) {
	var packed bytes.Buffer
	z, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if _, err := z.Write(payload); err != nil {
		return nil, fmt.Errorf("compress the payload: %w", err)
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("compress the payload: %w", err)
	}
	sum := sha256.Sum256(packed.Bytes())
	s := seal{Kind: kind, SHA256: hex.EncodeToString(sum[:])}
	if key != nil {
		s.Signer = Signer(key)
		s.Signature = base64.StdEncoding.EncodeToString(ed25519.Sign(key, s.text()))
	}
	line, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("write the seal: %w", err)
	}
	for _, part := range [][]byte{line, {'\n'}, packed.Bytes()} {
		if _, err := w.Write(part); err != nil {
			return nil, fmt.Errorf("write the sealed file: %w", err)
		}
	}
	return &Sealed{s.Kind, s.SHA256, s.Signer, payload}, nil
}

// text is what the signature is over.
func (s seal) text() []byte {
	return fmt.Appendf(nil, "sallyport sealed file v1\n%s\n%s\n", s.Kind, s.SHA256)
}

// Signer is the name by which the owner of a key is pinned: its public half.
func Signer(key ed25519.PrivateKey) string {
	return base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey))
}

// Open reads a sealed file of a kind and checks every byte of it. Its errors wrap
// ErrBroken unless reading itself failed. That a signature is right says only that
// the holder of Signer's key made it; whether that is somebody to believe is for the
// caller.
func Open(r io.Reader, kind string) (*Sealed, error) {
	all, err := io.ReadAll(io.LimitReader(r, maxSeal+maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read the sealed file: %w", err)
	}
	line, packed, found := bytes.Cut(all, []byte{'\n'})
	if !found || len(line) > maxSeal || len(packed) > maxFile {
		return nil, fmt.Errorf("%w: no seal stands at its beginning, or it is too large", ErrBroken)
	}
	var s seal
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return nil, fmt.Errorf("%w: its first line is no seal", ErrBroken)
	}
	if again, err := json.Marshal(s); err != nil || !bytes.Equal(again, line) {
		return nil, fmt.Errorf("%w: its seal is not in the form that it was written in", ErrBroken)
	}
	if s.Kind != kind {
		return nil, fmt.Errorf("%w: it is of kind %q, not %q", ErrBroken, s.Kind, kind)
	}
	if sum := sha256.Sum256(packed); hex.EncodeToString(sum[:]) != s.SHA256 {
		return nil, fmt.Errorf("%w: its payload does not have the hash that the seal says", ErrBroken)
	}
	if err := s.verify(); err != nil {
		return nil, err
	}
	payload, err := unpack(packed)
	if err != nil {
		return nil, err
	}
	return &Sealed{s.Kind, s.SHA256, s.Signer, payload}, nil
}

// KindOf is the kind that a file's seal names, so that a reader of several kinds knows
// which to open; nothing is verified. It is empty where no seal stands at the beginning.
func KindOf(file []byte) string {
	line, _, _ := bytes.Cut(file[:min(len(file), maxSeal)], []byte{'\n'})
	var s seal
	if json.Unmarshal(line, &s) != nil {
		return ""
	}
	return s.Kind
}

// verify checks the signature, where there is one.
func (s seal) verify() error {
	if s.Signer == "" && s.Signature == "" {
		return nil
	}
	key, err := base64.StdEncoding.Strict().DecodeString(s.Signer)
	if err != nil || len(key) != ed25519.PublicKeySize {
		return fmt.Errorf("%w: its signer is no Ed25519 key", ErrBroken)
	}
	signature, err := base64.StdEncoding.Strict().DecodeString(s.Signature)
	if err != nil || !ed25519.Verify(key, s.text(), signature) {
		return fmt.Errorf("%w: its signature is wrong", ErrBroken)
	}
	return nil
}

// unpack inflates a payload within the bound.
func unpack(packed []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("%w: its payload is not compressed", ErrBroken)
	}
	payload, err := io.ReadAll(io.LimitReader(z, maxPayload+1))
	if err != nil || len(payload) > maxPayload {
		return nil, fmt.Errorf("%w: its payload cannot be inflated, or is too large", ErrBroken)
	}
	return payload, nil
}
