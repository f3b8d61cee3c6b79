package auditlog_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/auditlog"
	"sallyport/internal/ledger"
	"sallyport/internal/record"
)

// leafOf makes the leaf of a record as a projector does.
func leafOf(t *testing.T, r record.Record) []byte {
	t.Helper()
	var row []byte
	if r.Exchange != nil {
		e := ledger.Entry(r.Exchange)
		row = e.AppendCanonical(nil)
	}
	l, err := auditlog.NewLeaf(&r, r.Append(nil), row)
	if err != nil {
		t.Fatal(err)
	}
	return l.Data
}

// TestLeafText pins the form of leaves: it is what receipts are checked against
// for as long as there are any.
func TestLeafText(t *testing.T) {
	x := outcome(1)
	got := string(leafOf(t, record.Record{Kind: record.KindOutcome, Exchange: x}))
	before, _, _ := strings.Cut(got, `"c":{`)
	end := strings.Index(got, "}") + 1
	want := `{"att":"A0",COMMITMENTS,"cfg":"c0ffee","dec":"allow","ep":"chat","k":"outcome","model_req":"fast","model_resp":"gpt",` +
		`"model_up":"gpt","rid":"req_000001","rules":["table.internal.vetted"],"state":"complete","tok":[8,1],` +
		`"ts":1728000007000000,"up":"up","v":1}`
	if without := before + "COMMITMENTS" + got[end:]; without != want {
		t.Errorf("got\n%s\nwant\n%s", without, want)
	}
	for kind, c := range map[record.Kind]struct {
		r    record.Record
		want string
	}{
		record.KindAdmin: {
			record.Record{Kind: record.KindAdmin, Admin: &record.Admin{TS: 5, ID: "a1", Actor: "adm_x", Act: "key.create", Target: "key_x", Salt: salt(1)}},
			`{"act":"key.create",COMMITMENTS,"k":"admin","rid":"a1","ts":5,"v":1}`,
		},
		record.KindCard: {
			record.Record{Kind: record.KindCard, Card: &record.Card{TS: 5, ID: "c1", Card: "card", Hash: "ff", Text: "text", Salt: salt(1)}},
			`{COMMITMENTS,"card":"card","cardh":"ff","k":"card","rid":"c1","ts":5,"v":1}`,
		},
		record.KindStart: {
			record.Record{Kind: record.KindStart, Start: &record.Start{TS: 5, ID: "s1", Journal: "j", Version: "1", Config: "cfg", Salt: salt(1)}},
			`{COMMITMENTS,"cfg":"cfg","k":"start","rid":"s1","ts":5,"v":1}`,
		},
		record.KindCount: {
			record.Record{Kind: record.KindCount, Count: &record.Count{TS: 5, RID: "req_1", Key: "key_a", Project: "p", Tokens: 7, Salt: salt(1)}},
			`{COMMITMENTS,"k":"count","rid":"req_1","ts":5,"v":1}`,
		},
		record.KindVerdict: {
			record.Record{Kind: record.KindVerdict, Verdict: &record.Verdict{
				TS: 5, ID: "v1", Upstream: "u", Target: "m", Act: record.ActQuarantine, Bundle: "ab12", Commitment: "cd34", Reason: "r", Salt: salt(1),
			}},
			`{"act":"quarantine","bundle":"ab12",COMMITMENTS,"commitment":"cd34","k":"verdict","rid":"v1","ts":5,"v":1}`,
		},
		record.KindStrangers: {
			record.Record{Kind: record.KindStrangers, Strangers: &record.Strangers{TS: 5, ID: "x1", Count: 7, Salt: salt(1)}},
			`{COMMITMENTS,"k":"strangers","rid":"x1","ts":5,"v":1}`,
		},
	} {
		got := string(leafOf(t, c.r))
		rec := commitment(t, salt(1), auditlog.CommitRecord, sha256.Sum256(c.r.Append(nil)))
		if want := strings.Replace(c.want, "COMMITMENTS", `"c":{"rec":"`+rec+`"}`, 1); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", kind, got, want)
		}
	}
}

// TestLeafIsCanonical decodes leaves generically and encodes them with sorted keys.
func TestLeafIsCanonical(t *testing.T) {
	x := outcome(1)
	x.Model, x.Rules = "a\"\\\u2028", []string{"x\x01", "y"}
	for _, r := range []record.Record{
		{Kind: record.KindOutcome, Exchange: x},
		{Kind: record.KindRefused, Exchange: &record.Exchange{RID: "r", Salt: salt(3)}},
		{Kind: record.KindAdmin, Admin: &record.Admin{ID: "a", Act: "z", Salt: salt(4)}},
		{Kind: record.KindVerdict, Verdict: &record.Verdict{ID: "v", Act: record.ActAudit, Bundle: "b\"", Salt: salt(5)}},
	} {
		leaf := leafOf(t, r)
		var v any
		if err := json.Unmarshal(leaf, &v); err != nil {
			t.Fatalf("%s: %v", leaf, err)
		}
		if got := sorted(nil, v); string(got) != string(leaf) {
			t.Errorf("not canonical:\n%s\n%s", leaf, got)
		}
	}
}

// sorted encodes decoded JSON canonically by an independent path.
func sorted(b []byte, v any) []byte {
	switch v := v.(type) {
	case map[string]any:
		b = append(b, '{')
		keys := slices.Sorted(func(yield func(string) bool) {
			for k := range v {
				if !yield(k) {
					return
				}
			}
		})
		for i, k := range keys {
			if i > 0 {
				b = append(b, ',')
			}
			b = sorted(append(record.AppendString(b, k), ':'), v[k])
		}
		return append(b, '}')
	case []any:
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = sorted(b, e)
		}
		return append(b, ']')
	case string:
		return record.AppendString(b, v)
	case float64:
		n, _ := json.Marshal(int64(v))
		return append(b, n...)
	}
	return append(b, "?"...)
}

// TestLeafHidesIdentities fills every text of an exchange with a marker of its own
// and looks for those that no leaf may show.
func TestLeafHidesIdentities(t *testing.T) {
	x := &record.Exchange{}
	v := reflect.ValueOf(x).Elem()
	for i := range v.NumField() {
		if v.Field(i).Kind() == reflect.String {
			v.Field(i).SetString("marker-" + v.Type().Field(i).Name + ".")
		}
	}
	x.Salt = salt(9)
	leaf := string(leafOf(t, record.Record{Kind: record.KindOutcome, Exchange: x}))
	shows := []string{"RID", "Endpoint", "Model", "Effect", "Config", "State", "Upstream", "Target"}
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		if v.Field(i).Kind() != reflect.String || name == "Salt" {
			continue
		}
		if got, want := strings.Contains(leaf, "marker-"+name+"."), slices.Contains(shows, name); got != want {
			t.Errorf("%s shows: %v, want %v", name, got, want)
		}
	}
	if strings.Contains(leaf, salt(9)) {
		t.Error("the salt shows")
	}
	for _, declared := range []string{x.Target, x.Model} { // only names that an operator configured
		x.Declared = declared
		if !strings.Contains(string(leafOf(t, record.Record{Kind: record.KindOutcome, Exchange: x})), `"model_resp":"`+declared) {
			t.Errorf("%s is configured and does not show", declared)
		}
	}
}

// commitment is made from its definition.
func commitment(t *testing.T, salt, label string, sum [sha256.Size]byte) string {
	t.Helper()
	key, err := base64.RawURLEncoding.DecodeString(salt)
	if err != nil {
		t.Fatal(err)
	}
	h := hmac.New(sha256.New, key)
	h.Write(append([]byte(label+"\x00"), sum[:]...))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// TestCommitments recomputes each commitment from its definition.
func TestCommitments(t *testing.T) {
	x := outcome(2)
	x.Answer = "over the hash and the splices" // no hash: the text itself is committed to
	r := record.Record{Kind: record.KindOutcome, Exchange: x}
	e := ledger.Entry(x)
	var leaf struct {
		C map[string]string `json:"c"`
	}
	if err := json.Unmarshal(leafOf(t, r), &leaf); err != nil {
		t.Fatal(err)
	}
	body := sha256.Sum256([]byte("2")) // see outcome
	want := map[string]string{}
	for label, sum := range map[string][32]byte{
		"req": body, "fwd": body, "res": body, "upres": sha256.Sum256([]byte(x.Answer)),
		"rec": sha256.Sum256(r.Append(nil)), "row": sha256.Sum256(e.AppendCanonical(nil)),
	} {
		want[label] = commitment(t, x.Salt, label, sum)
	}
	if diff := cmp.Diff(want, leaf.C); diff != "" {
		t.Error(diff)
	}
}

func TestLeafNeedsASalt(t *testing.T) {
	for _, bad := range []string{"", "short", strings.Repeat("!", 43)} {
		x := outcome(1)
		x.Salt = bad
		r := record.Record{Kind: record.KindOutcome, Exchange: x}
		if l, err := auditlog.NewLeaf(&r, r.Append(nil), nil); err == nil {
			t.Errorf("salt %q gave %s", bad, l.Data)
		}
	}
	r := record.Record{Kind: record.KindHead, Head: &record.Head{}}
	if _, err := auditlog.NewLeaf(&r, r.Append(nil), nil); err == nil {
		t.Error("a head became a leaf")
	}
}
