package evidence

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"
)

const kind = "sallyport.test/1"

func key() ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
}

func sealed(t *testing.T, key ed25519.PrivateKey, payload string) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := Seal(&b, kind, key, []byte(payload)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestOpen(t *testing.T) {
	for _, k := range []ed25519.PrivateKey{nil, key()} {
		payload := strings.Repeat("what was asked and answered\n", 100)
		file := sealed(t, k, payload)
		got, err := Open(bytes.NewReader(file), kind)
		if err != nil {
			t.Fatal(err)
		}
		if string(got.Payload) != payload || got.Kind != kind || (k == nil) != (got.Signer == "") {
			t.Errorf("opened %d bytes of kind %q by %q", len(got.Payload), got.Kind, got.Signer)
		}
		if k != nil && got.Signer != Signer(k) {
			t.Errorf("signer %q, want %q", got.Signer, Signer(k))
		}
	}
}

// TestFlippedByte flips every bit of a signed and of an unsigned file.
func TestFlippedByte(t *testing.T) {
	for _, k := range []ed25519.PrivateKey{nil, key()} {
		file := sealed(t, k, "small payload")
		for i := range file {
			for bit := range 8 {
				broken := bytes.Clone(file)
				broken[i] ^= 1 << bit
				got, err := Open(bytes.NewReader(broken), kind)
				if err == nil {
					t.Fatalf("byte %d bit %d flipped, and opened as %+v", i, bit, got)
				}
				if !errors.Is(err, ErrBroken) {
					t.Fatalf("byte %d bit %d: %v", i, bit, err)
				}
			}
		}
		for n := range file {
			if _, err := Open(bytes.NewReader(file[:n]), kind); !errors.Is(err, ErrBroken) {
				t.Fatalf("cut after %d bytes: %v", n, err)
			}
		}
		if _, err := Open(bytes.NewReader(append(bytes.Clone(file), 0)), kind); !errors.Is(err, ErrBroken) {
			t.Fatalf("one byte more: %v", err)
		}
	}
}

// TestResealed: who changes the payload and the hash with it cannot keep the signature.
func TestResealed(t *testing.T) {
	honest, other := sealed(t, key(), "payload"), sealed(t, nil, "another payload")
	seal, _, _ := bytes.Cut(honest, []byte{'\n'})
	_, packed, _ := bytes.Cut(other, []byte{'\n'})
	otherSum := sealSum(t, other)
	forged := append(bytes.Replace(seal, []byte(sealSum(t, honest)), []byte(otherSum), 1), '\n')
	if _, err := Open(bytes.NewReader(append(forged, packed...)), kind); !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), "signature") {
		t.Errorf("a forged seal: %v", err)
	}
	if _, err := Open(bytes.NewReader(honest), "sallyport.other/1"); !errors.Is(err, ErrBroken) {
		t.Errorf("another kind: %v", err)
	}
}

func sealSum(t *testing.T, file []byte) string {
	t.Helper()
	s, err := Open(bytes.NewReader(file), kind)
	if err != nil {
		t.Fatal(err)
	}
	return s.SHA256
}
