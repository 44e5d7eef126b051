package broker_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models/redisx/embedded"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/broker/internal/brokertest"
)

// onEach runs a test on a real Redis, on the embedded one and on a cluster.
func onEach(t *testing.T, test func(t *testing.T, url string)) {
	brokertest.OnSingle(t, test)
	t.Run("cluster", func(t *testing.T) {
		t.Parallel()
		test(t, testenv.RedisCluster(t))
	})
}

// TestFindReadsWhatAsynqWrites holds Find against asynq's inspector, for tasks that asynq itself brought into each
// state: it fails when an upgrade changes the format.
func TestFindReadsWhatAsynqWrites(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		client := asynq.NewClientFromRedisClient(b.Redis())
		inspector := asynq.NewInspectorFromRedisClient(b.Redis())
		add := func(queue, id string, opts ...asynq.Option) {
			task := asynq.NewTaskWithHeaders("kind:"+id, []byte("payload \xff of "+id), map[string]string{"a": id, "empty": "", "排队": "中文"})
			_, err := client.Enqueue(task, append(opts, asynq.Queue(queue), asynq.TaskID(id))...)
			require.NoError(t, err)
		}
		held, release := make(chan struct{}), make(chan struct{})
		server := asynq.NewServerFromRedisClient(b.Redis(), brokertest.ServerConfig(map[string]int{"q": 1}))
		require.NoError(t, server.Start(asynq.HandlerFunc(func(ctx context.Context, task *asynq.Task) error {
			switch task.Type() {
			case "kind:active":
				close(held)
				<-release
			case "kind:retry":
				return errors.New("no luck: 没有")
			case "kind:archived":
				return errors.Join(errors.New("never"), asynq.SkipRetry)
			case "kind:completed":
				_, err := task.ResultWriter().Write([]byte(`{"n":1}`))
				return err
			}
			return nil
		})))
		defer server.Shutdown()
		defer close(release)
		states := []string{"pending", "active", "scheduled", "retry", "archived", "completed"}
		add("waiting", "pending", asynq.MaxRetry(3), asynq.Timeout(90*time.Second), asynq.Unique(time.Minute))
		add("q", "active", asynq.MaxRetry(0))
		add("q", "scheduled", asynq.ProcessIn(time.Hour), asynq.Deadline(time.Now().Add(2*time.Hour)))
		add("q", "retry", asynq.MaxRetry(5))
		add("q", "archived")
		add("q", "completed", asynq.Retention(time.Hour))
		<-held
		refs := make([]broker.Ref, len(states))
		for i, state := range states {
			refs[i] = broker.Ref{Queue: "q", ID: state}
		}
		refs[0].Queue = "waiting"
		require.Eventually(t, func() bool {
			found, err := b.FindMany(t.Context(), refs)
			require.NoError(t, err)
			for i, r := range found {
				if r == nil || r.State != states[i] {
					return false
				}
			}
			return true
		}, brokertest.Patience, 5*time.Millisecond)

		for _, ref := range refs {
			want, err := inspector.GetTaskInfo(ref.Queue, ref.ID)
			require.NoError(t, err)
			for _, queue := range []string{ref.Queue, ""} {
				got, err := b.Find(t.Context(), queue, ref.ID)
				require.NoError(t, err)
				next := want.NextProcessAt
				if want.State == asynq.TaskStatePending { // asynq says now
					next = time.Time{}
				}
				require.Equal(t, &broker.StoredTask{
					Queue: want.Queue, ID: want.ID, Task: want.Type, State: want.State.String(), Payload: want.Payload,
					Headers: want.Headers, MaxRetry: want.MaxRetry, Retried: want.Retried, LastError: want.LastErr,
					LastFailedAt: want.LastFailedAt, CompletedAt: want.CompletedAt, NextRunAt: next,
					Retention: want.Retention, Timeout: want.Timeout, Result: want.Result, Tags: []string{},
				}, got, ref.ID)
				require.Equal(t, ref.ID == "completed" || ref.ID == "archived", got.Final())
			}
		}
	})
}

func TestFindReadsOurFields(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		brokertest.Enqueue(t, b, brokertest.Message("q", "a"), brokertest.Message("q", "plain"), brokertest.Message("other", "q_b"), brokertest.Message("q", "q_b"))
		began := time.UnixMilli(time.Now().UnixMilli())
		require.NoError(t, b.Redis().HSet(t.Context(), brokertest.Key("q", "t:a"), map[string]any{
			"owner": "worker|with|bars|x1.7", "began": began.UnixMilli(), "prio": "high", "tags": "red blue", "crashes": 2,
			"revoked": "", "attempts": "{\"number\":1}\n{\"number\":2}", "progress": `{"done":3}`,
		}).Err())
		found, err := b.FindMany(t.Context(), []broker.Ref{{Queue: "q", ID: "none"}, {Queue: "q", ID: "a"}, {Queue: "nowhere", ID: "a"}, {Queue: "q", ID: "plain"}})
		require.NoError(t, err)
		require.Nil(t, found[0])
		require.Nil(t, found[2])
		a, plain := found[1], found[3]
		require.Equal(t, "worker|with|bars|x1.7", a.Owner)
		require.Equal(t, "worker|with|bars", a.Worker)
		require.Equal(t, began, a.Began)
		require.Equal(t, "high", a.Priority)
		require.Equal(t, []string{"red", "blue"}, a.Tags)
		require.Equal(t, 2, a.Crashes)
		require.True(t, a.IsRevoked)
		require.True(t, a.Final())
		require.Equal(t, "{\"number\":1}\n{\"number\":2}", string(a.Attempts))
		require.Equal(t, `{"done":3}`, string(a.Progress))
		require.Equal(t, "plain", plain.ID)
		require.False(t, plain.IsRevoked)
		require.Zero(t, plain.Began)

		both, err := b.Find(t.Context(), "", "q_b")
		require.NoError(t, err)
		require.Equal(t, "q", both.Queue, "the queue that the id begins with")
		none, err := b.Find(t.Context(), "", "none")
		require.NoError(t, err)
		require.Nil(t, none)
	})
}

func TestFindManyTakesFewRoundTrips(t *testing.T) {
	t.Parallel()
	b := brokertest.Open(t, testenv.RedisURL(t))
	const n = 1000
	brokertest.Enqueue(t, b, brokertest.Numbered("q", n)...)
	refs := make([]broker.Ref, n)
	for i, m := range brokertest.Numbered("q", n) {
		refs[i] = broker.Ref{Queue: "q", ID: m.ID}
	}
	before := brokertest.ScriptCalls(t, b.Redis())
	found, err := b.FindMany(t.Context(), refs)
	require.NoError(t, err)
	for i, r := range found {
		require.Equal(t, refs[i].ID, r.ID)
		require.Equal(t, "pending", r.State)
	}
	require.LessOrEqual(t, brokertest.ScriptCalls(t, b.Redis())-before, 10)
}

// TestAMessageThatMakesNoSenseIsRead: other programs may store what they like.
func TestAMessageThatMakesNoSenseIsRead(t *testing.T) {
	t.Parallel()
	e, err := embedded.Start(context.WithoutCancel(t.Context()))
	require.NoError(t, err)
	t.Cleanup(e.Close)
	b := brokertest.Open(t, e.URL(0))
	rapid.Check(t, func(r *rapid.T) {
		raw := rapid.SliceOfN(rapid.Byte(), 0, 60).Draw(r, "message")
		if err := b.Redis().HSet(context.Background(), brokertest.Key("q", "t:x"), "msg", raw, "state", "pending").Err(); err != nil {
			r.Fatal(err)
		}
		found, err := b.Find(context.Background(), "q", "x")
		if err != nil || found == nil || found.ID != "x" || found.State != "pending" {
			r.Fatalf("%v, %v", found, err)
		}
	})
}
