package projector

import (
	"context"
	"syscall"
	"testing"
	"time"

	"sallyport/internal/auditlog"
	"sallyport/internal/ledger"
	"sallyport/internal/record"
	"sallyport/internal/store/storetest"
)

// cpu is the processor time of this process, user and system, so far.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkProject projects b.N exchanges, each an intent, an attempt and an
// outcome, that wait in a journal. It reports this process's processor time per
// exchange, from reading the journal to the last checkpoint.
func BenchmarkProject(b *testing.B) {
	for _, engine := range storetest.Engines {
		b.Run(engine, func(b *testing.B) {
			r := newReplica(b, "a", storetest.Open(b, engine))
			r.announceCard()
			for n := 0; n < b.N; n += 10 {
				var payloads [][]byte
				for i := n; i < min(n+10, b.N); i++ {
					payloads = append(payloads, r.intent(i).Append(nil, record.KindIntent), r.attempt(i), r.outcome(i).Append(nil, record.KindOutcome))
				}
				r.append(payloads...)
			}
			b.ResetTimer()
			before := cpu(b)
			ctx, stop := context.WithCancel(b.Context())
			done := make(chan error, 1)
			go func() { done <- r.p.Run(ctx) }()
			if err := r.p.Flush(b.Context()); err != nil {
				b.Fatal(err)
			}
			used := cpu(b) - before
			b.StopTimer()
			stop()
			if err := <-done; err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(used.Microseconds())/float64(b.N), "cpu-µs/exchange")
			b.ReportMetric(r.metric("batches_total"), "batches")
			r.kill()
		})
	}
}

// BenchmarkVerify verifies a log of b.N exchanges.
func BenchmarkVerify(b *testing.B) {
	for _, engine := range storetest.Engines {
		b.Run(engine, func(b *testing.B) {
			r := newReplica(b, "a", storetest.Open(b, engine))
			r.announceCard()
			r.exchanges(b.N)
			r.run()
			r.flush()
			b.ResetTimer()
			before := cpu(b)
			report, err := auditlog.Verify(b.Context(), r.db, auditlog.VerifyOptions{Entry: ledger.Entry, Count: ledger.Count, VKey: r.log.VerifierKey()})
			if err != nil || !report.OK() || report.Leaves < int64(b.N) {
				b.Fatalf("%+v, %v", report, err)
			}
			used := cpu(b) - before
			b.StopTimer()
			b.ReportMetric(float64(used.Microseconds())/float64(b.N), "cpu-µs/leaf")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "leaves/s")
			r.kill()
		})
	}
}
