package main

import (
	"strings"
	"testing"
)

// soundRun is a run in which everything is as it must be: a whole answer, one
// that the kill cut off (row lost), one that the gateway wrote down but never
// sent (lost), one refused, and one that never reached the gateway.
func soundRun() ([]sent, []string, []row) {
	clients := []sent{
		{nonce: "a", req: "ra", whole: true, id: "id-a"},
		{nonce: "b", req: "rb", id: "id-b"},
		{nonce: "c", req: "rc"},
		{nonce: "d", req: "rd", id: "id-d"},
		{nonce: "e", req: "re"},
	}
	rows := []row{
		{RID: "id-a", Leaf: new(int64(1)), State: "complete", Usage: "claimed", Money: "priced", Amount: new(int64(7)), Hashes: hashes{Request: "ra"}},
		{RID: "id-b", Leaf: new(int64(2)), State: "lost", Usage: "unknown", Money: "unknown", Hashes: hashes{Request: "rb"}},
		{RID: "id-c", Leaf: new(int64(3)), State: "lost", Usage: "unknown", Money: "unknown", Hashes: hashes{Request: "rc"}},
		{RID: "id-d", Leaf: new(int64(4)), State: "refused", Usage: "none", Money: "none", Hashes: hashes{Request: "rd"}},
	}
	return clients, []string{"a", "b"}, rows
}

func TestJudgeAcceptsASoundRun(t *testing.T) {
	j := judge(soundRun())
	if len(j.Problems) != 0 {
		t.Errorf("problems %q", j.Problems)
	}
	if j.Sent != 5 || j.Received != 2 || j.Whole != 1 || j.Rows != 4 || j.States["lost"] != 2 {
		t.Errorf("%+v", j)
	}
}

// TestJudgeRejects breaks the sound run in every way that the verb is for.
func TestJudgeRejects(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(clients []sent, received *[]string, rows *[]row)
		want  string
	}{
		"row missing":      {func(_ []sent, _ *[]string, rows *[]row) { *rows = (*rows)[1:] }, "nonce a, which has no row"},
		"lost row missing": {func(_ []sent, _ *[]string, rows *[]row) { *rows = append((*rows)[:1], (*rows)[2:]...) }, "nonce b, which has no row"},
		"row doubled":      {func(_ []sent, _ *[]string, rows *[]row) { *rows = append(*rows, (*rows)[0]) }, "id-a has two rows"},
		"request doubled": {func(_ []sent, _ *[]string, rows *[]row) {
			r := (*rows)[0]
			r.RID, r.Leaf = "id-x", new(int64(9))
			*rows = append(*rows, r)
		}, "one request has the rows id-a and id-x"},
		"leaf doubled":         {func(_ []sent, _ *[]string, rows *[]row) { (*rows)[1].Leaf = new(int64(1)) }, "leaf 1 has two rows"},
		"no leaf":              {func(_ []sent, _ *[]string, rows *[]row) { (*rows)[1].Leaf = nil }, "names no leaf"},
		"never received":       {func(_ []sent, received *[]string, _ *[]row) { *received = (*received)[1:] }, "is complete, but the upstream never received it"},
		"received twice":       {func(_ []sent, received *[]string, _ *[]row) { *received = append(*received, "a") }, "nonce a twice"},
		"received from nobody": {func(_ []sent, received *[]string, _ *[]row) { *received = append(*received, "x") }, "nonce x, which no client sent"},
		"row of nobody":        {func(_ []sent, _ *[]string, rows *[]row) { (*rows)[3].Hashes.Request = "rx" }, "is of no request"},
		"lost with an amount":  {func(_ []sent, _ *[]string, rows *[]row) { (*rows)[1].Amount = new(int64(0)) }, "is lost, but"},
		"lost money known":     {func(_ []sent, _ *[]string, rows *[]row) { (*rows)[1].Money = "none" }, "is lost, but"},
		"lost usage known":     {func(_ []sent, _ *[]string, rows *[]row) { (*rows)[1].Usage = "claimed" }, "is lost, but"},
		"whole but refused":    {func(_ []sent, _ *[]string, rows *[]row) { (*rows)[0].State = "cut_by_upstream" }, "whole, but row id-a is cut_by_upstream"},
		"whole without a row":  {func(_ []sent, _ *[]string, rows *[]row) { *rows = (*rows)[1:] }, "whole, but it has no row"},
		"another id than told": {func(clients []sent, _ *[]string, _ *[]row) { clients[0].id = "id-z" }, "was told that nonce a is id-z"},
	} {
		t.Run(name, func(t *testing.T) {
			clients, received, rows := soundRun()
			c.spoil(clients, &received, &rows)
			if got := strings.Join(judge(clients, received, rows).Problems, "\n"); !strings.Contains(got, c.want) {
				t.Errorf("problems %q do not say %q", got, c.want)
			}
		})
	}
}
