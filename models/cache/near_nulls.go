package cache

import (
	"time"

	"github.com/maypok86/otter/v2"
)

// A client can make up ids without end, and each would leave a null value in Redis. So a process stores null values at a
// bounded rate; beyond that it keeps them by itself, in a bounded number and for a short time.
const (
	nullsPerSecond = 100
	nullBurst      = 1000
	nearNulls      = 10_000
	nearNullFor    = time.Second
)

// nullStore is the part of otter's cache that nulls uses; nearStore says why it is an interface.
type nullStore interface {
	GetIfPresent(string) (nullMark, bool)
	Set(string, nullMark) (nullMark, bool)
	CleanUp()
	EstimatedSize() int
}

//go:noinline
func newNullStore() nullStore {
	return otter.Must(&otter.Options[string, nullMark]{MaximumSize: nearNulls})
}

// nulls decides where null values are kept. It is safe for concurrent use.
type nulls struct {
	fills bucket
	kept  nullStore
	began time.Time
}

type nullMark struct {
	mark mark
	at   time.Duration
}

func newNulls(began time.Time) *nulls {
	return &nulls{
		fills: bucket{interval: time.Second / nullsPerSecond, burst: nullBurst},
		kept:  newNullStore(),
		began: began,
	}
}

// mayFill reports whether another null value may be stored in Redis.
func (n *nulls) mayFill() bool { return n.fills.allow(time.Now()) }

// keep notes that there was nothing behind key at the time of the mark.
func (n *nulls) keep(key string, m mark) {
	if m.current() {
		n.kept.Set(key, nullMark{m, time.Since(n.began)})
	}
}

// has reports whether there was nothing behind key a moment ago.
func (n *nulls) has(key string) bool {
	got, ok := n.kept.GetIfPresent(key)
	return ok && got.mark.current() && time.Since(n.began)-got.at < nearNullFor
}
