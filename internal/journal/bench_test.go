package journal

import (
	"bytes"
	"testing"
)

func BenchmarkAppend(b *testing.B) {
	small, large := bytes.Repeat([]byte("a"), 400), bytes.Repeat([]byte("b"), 120)
	for name, d := range map[string]Durability{"grouped": Grouped, "strict": Strict} {
		j, err := Open(Config{Dir: b.TempDir(), Durability: d})
		if err != nil {
			b.Fatal(err)
		}
		defer j.Close()
		b.Run(name+"/1", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := j.Append(small, large); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/64", func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(32)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := j.Append(small, large); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}
