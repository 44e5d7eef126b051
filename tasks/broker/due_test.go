package broker_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
)

// move stands for asynq's script: it makes the earliest task of a delayed set pending, if that is due.
var move = redis.NewScript(`
local id = redis.call('ZRANGE', KEYS[1], '-inf', ARGV[1], 'BYSCORE', 'LIMIT', 0, 1)[1]
if not id then return 0 end
redis.call('ZREM', KEYS[1], id)
redis.call('LPUSH', KEYS[2], id)
return 1
`)

func TestDueTasksAreForwardedOnceASecond(t *testing.T) {
	t.Parallel()
	for place, start := range map[string]func(testing.TB) string{"redis": testenv.RedisURL, "cluster": testenv.RedisCluster} {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			b := open(t, start(t))
			w := newWorker(t, b, 0, map[string]int{"a": 1, "b": 1})
			hour := time.Now().Add(time.Hour).Truncate(time.Second)
			later := func(id string, at time.Time) {
				m := message("a", id)
				m.At = at
				enqueue(t, b, m)
			}
			forward := func(queue, set string, at time.Time) int {
				moved, err := move.Run(t.Context(), w, []string{key(queue, set), key(queue, "pending")}, at.Unix(), key(queue, "t:"), at.UnixNano(), key(queue, "g:")).Int()
				require.NoError(t, err)
				return moved
			}
			later("first", hour)
			require.Zero(t, forward("a", "scheduled", hour.Add(-time.Second)))
			require.Zero(t, forward("a", "retry", hour))
			require.Zero(t, forward("b", "scheduled", hour))
			require.Equal(t, 1, forward("a", "scheduled", hour))
			require.Equal(t, []string{"first"}, pendingIDs(t, b.Redis(), "a"))

			later("second", hour.Add(time.Second))
			require.Zero(t, forward("a", "scheduled", hour))
			require.Equal(t, 1, forward("a", "scheduled", hour.Add(time.Second)))
			require.Zero(t, forward("a", "scheduled", hour.Add(10*time.Second)))

			later("third", hour.Add(3*time.Second)) // the clock was set back meanwhile
			require.Zero(t, forward("a", "scheduled", hour.Add(2*time.Second)))
			require.Equal(t, 1, forward("a", "scheduled", hour.Add(3*time.Second)))
		})
	}
}

// TestDueTasksOfAsynq: asynq's own forward script is recognised, also when more are due than it moves at a time.
func TestDueTasksOfAsynq(t *testing.T) {
	onSingle(t, func(t *testing.T, url string) {
		b := open(t, url)
		client := asynq.NewClientFromRedisClient(b.Redis())
		queues := map[string]int{"due": 1}
		const tasks = 250
		for i := range tasks {
			_, err := client.Enqueue(asynq.NewTask("t", fmt.Append(nil, i)), asynq.Queue("due"), asynq.ProcessIn(time.Second))
			require.NoError(t, err)
		}
		ran := make(chan string, tasks)
		serve(t, b.NewFetcher(fetcherConfig(queues)), queues, note(ran))
		for range tasks {
			<-ran
		}
	})
}
