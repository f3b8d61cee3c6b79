package journal

import "testing"

// TestSyncWaitsForTheDisk counts a record as on the disk only after Sync.
func TestSyncWaitsForTheDisk(t *testing.T) {
	j := open(t, Config{Dir: t.TempDir(), SyncRecords: 1 << 20, SyncEvery: 1 << 40})
	var last Position
	for range 3 {
		pos, err := j.Append([]byte("record"))
		if err != nil {
			t.Fatal(err)
		}
		last = pos
	}
	durable := func() uint64 {
		j.mu.Lock()
		defer j.mu.Unlock()
		return j.durable
	}
	if durable() >= last.Seq {
		t.Fatal("it was synced before it was asked to be: the test shows nothing")
	}
	for range 2 { // the second time there is nothing to do
		if err := j.Sync(last); err != nil {
			t.Fatal(err)
		}
		if durable() < last.Seq {
			t.Fatalf("%d records are on the disk, want %d", durable(), last.Seq)
		}
	}
}
