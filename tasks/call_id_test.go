package tasks_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/paidui/paidui/tasks"
)

var (
	idPattern    = regexp.MustCompile(`^[A-Za-z0-9._:@-]{1,128}$`)
	queuePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)
)

// TestValidNames holds the checks, which are written for speed, against the patterns that they stand for.
func TestValidNames(t *testing.T) {
	t.Parallel()
	check := func(t interface{ Fatalf(string, ...any) }, name string) {
		if tasks.ValidID(name) != (idPattern.MatchString(name) && name != "." && name != "..") {
			t.Fatalf("ValidID(%q) is %v", name, tasks.ValidID(name))
		}
		if tasks.ValidQueue(name) != queuePattern.MatchString(name) {
			t.Fatalf("ValidQueue(%q) is %v", name, tasks.ValidQueue(name))
		}
	}
	for _, n := range []int{0, 1, 63, 64, 65, 127, 128, 129} {
		check(t, strings.Repeat("a", n))
		check(t, strings.Repeat("-", n))
		check(t, strings.Repeat("é", n))
	}
	for c := range 256 {
		check(t, string([]byte{byte(c)}))
		check(t, string([]byte{'a', byte(c)}))
		check(t, string([]byte{byte(c), 'a'}))
	}
	check(t, "a\n")
	check(t, "..")
	check(t, "...")
	rapid.Check(t, func(t *rapid.T) {
		check(t, rapid.String().Draw(t, "any"))
		check(t, string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")))
		check(t, rapid.StringMatching(`[A-Za-z0-9._:@-]{0,130}`).Draw(t, "id"))
		check(t, rapid.StringMatching(`[A-Za-z0-9_-]{0,66}`).Draw(t, "queue"))
		check(t, rapid.StringMatching(`[A-Za-z0-9._:@-]{0,10}.[A-Za-z0-9._:@-]{0,10}`).Draw(t, "nearly"))
	})
}

func TestIsMadeID(t *testing.T) {
	t.Parallel()
	require.True(t, tasks.IsMadeID(tasks.NewID("default")))
	require.True(t, tasks.IsMadeID(tasks.NewID("a_b-c")))
	for _, id := range []string{
		"", "order-17", "default_", "_01a22bf6-7b33-7c20-a533-a7d0f4521c95",
		"default_01a22bf6-7b33-4c20-a533-a7d0f4521c95", // not of version 7
		"01a22bf6-7b33-7c20-a533-a7d0f4521c95", "default-01a22bf6-7b33-7c20-a533-a7d0f4521c95",
	} {
		require.False(t, tasks.IsMadeID(id), id)
	}
}

func TestIDOrigin(t *testing.T) {
	t.Parallel()
	made, random, ok := tasks.IDOrigin("default_01a22bf6-7b33-7c20-a533-a7d0f4521c95")
	require.True(t, ok)
	require.Equal(t, int64(0x01a22bf67b33), made.UnixMilli())
	require.Equal(t, uint64(0x2533a7d0f4521c95), random)
	for _, id := range []string{"", "order-17", "default_01a22bf6-7b33-4c20-a533-a7d0f4521c95", "default_01a22bf6-7b33-7c20-a533-a7d0f4521c9x"} {
		_, _, ok := tasks.IDOrigin(id)
		require.False(t, ok, id)
	}
	before := time.Now().Truncate(time.Millisecond)
	made, _, ok = tasks.IDOrigin(tasks.NewID("q"))
	require.True(t, ok)
	require.False(t, made.Before(before))
}
