package tasks_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/taskstest"
)

// TestARollOutAndARotation: what was stored in the clear, or under a key that is not the first any more, is run and read.
func TestARollOutAndARotation(t *testing.T) {
	t.Parallel()
	k1, k2 := taskstest.Key("k1"), taskstest.Key("k2")
	url := testenv.RedisURL(t)
	v := openVault(t, url, taskstest.Keys(t, k2, k1))
	var made []*tasks.Result[string]
	for i, keys := range [][]string{nil, {k1}, {k2}, {k1, k2}} {
		client := tasks.NewClient(v.broker, tasks.ClientOptions{Keys: taskstest.Keys(t, keys...)})
		res, err := secret.Enqueue(t.Context(), client, letter{fmt.Sprint(number, i)})
		require.NoError(t, err)
		made = append(made, secret.Result(v.client, res.ID()))
	}
	tasks.Handle(v.mux, secret, func(_ context.Context, a letter) (string, error) { return a.To, nil })
	taskstest.Serve(t, v.broker, v.mux, "default")
	for i, res := range made {
		value, err := res.Get(testenv.Soon(t))
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(number, i), value)
		stored, err := v.rdb.HGet(t.Context(), "asynq:{default}:t:"+res.ID(), "result").Result()
		require.NoError(t, err)
		require.Contains(t, stored, `"k2"`, "the first key encrypts")
	}
}

// TestATaskWaitsForItsKey: a worker that lacks it puts the task off at no cost, and says what is missing.
func TestATaskWaitsForItsKey(t *testing.T) {
	t.Parallel()
	k1 := taskstest.Key("k1")
	for name, keys := range map[string][]string{"none": nil, "another": {taskstest.Key("k2")}, "of the same id": {taskstest.Key("k1")}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := testenv.RedisURL(t)
			v := openVault(t, url, taskstest.Keys(t, k1))
			tasks.Handle(v.mux, secret, func(_ context.Context, a letter) (string, error) { return a.To, nil })
			res, err := secret.Enqueue(t.Context(), v.client, letter{number}, tasks.MaxRetries(0))
			require.NoError(t, err)

			blind := openVault(t, url, taskstest.Keys(t, keys...))
			tasks.Handle(blind.mux, secret, func(_ context.Context, a letter) (string, error) { return "", errors.New("it ran") })
			t.Run("without", func(t *testing.T) {
				taskstest.Serve(t, blind.broker, blind.mux, "default")
				require.Eventually(t, func() bool {
					info, err := v.client.Info(t.Context(), res.ID())
					return err == nil && len(info.Attempts) >= 2
				}, time.Minute, 10*time.Millisecond)
			})
			info, err := v.client.Info(t.Context(), res.ID())
			require.NoError(t, err)
			require.Equal(t, tasks.StateRetry, info.State)
			require.Zero(t, info.Retries)
			for _, a := range info.Attempts {
				require.Equal(t, "snooze", a.Outcome)
				require.Contains(t, a.Error, `"k1"`)
				require.Contains(t, a.Error, "PAIDUI_PAYLOAD_KEYS")
			}
			require.Contains(t, info.Error, `"k1"`)
			require.Contains(t, blind.log.String(), "setting=PAIDUI_PAYLOAD_KEYS")
			require.Equal(t, 1, strings.Count(blind.log.String(), "that this worker can't decrypt"), "once in a while")
			blind.requireHidden(t)

			taskstest.Serve(t, v.broker, v.mux, "default")
			value, err := res.Get(testenv.Soon(t))
			require.NoError(t, err)
			require.Equal(t, number, value)
		})
	}
}

// TestTamperedTasksFail: what was changed in Redis, or put there from another task, is not run.
func TestTamperedTasksFail(t *testing.T) {
	t.Parallel()
	v := openVault(t, testenv.RedisURL(t), taskstest.Keys(t, taskstest.Key("k1")))
	ran := make(chan string, 10)
	tasks.Handle(v.mux, secret, func(_ context.Context, a letter) (string, error) {
		ran <- a.To
		return "", nil
	})
	message := func(id string) string {
		text, err := v.rdb.HGet(t.Context(), "asynq:{default}:t:"+id, "msg").Result()
		require.NoError(t, err)
		return text
	}
	for _, id := range []string{"donor", "moved", "changed"} {
		_, err := secret.Enqueue(t.Context(), v.client, letter{number}, tasks.ID(id))
		require.NoError(t, err)
	}
	payload := func(id string) string {
		_, rest, _ := strings.Cut(message(id), `{"paidui_encrypted"`)
		inner, _, _ := strings.Cut(rest, `"}`)
		return `{"paidui_encrypted"` + inner + `"}`
	}
	own, other := payload("moved"), payload("donor")
	require.NoError(t, v.rdb.HSet(t.Context(), "asynq:{default}:t:moved", "msg", strings.Replace(message("moved"), own, other, 1)).Err())
	own = payload("changed")
	middle := len(own) - 20
	flipped := own[:middle] + string(own[middle]^1) + own[middle+1:]
	require.NoError(t, v.rdb.HSet(t.Context(), "asynq:{default}:t:changed", "msg", strings.Replace(message("changed"), own, flipped, 1)).Err())
	taskstest.Serve(t, v.broker, v.mux, "default")
	for _, id := range []string{"moved", "changed"} {
		_, err := secret.Result(v.client, id).Get(testenv.Soon(t))
		var failure *tasks.FailureError
		require.ErrorAs(t, err, &failure, id)
		require.Contains(t, failure.Msg, "can't be decrypted")
		info, err := v.client.Info(t.Context(), id)
		require.NoError(t, err)
		require.Nil(t, info.Args)
		require.NotEmpty(t, info.Withheld)
	}
	_, err := secret.Result(v.client, "donor").Get(testenv.Soon(t))
	require.NoError(t, err)
	require.Len(t, ran, 1)
}

// TestCounterfeits: what only looks encrypted is refused as arguments, and is a value like any other elsewhere.
func TestCounterfeits(t *testing.T) {
	t.Parallel()
	v := openVault(t, testenv.RedisURL(t), taskstest.Keys(t, taskstest.Key("k1")))
	forged := `{"paidui_encrypted":"k1","data":"AAAA"}`
	var wrong *tasks.ArgsError
	_, err := anyMap.EnqueueJSON(t.Context(), v.client, json.RawMessage(` { "data": "AAAA", "paidui_encrypted": "k9" }`))
	require.NoError(t, err, "in this order it does not look so, as encoding/json sorts the names of a map")
	_, err = anyMap.EnqueueJSON(t.Context(), v.client, json.RawMessage(` { "paidui_encrypted": "k1", "x": 1 }`))
	require.ErrorAs(t, err, &wrong)
	require.Equal(t, "paidui_encrypted", wrong.Field)
	_, err = anyMap.Enqueue(t.Context(), v.client, map[string]any{"paidui_encrypted": "k1"})
	require.ErrorAs(t, err, &wrong)
	require.ErrorAs(t, anyMap.Signature(map[string]any{"paidui_encrypted": "k1"}).Validate(), &wrong)
	_, err = secret.EnqueueJSON(t.Context(), v.client, json.RawMessage(forged))
	require.ErrorAs(t, err, &wrong)

	calls := make(chan map[string]any, 2)
	tasks.Handle(v.mux, anyMap, func(ctx context.Context, a map[string]any) (map[string]any, error) {
		calls <- a
		if a["fails"] != nil {
			return nil, tasks.Permanent(errors.New(forged))
		}
		return map[string]any{"paidui_encrypted": "k1", "to": "x"}, nil
	})
	parents := make(chan *tasks.Parent, 1)
	tasks.Handle(v.mux, sum, func(ctx context.Context, _ pair) (int, error) {
		parents <- tasks.Current(ctx).Parent
		return 0, nil
	})
	res, err := anyMap.Enqueue(t.Context(), v.client, map[string]any{"n": 1}, tasks.Queue("low"), tasks.OnSuccess(sum.Signature(pair{}, tasks.Queue("low"))))
	require.NoError(t, err)
	failing, err := anyMap.Enqueue(t.Context(), v.client, map[string]any{"fails": true}, tasks.Queue("low"))
	require.NoError(t, err)
	taskstest.Serve(t, v.broker, v.mux, "low")
	value, err := res.Get(testenv.Soon(t))
	require.NoError(t, err)
	require.Equal(t, map[string]any{"paidui_encrypted": "k1", "to": "x"}, value)
	_, err = failing.Get(testenv.Soon(t))
	var failure *tasks.FailureError
	require.ErrorAs(t, err, &failure)
	require.Equal(t, forged, failure.Msg)
	select {
	case p := <-parents:
		require.JSONEq(t, `{"paidui_encrypted":"k1","to":"x"}`, string(p.Result))
	case <-testenv.Soon(t).Done():
		t.Fatal("no callback")
	}

	// A program that knows nothing of this put it there, as it might any arguments.
	foreign := putForeign(t, v.rdb, "test.map", forged)
	info, err := v.client.Info(t.Context(), foreign)
	require.NoError(t, err)
	require.JSONEq(t, forged, string(info.Args))
	require.Empty(t, info.Withheld)
}

// TestWithoutKeysNothingChanges: an older build reads what is stored.
func TestWithoutKeysNothingChanges(t *testing.T) {
	t.Parallel()
	plain := tasks.Define[letter, string]("test.secret", tasks.MaxRetries(3), tasks.Backoff(time.Millisecond, 10*time.Millisecond))
	b := taskstest.Embedded(t)
	now := time.Now()
	var messages []*broker.Message
	client := tasks.NewClient(b, tasks.ClientOptions{Now: func() time.Time { return now }, Enqueued: func(_ context.Context, _ string, m *broker.Message) {
		messages = append(messages, m)
	}})
	for _, d := range []*tasks.Definition[letter, string]{plain, secret} {
		_, err := d.Enqueue(t.Context(), client, letter{number}, tasks.ID("a"), tasks.UniqueKey("k"), tasks.UniqueUntilDone(),
			tasks.OnSuccess(d.Signature(letter{number}, tasks.ID("b"))))
		require.NoError(t, err)
		require.NoError(t, b.Redis().FlushAll(t.Context()).Err())
	}
	require.Equal(t, messages[0], messages[1])
}

// putForeign enqueues a task as another program would, and returns its id.
func putForeign(t *testing.T, rdb redis.UniversalClient, task, payload string) string {
	t.Helper()
	info, err := asynq.NewClientFromRedisClient(rdb).Enqueue(asynq.NewTask(task, []byte(payload)), asynq.Queue("foreign"))
	require.NoError(t, err)
	return info.ID
}
