package broker_test

import (
	"maps"
	"strconv"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/broker/internal/brokertest"
)

// TestMessageIsAsAsynqWritesIt stores the same task with asynq's client and with Enqueue, and compares what Redis holds
// and what asynq reads.
func TestMessageIsAsAsynqWritesIt(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	ours, plain := brokertest.Open(t, server.URL(0)), brokertest.Open(t, server.URL(1))
	client := asynq.NewClientFromRedisClient(plain.Redis())
	inspectOurs, inspectPlain := asynq.NewInspectorFromRedisClient(ours.Redis()), asynq.NewInspectorFromRedisClient(plain.Redis())
	count := 0
	rapid.Check(t, func(r *rapid.T) {
		count++
		text := rapid.StringN(0, 20, 200)
		m := &broker.Message{
			Queue:     rapid.StringMatching(`[A-Za-z0-9][A-Za-z0-9_-]{0,63}`).Draw(r, "queue"),
			ID:        strconv.Itoa(count) + "-" + rapid.StringMatching(`[A-Za-z0-9._:@-]{0,100}`).Draw(r, "id"),
			Task:      strconv.Itoa(count) + "-" + rapid.StringMatching(`[a-z0-9][a-z0-9_.-]{0,50}`).Draw(r, "task"),
			Payload:   rapid.SliceOfN(rapid.Byte(), 0, 1000).Draw(r, "payload"),
			MaxRetry:  rapid.IntRange(0, 10_001).Draw(r, "retries"),
			Timeout:   time.Duration(rapid.IntRange(1, 7*24*3600).Draw(r, "timeout")) * time.Second,
			Retention: time.Duration(rapid.IntRange(0, 366*24*3600).Draw(r, "retention")) * time.Second,
			UniqueFor: time.Duration(rapid.SampledFrom([]int{0, 0, 1000, 3600, 366 * 24 * 3600}).Draw(r, "unique")) * time.Second,
		}
		if rapid.Bool().Draw(r, "no payload") {
			m.Payload = nil
		}
		headers := rapid.MapOfN(text, text, 0, 4).Draw(r, "headers")
		for k, v := range headers {
			m.Headers = append(m.Headers, broker.Header{Key: k, Value: v})
		}
		opts := []asynq.Option{
			asynq.Queue(m.Queue), asynq.TaskID(m.ID), asynq.MaxRetry(m.MaxRetry), asynq.Timeout(m.Timeout), asynq.Retention(m.Retention),
		}
		if rapid.Bool().Draw(r, "later") {
			m.At = time.Now().Add(time.Duration(rapid.IntRange(60, 10*365*24*3600).Draw(r, "in")) * time.Second).Truncate(time.Second)
			opts = append(opts, asynq.ProcessAt(m.At))
		}
		if m.UniqueFor > 0 {
			opts = append(opts, asynq.Unique(m.UniqueFor))
		}

		receipt := ours.Enqueue(t.Context(), m)[0]
		require.NoError(r, receipt.Err)
		require.Equal(r, broker.Made, receipt.Outcome)
		_, err := client.Enqueue(asynq.NewTaskWithHeaders(m.Task, m.Payload, headers), opts...)
		require.NoError(r, err)

		got, err := inspectOurs.GetTaskInfo(m.Queue, m.ID)
		require.NoError(r, err)
		want, err := inspectPlain.GetTaskInfo(m.Queue, m.ID)
		require.NoError(r, err)
		require.WithinDuration(r, want.NextProcessAt, got.NextProcessAt, time.Minute) // of a pending task it is now
		if !m.At.IsZero() {
			require.True(r, m.At.Equal(got.NextProcessAt))
		}
		got.NextProcessAt = want.NextProcessAt
		require.Equal(r, want, got)
		require.True(r, maps.Equal(headers, got.Headers))

		a, b := stored(t, plain.Redis(), m), stored(t, ours.Redis(), m)
		delete(a, "pending_since")
		delete(b, "pending_since")
		if len(headers) > 1 { // asynq writes them in random order
			delete(a, "msg")
			delete(b, "msg")
		}
		require.Equal(r, a, b)
		if unique := a["unique_key"]; unique != "" {
			require.Equal(r, m.ID, ours.Redis().Get(t.Context(), unique).Val())
			require.InDelta(r, plain.Redis().TTL(t.Context(), unique).Val().Seconds(),
				ours.Redis().TTL(t.Context(), unique).Val().Seconds(), 300)
		}
	})
}

func stored(t *testing.T, rdb redis.UniversalClient, m *broker.Message) map[string]string {
	t.Helper()
	fields, err := rdb.HGetAll(t.Context(), brokertest.Key(m.Queue, "t:"+m.ID)).Result()
	require.NoError(t, err)
	return fields
}
