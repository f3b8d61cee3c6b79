package record

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// hostile has what could confuse a scanner in every text.
func hostile() *Exchange {
	x := filled[Exchange]()
	x.Client = `","k":"admin","rid":"evil","v":9`
	x.Verbatim = `{"k":"head","rid":[{"v":2}]}\`
	x.Findings = []string{"", "]", "}\\\"", "\x00\x1f\u007f\U0001F600"}
	return x
}

func TestPeek(t *testing.T) {
	admin := &Admin{ID: "adm_1", Act: "x", Detail: map[string]string{"k": "outcome", "rid": "evil", "v": "2", "{\"": "}]"}}
	for _, c := range []struct {
		enc  []byte
		kind Kind
		rid  string
	}{
		{hostile().Append(nil, KindIntent), KindIntent, hostile().RID},
		{(&Attempt{RID: "req_1", N: 2}).Append(nil), KindAttempt, "req_1"},
		{(&Count{RID: "req_1", Why: `","k":"head`}).Append(nil), KindCount, "req_1"},
		{(&Verdict{ID: "vrd_1", Reason: `","rid":"x`}).Append(nil), KindVerdict, "vrd_1"},
		{admin.Append(nil), KindAdmin, "adm_1"},
		{(&Head{Size: 3}).Append(nil), KindHead, ""},
	} {
		kind, rid, err := Peek(c.enc)
		if err != nil || kind != c.kind || rid != c.rid {
			t.Errorf("%s: got %s %q, %v", c.enc, kind, rid, err)
		}
	}
	for _, bad := range []string{"", "{", "{}", `{"k":"head","v":2}`, `{"k":"head","v":1}x`, `{"k":"head","v":1`, `{"k":1,"v":1}`, `{"a":[1,"v":1}`} {
		if k, _, err := Peek([]byte(bad)); err == nil {
			t.Errorf("%q peeked as %s", bad, k)
		}
	}
}

// TestDecodeAgreesWithEncodingJSON decodes by an independent path.
func TestDecodeAgreesWithEncodingJSON(t *testing.T) {
	for _, x := range []*Exchange{filled[Exchange](), hostile(), {}} {
		enc := x.Append(nil, KindOutcome)
		got, err := Decode(enc)
		if err != nil {
			t.Fatal(err)
		}
		var want Exchange
		if err := json.Unmarshal(enc, &want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&want, got.Exchange); diff != "" {
			t.Errorf("-encoding/json +Decode:\n%s", diff)
		}
	}
}

// TestDecodeRefusesEveryChange flips each byte of a record: what is still
// accepted must read as something else, never as the same.
func TestDecodeRefusesEveryChange(t *testing.T) {
	enc := hostile().Append(nil, KindOutcome)
	original, err := Decode(enc)
	if err != nil {
		t.Fatal(err)
	}
	for i := range enc {
		changed := []byte(string(enc))
		changed[i] ^= 1
		if r, err := Decode(changed); err == nil && cmp.Equal(r, original) {
			t.Fatalf("byte %d: %s reads as before", i, changed)
		}
	}
}

func FuzzDecode(f *testing.F) {
	x := hostile()
	for _, k := range []Kind{KindIntent, KindOutcome, KindRefused} {
		f.Add(x.Append(nil, k))
	}
	f.Add(filled[Attempt]().Append(nil))
	f.Add(filled[Count]().Append(nil))
	f.Add(filled[Verdict]().Append(nil))
	f.Add(filled[Admin]().Append(nil))
	f.Add(filled[Start]().Append(nil))
	f.Add([]byte(strings.Repeat(`{"k":`, 50)))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Decode(b)
		if err != nil {
			return
		}
		if again := r.Append(nil); string(again) != string(b) {
			t.Fatalf("%s became %s", b, again)
		}
		if k, _, err := Peek(b); err != nil || k != r.Kind {
			t.Fatalf("%s: peeked as %s, %v", b, k, err)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	enc := filled[Exchange]().Append(nil, KindOutcome)
	b.ReportAllocs()
	var d Decoder
	for b.Loop() {
		if _, err := d.Decode(enc); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPeek(b *testing.B) {
	enc := filled[Exchange]().Append(nil, KindOutcome)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := Peek(enc); err != nil {
			b.Fatal(err)
		}
	}
}
