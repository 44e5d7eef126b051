package pool_test

import (
	"errors"
	"testing"

	"github.com/hibiken/asynq"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/tasks/broker"
)

// shelf is one queue as Redis holds it.
type shelf struct {
	inspector *asynq.Inspector
	b         *broker.Broker
	queue     string
}

func newShelf(b *broker.Broker, queue string) shelf {
	return shelf{inspector: asynq.NewInspectorFromRedisClient(b.Redis()), b: b, queue: queue}
}

// The names that asynq gives to what its API does not show, or slowly.
func (s shelf) leaseKey() string   { return "asynq:{" + s.queue + "}:lease" }
func (s shelf) activeKey() string  { return "asynq:{" + s.queue + "}:active" }
func (s shelf) pendingKey() string { return "asynq:{" + s.queue + "}:pending" }

// counts are how many tasks the queue has in each state. A queue that has never had a task has none.
func (s shelf) counts(t *testing.T) asynq.QueueInfo {
	t.Helper()
	info, err := s.inspector.GetQueueInfo(s.queue)
	if errors.Is(err, asynq.ErrQueueNotFound) {
		return asynq.QueueInfo{Queue: s.queue}
	}
	require.NoError(t, err)
	return *info
}

// leases is how many tasks are leased to a worker.
func (s shelf) leases(t *testing.T) int {
	t.Helper()
	n, err := s.b.Redis().ZCard(t.Context(), s.leaseKey()).Result()
	require.NoError(t, err)
	return int(n)
}

// pending is how many tasks wait to be fetched.
func (s shelf) pending(t *testing.T) int {
	t.Helper()
	n, err := s.b.Redis().LLen(t.Context(), s.pendingKey()).Result()
	require.NoError(t, err)
	return int(n)
}

// active are the tasks that a worker has, or had when it died.
func (s shelf) active(t *testing.T) []string {
	t.Helper()
	ids, err := s.b.Redis().LRange(t.Context(), s.activeKey(), 0, -1).Result()
	require.NoError(t, err)
	return ids
}
