package fetch

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/tasks/broker/internal/format"
)

// TestForsakenDeliveriesAreFound: asynq says nothing about a task whose lease has ended.
func TestForsakenDeliveriesAreFound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDeliveries("w")
		prefix := format.TaskKeyPrefix("q")
		add := func(id string) { d.add(nil, fetched{queue: "q", key: prefix + id, id: id, token: d.token()}) }
		add("alive")
		for i := range 1000 {
			add("lost" + strconv.Itoa(i%250)) // a new delivery takes the place of an older one
		}
		require.Equal(t, 251, d.len())
		lost := d.get(prefix + "lost1")
		d.get(prefix + "lost2").ending.Store(true)
		for range 3 {
			require.Empty(t, d.forsaken())
			time.Sleep(format.LeaseTime / 3)
			d.extend(prefix, []redis.Z{{Member: "alive"}, {Member: "of another worker"}})
		}
		time.Sleep(2 * time.Second)
		gone := d.forsaken()
		require.Len(t, gone, 249, "all but the one that goes on and the one that is being acknowledged")
		for _, one := range gone {
			d.drop(one.fetched.key, one)
		}
		require.NotNil(t, d.get(prefix+"alive"))
		require.False(t, d.keep(prefix+"lost1", []byte("late")))

		d.drop(prefix+"lost2", d.get(prefix+"lost2"))
		add("lost1")
		d.drop(prefix+"lost1", lost)
		require.Equal(t, 2, d.len(), "the end of an earlier delivery")
		d.drop(prefix+"lost1", d.get(prefix+"lost1"))
		require.Equal(t, 1, d.len())
	})
}

func TestTokensAreNeverEqual(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for range 20 {
		d := newDeliveries("w")
		for range 500 {
			token := d.token()
			require.False(t, seen[token])
			seen[token] = true
		}
	}
}
