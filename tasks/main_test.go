package tasks_test

import (
	"testing"
	"time"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/taskstest"
)

func TestMain(m *testing.M) { testenv.Main(m) }

type pair struct {
	N int `json:"n"`
	M int `json:"m,omitempty"`
}

var (
	sum   = tasks.Define[pair, int]("test.sum")
	quick = tasks.Define[pair, int]("test.quick", tasks.MaxRetries(2), tasks.Backoff(time.Millisecond, 10*time.Millisecond))
)

// onEachBroker runs a test on a real Redis, on a cluster and on the embedded one.
func onEachBroker(t *testing.T, test func(t *testing.T, b *broker.Broker)) {
	t.Parallel()
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		test(t, taskstest.Broker(t, testenv.RedisURL(t)))
	})
	t.Run("cluster", func(t *testing.T) {
		t.Parallel()
		test(t, taskstest.Broker(t, testenv.RedisCluster(t)))
	})
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		test(t, taskstest.Embedded(t))
	})
}

func mux() *tasks.Mux { return tasks.NewMux(tasks.MuxOptions{Logger: testenv.Quiet()}) }
