package fetch_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks/broker/fetch"
	"github.com/paidui/paidui/tasks/broker/internal/brokertest"
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
			b := brokertest.Open(t, start(t))
			w := brokertest.NewWorker(t, b, 0, map[string]int{"a": 1, "b": 1})
			hour := time.Now().Add(time.Hour).Truncate(time.Second)
			later := func(id string, at time.Time) {
				m := brokertest.Message("a", id)
				m.At = at
				brokertest.Enqueue(t, b, m)
			}
			forward := func(queue, set string, at time.Time) int {
				moved, err := move.Run(t.Context(), w, []string{brokertest.Key(queue, set), brokertest.Key(queue, "pending")}, at.Unix(), brokertest.Key(queue, "t:"), at.UnixNano(), brokertest.Key(queue, "g:")).Int()
				require.NoError(t, err)
				return moved
			}
			later("first", hour)
			require.Zero(t, forward("a", "scheduled", hour.Add(-time.Second)))
			require.Zero(t, forward("a", "retry", hour))
			require.Zero(t, forward("b", "scheduled", hour))
			require.Equal(t, 1, forward("a", "scheduled", hour))
			require.Equal(t, []string{"first"}, brokertest.PendingIDs(t, b.Redis(), "a"))

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
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		client := asynq.NewClientFromRedisClient(b.Redis())
		queues := map[string]int{"due": 1}
		const tasks = 250
		for i := range tasks {
			_, err := client.Enqueue(asynq.NewTask("t", fmt.Append(nil, i)), asynq.Queue("due"), asynq.ProcessIn(time.Second))
			require.NoError(t, err)
		}
		ran := make(chan string, tasks)
		brokertest.Serve(t, fetch.New(b, brokertest.FetcherConfig(queues)), queues, brokertest.Note(ran))
		for range tasks {
			<-ran
		}
	})
}
