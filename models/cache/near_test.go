package cache

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func (n *near[K, T]) begin(g *generations, key string) reading {
	return reading{g.note(key), time.Since(n.began)}
}

// readAndKeep has n keep a value as a reader does that nothing disturbs.
func (n *near[K, T]) readAndKeep(g *generations, id K, key string, value T) {
	n.keep(id, &item[T]{value: value}, n.begin(g, key))
}

func TestNearValuesAreFreshUntilTheyExpireOrChange(t *testing.T) {
	t.Parallel()
	g := newGenerations()
	n := newNear[int, string](10, time.Minute, 0, time.Now())
	_, ok := n.get(7)
	require.False(t, ok)
	n.readAndKeep(g, 7, "user:7", "Ann")
	got, ok := n.get(7)
	require.True(t, ok)
	require.Equal(t, "Ann", got.value)

	n.began = n.began.Add(-time.Minute) // as if a minute had passed
	_, ok = n.get(7)
	require.False(t, ok, "expired")
	n.readAndKeep(g, 7, "user:7", "Ann")
	_, ok = n.get(7)
	require.True(t, ok)

	g.invalidate("user:7")
	_, ok = n.get(7)
	require.False(t, ok, "changed")
	n.readAndKeep(g, 7, "user:7", "Bob")
	g.invalidateAll()
	_, ok = n.get(7)
	require.False(t, ok, "anything may have changed")
	_, ok = n.last(7)
	require.False(t, ok, "no last known values are asked for")
}

func TestNearKeepsNothingThatWasOvertakenByAMessage(t *testing.T) {
	t.Parallel()
	g := newGenerations()
	n := newNear[int, string](10, time.Minute, time.Hour, time.Now())
	old := n.begin(g, "user:7")
	g.invalidate("user:7") // between the read of Redis and now
	n.keep(7, &item[string]{value: "old"}, old)
	_, ok := n.get(7)
	require.False(t, ok)
	last, ok := n.last(7)
	require.True(t, ok, "it is the last known value all the same")
	require.Equal(t, "old", last.value)

	n.readAndKeep(g, 7, "user:7", "new")
	n.keep(7, &item[string]{value: "old"}, old) // a slow reader
	got, ok := n.get(7)
	require.True(t, ok)
	require.Equal(t, "new", got.value)
}

func TestTheLastKnownValueLivesOnForItsTime(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 10} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			g := newGenerations()
			n := newNear[int, string](size, time.Second, time.Hour, time.Now())
			n.readAndKeep(g, 7, "user:7", "Ann")
			_, ok := n.get(7)
			require.Equal(t, size > 0, ok)
			g.invalidate("user:7")
			n.began = n.began.Add(time.Minute - time.Hour)
			last, ok := n.last(7)
			require.True(t, ok)
			require.Equal(t, "Ann", last.value)
			n.began = n.began.Add(-2 * time.Minute)
			_, ok = n.last(7)
			require.False(t, ok)
		})
	}
}

func TestNearIsBounded(t *testing.T) {
	t.Parallel()
	g := newGenerations()
	n := newNear[int, int](100, time.Minute, 0, time.Now())
	for i := range 50_000 {
		n.readAndKeep(g, i, fmt.Sprint(i), i)
	}
	require.Eventually(t, func() bool {
		n.kept.CleanUp()
		return n.kept.EstimatedSize() <= 100
	}, 10*time.Second, time.Millisecond)
	none := newNear[int, int](0, time.Minute, 0, time.Now())
	none.readAndKeep(g, 1, "1", 1)
	_, ok := none.get(1)
	require.False(t, ok)
	_, ok = none.last(1)
	require.False(t, ok)
}

func TestTheSameBytesAreDecodedOnce(t *testing.T) {
	t.Parallel()
	g := newGenerations()
	for _, size := range []int{0, 10} {
		n := newNear[int, string](size, time.Minute, 0, time.Now())
		ann := &item[string]{value: "Ann", raw: raw(`"Ann"`)}
		n.keep(7, ann, n.begin(g, "user:7"))
		g.invalidate("user:7")
		same, ok := n.same(7, raw(`"Ann"`))
		require.True(t, ok)
		require.Same(t, ann, same)
		_, ok = n.same(7, raw(`"Bob"`))
		require.False(t, ok)
		_, ok = n.same(8, raw(`"Ann"`))
		require.False(t, ok)
		large := raw(`"` + strings.Repeat("x", maxSame) + `"`)
		n.keep(9, &item[string]{raw: large}, n.begin(g, "user:9"))
		_, ok = n.same(9, large)
		require.Equal(t, size > 0, ok)
	}
}

// TestNearIsNeverStaleAfterAMessage takes the steps of readers, a writer and the message of each write apart and puts
// them into any order: a fresh value is the one of the last write that was told.
func TestNearIsNeverStaleAfterAMessage(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		const key = "user:7"
		g := newGenerations()
		n := newNear[int, int](10, time.Hour, time.Hour, time.Now())
		var redis, told int // versions: in Redis, and of the last message
		type reader struct {
			began reading
			value int
			read  bool
		}
		var readers []*reader
		pick := func(rt *rapid.T, read bool) (found *reader, at int) {
			var places []int
			for i, r := range readers {
				if r.read == read {
					places = append(places, i)
				}
			}
			if len(places) == 0 {
				rt.Skip("no such reader")
			}
			at = rapid.SampledFrom(places).Draw(rt, "reader")
			return readers[at], at
		}
		rt.Repeat(map[string]func(*rapid.T){
			"write": func(*rapid.T) { redis++ },
			"tell":  func(*rapid.T) { told = redis; g.invalidate(key) },
			"note": func(*rapid.T) {
				readers = append(readers, &reader{began: n.begin(g, key)})
			},
			"read": func(rt *rapid.T) {
				r, _ := pick(rt, false)
				r.value, r.read = redis, true
			},
			"keep": func(rt *rapid.T) {
				r, at := pick(rt, true)
				n.keep(7, &item[int]{value: r.value}, r.began)
				readers = append(readers[:at], readers[at+1:]...)
			},
			"": func(rt *rapid.T) {
				if k, ok := n.get(7); ok && k.value < told {
					rt.Fatalf("version %d is served as fresh after the message of version %d", k.value, told)
				}
			},
		})
	})
}

func TestNullsAreStoredAtABoundedRate(t *testing.T) {
	t.Parallel()
	n := newNulls(time.Now())
	g := newGenerations()
	var stored atomic.Int64
	for i := range 100_000 {
		key := fmt.Sprintf("user:%d:profile", i)
		if n.mayFill() {
			stored.Add(1)
			continue
		}
		n.keep(key, g.note(key))
		if i%1000 == 999 {
			require.True(t, n.has(key))
			g.invalidate(key)
			require.False(t, n.has(key), "it may have been created")
		}
	}
	require.GreaterOrEqual(t, stored.Load(), int64(nullBurst))
	require.Less(t, stored.Load(), int64(20*nullBurst))
	require.Eventually(t, func() bool {
		n.kept.CleanUp()
		return n.kept.EstimatedSize() <= nearNulls
	}, 10*time.Second, time.Millisecond)
}

func BenchmarkNearGet(b *testing.B) {
	g := newGenerations()
	n := newNear[int64, string](1000, time.Hour, 0, time.Now())
	n.readAndKeep(g, 7, "user:7", "Ann")
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := n.get(7); !ok {
			b.Fatal("lost")
		}
	}
}
