package brokertest

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/broker/fetch"
)

// Still is a life so long that a test alone says when workers beat.
const Still = time.Hour

// Mortal is a worker of the queue "q" with that life. It beats once.
func Mortal(t *testing.T, b *broker.Broker, name string, slots int) *Worker {
	t.Helper()
	w := NewWorkerWith(t, b, fetch.Config{Name: name, Queues: map[string]int{"q": 1}, Slots: slots, Life: Still})
	require.NoError(t, w.Beat(t.Context()))
	return w
}

// Silence makes the last beat of a worker as old as that.
func Silence(t *testing.T, b *broker.Broker, w *Worker, ago time.Duration) {
	t.Helper()
	lives := "paidui:{q}:lives"
	all, err := b.Redis().ZRangeWithScores(t.Context(), lives, 0, -1).Result()
	require.NoError(t, err)
	for _, life := range all {
		if strings.HasPrefix(life.Member.(string), w.name+"|") {
			life.Score -= float64(ago.Milliseconds())
			require.NoError(t, b.Redis().ZAddXX(t.Context(), lives, life).Err())
			return
		}
	}
	t.Fatalf("%s has no life", w.name)
}

// Kill ends a worker as kill -9 does, longer ago than a life lasts.
func Kill(t *testing.T, b *broker.Broker, w *Worker) {
	t.Helper()
	Silence(t, b, w, Still+time.Minute)
}

func Fields(t *testing.T, b *broker.Broker, id string) map[string]string {
	t.Helper()
	held, err := b.Redis().HGetAll(t.Context(), Key("q", "t:"+id)).Result()
	require.NoError(t, err)
	return held
}

func TakeTasks(t *testing.T, w *Worker, n int) (ids []string) {
	t.Helper()
	for range n {
		_, id := w.MustNext()
		ids = append(ids, id)
	}
	return ids
}

func WithPriority(m *broker.Message, p broker.Priority) *broker.Message {
	m.Priority = p
	return m
}

// Limited makes a user of the server with these rules, and returns the URL for it.
func Limited(t testing.TB, server *testenv.RedisServer, rules ...string) string {
	t.Helper()
	admin := Admin(t, server)
	args := []any{"ACL", "SETUSER", "limited", "reset", "on", ">secret"}
	for _, r := range rules {
		args = append(args, r)
	}
	require.NoError(t, admin.Do(t.Context(), args...).Err())
	u, err := url.Parse(server.URL(0))
	require.NoError(t, err)
	u.User = url.UserPassword("limited", "secret")
	return u.String()
}

func Admin(t testing.TB, server *testenv.RedisServer) *redis.Client {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: server.Addr})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	return rdb
}
