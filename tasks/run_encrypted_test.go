package tasks_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models/keyring"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/taskstest"
)

// number is what must not be read in Redis.
const number = "13800138000"

type letter struct {
	To string `json:"to"`
}

var (
	secret = tasks.Define[letter, string]("test.secret", tasks.Encrypted(), tasks.MaxRetries(3), tasks.Backoff(time.Millisecond, 10*time.Millisecond))
	anyMap = tasks.Define[map[string]any, map[string]any]("test.map")
)

// vault is a Redis, with a client and a mux that have keys.
type vault struct {
	broker *broker.Broker
	rdb    redis.UniversalClient
	client *tasks.Client
	mux    *tasks.Mux
	told   *recorded
	log    *lockedText
}

type lockedText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func openVault(t *testing.T, url string, keys *keyring.Ring) *vault {
	t.Helper()
	v := &vault{broker: taskstest.Broker(t, url), rdb: taskstest.Connect(t, url), told: &recorded{}, log: &lockedText{}}
	v.client = tasks.NewClient(v.broker, tasks.ClientOptions{Keys: keys, History: v.told})
	v.mux = tasks.NewMux(tasks.MuxOptions{
		Logger: slog.New(slog.NewTextHandler(v.log, &slog.HandlerOptions{Level: slog.LevelDebug})), Client: v.client, History: v.told,
	})
	return v
}

// requireHidden holds that nothing that is stored, logged or told to the history has the number in it.
func (v *vault) requireHidden(t *testing.T) {
	t.Helper()
	require.NotContains(t, taskstest.Dump(t, v.rdb), number)
	require.NotContains(t, v.log.String(), number)
	v.told.mu.Lock()
	defer v.told.mu.Unlock()
	require.NotEmpty(t, v.told.list)
	for _, r := range v.told.list {
		require.NotContains(t, fmt.Sprintf("%s %s %s", r.Args, r.Result, r.Error), number)
	}
}

func TestEncryptedValuesAreReadByThoseWithKeysOnly(t *testing.T) {
	t.Parallel()
	v := openVault(t, testenv.RedisURL(t), taskstest.Keys(t, taskstest.Key("k1")))
	reported, goOn := make(chan struct{}), make(chan struct{})
	tasks.Handle(v.mux, secret, func(ctx context.Context, a letter) (string, error) {
		require.Equal(t, number, a.To)
		if tasks.Current(ctx).Attempt == 1 {
			return "", fmt.Errorf("no answer from %s", a.To)
		}
		require.NoError(t, tasks.Progress(ctx, 1, 2, "calling "+a.To))
		close(reported)
		<-goOn
		return "sent to " + a.To, nil
	})
	res, err := secret.Enqueue(t.Context(), v.client, letter{number}, tasks.Countdown(time.Hour), tasks.Tags("mail"))
	require.NoError(t, err)
	require.Contains(t, taskstest.Dump(t, v.rdb), `{"paidui_encrypted":"k1","data":"`)
	v.requireHidden(t)
	info, err := v.client.Info(t.Context(), res.ID())
	require.NoError(t, err)
	require.JSONEq(t, `{"to":"`+number+`"}`, string(info.Args))

	require.NoError(t, v.client.Retry(t.Context(), res.ID()), "it becomes due")
	taskstest.Serve(t, v.broker, v.mux, "default")
	<-reported
	require.Eventually(t, func() bool {
		info, err = v.client.Info(t.Context(), res.ID())
		return err == nil && info.State == tasks.StateProgress
	}, time.Minute, 5*time.Millisecond)
	require.Equal(t, "calling "+number, info.Progress.Note)
	require.Equal(t, "no answer from "+number, info.Error)
	v.requireHidden(t)
	blind, err := tasks.NewClient(v.broker).Info(t.Context(), res.ID())
	require.NoError(t, err)
	require.Equal(t, tasks.StateProgress, blind.State, "also without the key")
	require.Nil(t, blind.Progress)
	close(goOn)

	value, err := res.Get(testenv.Soon(t))
	require.NoError(t, err)
	require.Equal(t, "sent to "+number, value)
	info, err = v.client.Wait(testenv.Soon(t), res.ID())
	require.NoError(t, err)
	require.Len(t, info.Attempts, 2)
	require.Equal(t, "no answer from "+number, info.Attempts[0].Error)
	require.Empty(t, info.Withheld)
	v.requireHidden(t)
	require.Contains(t, v.log.String(), "*errors.errorString", "the log has the types of errors")

	blind, err = tasks.NewClient(v.broker, tasks.ClientOptions{Keys: taskstest.Keys(t, taskstest.Key("k2"))}).Info(t.Context(), res.ID())
	require.NoError(t, err)
	require.Equal(t, tasks.StateSuccess, blind.State)
	require.Contains(t, blind.Withheld, `"k1"`)
	require.Contains(t, blind.Withheld, "PAIDUI_PAYLOAD_KEYS")
	require.Nil(t, blind.Args)
	require.Nil(t, blind.Result)
	require.Contains(t, blind.Attempts[0].Error, "withheld")
	encoded, err := json.Marshal(blind)
	require.NoError(t, err)
	require.NotContains(t, string(encoded), number)
	_, err = secret.Result(tasks.NewClient(v.broker), res.ID()).Peek(t.Context())
	require.ErrorIs(t, err, tasks.ErrWithheld)
}

func TestFailuresOfEncryptedTasksAreHidden(t *testing.T) {
	t.Parallel()
	v := openVault(t, testenv.RedisURL(t), taskstest.Keys(t, taskstest.Key("k1")))
	hooked := make(chan error, 4)
	tasks.Handle(v.mux, secret, func(ctx context.Context, a letter) (string, error) {
		if tasks.Current(ctx).Attempt > 1 {
			return "", tasks.Permanent(fmt.Errorf("%s: %w", strings.Repeat(a.To, 2000), errors.New("refused")))
		}
		panic("no such number: " + a.To)
	}, tasks.FailureHook(func(_ context.Context, a letter, cause error) error {
		if a.To != number || !strings.Contains(cause.Error(), number) {
			hooked <- fmt.Errorf("%v: %w", a, cause)
		}
		hooked <- nil
		return errors.New("no hook for " + a.To)
	}))
	taskstest.Serve(t, v.broker, v.mux, "default")
	for _, mode := range []tasks.HistoryMode{tasks.HistoryFull, tasks.HistoryMeta} {
		res, err := secret.Enqueue(t.Context(), v.client, letter{number}, tasks.History(mode))
		require.NoError(t, err)
		_, err = res.Get(testenv.Soon(t))
		var failure *tasks.FailureError
		require.ErrorAs(t, err, &failure)
		require.Contains(t, failure.Msg, number)
		require.NoError(t, <-hooked)
		v.requireHidden(t)

		v.told.mu.Lock()
		last := v.told.list[len(v.told.list)-1]
		v.told.mu.Unlock()
		require.Equal(t, tasks.StateFailure, last.State)
		require.LessOrEqual(t, len(last.Error), 8<<10, "the history does not cut it")
		info := &tasks.Info{ID: last.ID, Task: last.Task, State: last.State, Args: last.Args, Error: last.Error}
		v.client.Decrypt(info)
		require.Empty(t, info.Withheld)
		if mode == tasks.HistoryMeta {
			require.Empty(t, info.Args)
			require.True(t, strings.HasPrefix(info.Error, "***"), info.Error)
			require.NotContains(t, info.Error, number)
		} else {
			require.Contains(t, string(info.Args), number)
			require.Contains(t, info.Error, number)
		}
	}
}

func TestCallbacksOfEncryptedTasks(t *testing.T) {
	t.Parallel()
	v := openVault(t, testenv.RedisURL(t), taskstest.Keys(t, taskstest.Key("k1")))
	parents := make(chan tasks.Parent, 2)
	tasks.Handle(v.mux, secret, func(ctx context.Context, a letter) (string, error) {
		if p := tasks.Current(ctx).Parent; p != nil {
			parents <- *p
		}
		return "sent to " + a.To, nil
	})
	again, err := json.Marshal(secret.Signature(letter{number}))
	require.NoError(t, err)
	var stored tasks.Signature
	require.NoError(t, json.Unmarshal(again, &stored))
	resolved, _, err := secret.Signature(letter{number}, tasks.UniqueFor(time.Hour), tasks.UniqueKey(number)).Resolve(t.Context(), v.client)
	require.NoError(t, err)
	kept, err := json.Marshal(resolved)
	require.NoError(t, err)
	require.NotContains(t, string(kept), number, "what was resolved with keys is stored encrypted")
	var unpacked tasks.Signature
	require.NoError(t, json.Unmarshal(kept, &unpacked))

	res, err := secret.Enqueue(t.Context(), v.client, letter{number}, tasks.OnSuccess(
		stored.With(tasks.UniqueUntilDone(), tasks.ID("first"), tasks.OnSuccess(unpacked)),
	))
	require.NoError(t, err)
	v.requireHidden(t)
	taskstest.Serve(t, v.broker, v.mux, "default")
	_, err = res.Get(testenv.Soon(t))
	require.NoError(t, err)
	for range 2 {
		select {
		case p := <-parents:
			require.Equal(t, tasks.StateSuccess, p.State)
			require.JSONEq(t, `"sent to `+number+`"`, string(p.Result))
		case <-testenv.Soon(t).Done():
			t.Fatal("no callback")
		}
	}
	value, err := secret.Result(v.client, "first").Get(testenv.Soon(t))
	require.NoError(t, err)
	require.Equal(t, "sent to "+number, value)
	v.requireHidden(t)
}

func TestUniquenessOfEncryptedTasks(t *testing.T) {
	t.Parallel()
	k1, k2 := taskstest.Key("k1"), taskstest.Key("k2")
	url := testenv.RedisURL(t)
	v := openVault(t, url, taskstest.Keys(t, k1))
	for name, opts := range map[string][]tasks.Option{
		"arguments": {tasks.UniqueUntilDone(), tasks.Queue("a")},
		"key":       {tasks.UniqueUntilDone(), tasks.UniqueKey(number), tasks.Queue("b")},
		"throttle":  {tasks.Throttle(time.Hour), tasks.Queue("c")},
	} {
		first, err := secret.Enqueue(t.Context(), v.client, letter{number}, opts...)
		require.NoError(t, err, name)
		for _, keys := range [][]string{{k1}, {k1, k2}, {k2, k1}} { // a rotation's steps
			client := tasks.NewClient(v.broker, tasks.ClientOptions{Keys: taskstest.Keys(t, keys...)})
			same, err := secret.Enqueue(t.Context(), client, letter{number}, opts...)
			require.ErrorIs(t, err, tasks.ErrDuplicate, "%s, %d keys", name, len(keys))
			require.Equal(t, first.ID(), same.ID())
			resolved, _, err := secret.Signature(letter{number}, opts...).Resolve(t.Context(), client)
			require.NoError(t, err)
			_, err = resolved.Enqueue(t.Context(), client)
			require.ErrorIs(t, err, tasks.ErrDuplicate, name)
		}
		_, err = secret.Enqueue(t.Context(), v.client, letter{"13900139000"}, append(opts, tasks.UniqueKey("13900139000"))...)
		require.NoError(t, err, name)
	}
	// Nobody without the keys can tell whether it is this number.
	clear := openVault(t, testenv.RedisURL(t), nil)
	_, err := secret.Enqueue(t.Context(), clear.client, letter{number}, tasks.UniqueUntilDone(), tasks.Queue("a"))
	require.NoError(t, err)
	guessed, err := clear.rdb.Keys(t.Context(), "asynq:{a}:unique:*").Result()
	require.NoError(t, err)
	require.Len(t, guessed, 1)
	there, err := v.rdb.Exists(t.Context(), guessed...).Result()
	require.NoError(t, err)
	require.Zero(t, there)
	v.requireHidden(t)
}

// TestADebouncedTaskGetsTheLastCallsArguments, which were encrypted for another id.
func TestADebouncedEncryptedTask(t *testing.T) {
	t.Parallel()
	v := openVault(t, testenv.RedisURL(t), taskstest.Keys(t, taskstest.Key("k1")))
	tasks.Handle(v.mux, secret, func(_ context.Context, a letter) (string, error) { return a.To, nil })
	var first *tasks.Result[string]
	for _, to := range []string{"1", "2", number} {
		res, err := secret.Enqueue(t.Context(), v.client, letter{to}, tasks.Debounce(time.Hour))
		require.NoError(t, err)
		if first == nil {
			first = res
		}
		require.Equal(t, first.ID(), res.ID())
	}
	info, err := v.client.Info(t.Context(), first.ID())
	require.NoError(t, err)
	require.Contains(t, string(info.Args), number)
	v.requireHidden(t)
	require.NoError(t, v.client.Retry(t.Context(), first.ID()), "it becomes due")
	taskstest.Serve(t, v.broker, v.mux, "default")
	value, err := first.Get(testenv.Soon(t))
	require.NoError(t, err)
	require.Equal(t, number, value)
}

func TestEncryptedBelongsToADefinition(t *testing.T) {
	t.Parallel()
	client := tasks.NewClient(taskstest.Embedded(t))
	_, err := sum.Enqueue(t.Context(), client, pair{}, tasks.Encrypted())
	var wrong *tasks.OptionError
	require.ErrorAs(t, err, &wrong)
	require.Equal(t, "encrypted", wrong.Field)
	_, err = secret.Enqueue(t.Context(), client, letter{}, tasks.Encrypted())
	require.NoError(t, err, "it is so already")
	require.True(t, secret.Encrypted())
	require.False(t, sum.Encrypted())
}
