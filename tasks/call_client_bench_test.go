package tasks

import (
	"testing"
	"time"
)

type benchArgs struct {
	N int `json:"n"`
}

// BenchmarkMessage is what Enqueue costs before the broker: no option of a call, and some.
func BenchmarkMessage(b *testing.B) {
	d := Define[benchArgs, int]("bench.message", Queue("bench"))
	c := &Client{now: time.Now}
	for name, opts := range map[string][]Option{
		"plain":   nil,
		"options": {ID("chosen"), MaxRetries(1), Retention(time.Minute)},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s := d.Signature(benchArgs{N: 1}, opts...)
				if _, err := c.message(b.Context(), s.name, s.payload, &s.options); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
