package fetch_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/broker/fetch"
	"github.com/paidui/paidui/tasks/broker/internal/brokertest"
	"github.com/paidui/paidui/tasks/broker/internal/format"
)

// lifeOf finds the worker of that name.
func lifeOf(t *testing.T, b *broker.Broker, name string) broker.WorkerLife {
	t.Helper()
	lives, err := b.LivingWorkers(t.Context())
	require.NoError(t, err)
	for i := range lives {
		if lives[i].Name == name {
			require.NoError(t, b.ReadWorkers(t.Context(), lives[i:i+1]))
			return lives[i]
		}
	}
	t.Fatalf("worker %s does not live", name)
	return broker.WorkerLife{}
}

func sendCommand(t *testing.T, b *broker.Broker, w broker.WorkerLife, c broker.WorkerCommand) broker.Commanded {
	t.Helper()
	return b.Command(testenv.Soon(t), []broker.WorkerLife{w}, c)[0]
}

// TestCommandsWithoutMessages: where Pub/Sub is refused, commands and answers are found by looking.
func TestCommandsWithoutMessages(t *testing.T) {
	t.Parallel()
	b := brokertest.Open(t, brokertest.Limited(t, testenv.Redis(t), "~*", "+@all", "resetchannels"))
	w := knowing(t, b, "w", "a")
	got := sendCommand(t, b, lifeOf(t, b, "w"), broker.WorkerCommand{ID: "1", Do: broker.CommandPause})
	require.NoError(t, got.Err)
	require.Equal(t, []string{"", "paused", "paused"}, []string{got.Answer.Refusal, got.Answer.Worker.Phase, w.Phase()})
}

// TestACommandToADeadWorker: its sender learns it when the life has ended, whether others serve the queue or not.
func TestACommandToADeadWorker(t *testing.T) { brokertest.OnSingle(t, deadWorker) }

func deadWorker(t *testing.T, url string) {
	b := brokertest.Open(t, url)
	const life = 400 * time.Millisecond
	mute := func(name string) *fetch.Fetcher { // it beats once, and carries out nothing
		f := fetch.New(b, fetch.Config{Name: name, Queues: map[string]int{"q": 1}, Tasks: []string{"a"}, Life: life})
		t.Cleanup(f.Stop)
		require.NoError(t, f.Beat(t.Context()))
		return f
	}
	mute("alone")
	got := sendCommand(t, b, lifeOf(t, b, "alone"), broker.WorkerCommand{ID: "1", Do: broker.CommandDrain})
	require.ErrorIs(t, got.Err, broker.ErrWorkerDied)

	mute("with another")
	dead := lifeOf(t, b, "with another")
	other := fetch.New(b, fetch.Config{Name: "other", Queues: map[string]int{"q": 1}, Tasks: []string{"a"}, Life: life})
	t.Cleanup(other.Leave)
	other.Begin()
	got = sendCommand(t, b, dead, broker.WorkerCommand{ID: "2", Do: broker.CommandDrain})
	require.ErrorIs(t, got.Err, broker.ErrWorkerDied)
}

// TestACommandThatIsNotAnswered is withdrawn: the worker does not do it later.
func TestACommandThatIsNotAnswered(t *testing.T) {
	t.Parallel()
	b := brokertest.Open(t, testenv.RedisURL(t))
	w := brokertest.NewWorkerWith(t, b, fetch.Config{Name: "w", Queues: map[string]int{"q": 1}, Tasks: []string{"a"}, Life: brokertest.Still})
	t.Cleanup(w.Leave)
	require.NoError(t, w.Beat(t.Context()))
	life := lifeOf(t, b, "w")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	got := b.Command(ctx, []broker.WorkerLife{life}, broker.WorkerCommand{ID: "1", Do: broker.CommandPause})[0]
	require.ErrorIs(t, got.Err, broker.ErrNoAnswer)
	w.Begin()
	got = sendCommand(t, b, life, broker.WorkerCommand{ID: "2", Do: broker.CommandPing})
	require.NoError(t, got.Err)
	require.Equal(t, "serving", w.Phase())
}

// TestACommandOutlivesTheDataOfRedis: what is lost is sent again.
func TestACommandOutlivesTheDataOfRedis(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	b := brokertest.Open(t, server.URL(0))
	w := brokertest.NewWorkerWith(t, b, fetch.Config{Name: "w", Queues: map[string]int{"q": 1}, Tasks: []string{"a"}, Life: brokertest.Still})
	t.Cleanup(w.Leave)
	require.NoError(t, w.Beat(t.Context()))
	life := lifeOf(t, b, "w")
	answered := make(chan broker.Commanded, 1)
	go func() {
		answered <- b.Command(testenv.Soon(t), []broker.WorkerLife{life}, broker.WorkerCommand{ID: "1", Do: broker.CommandPause})[0]
	}()
	testenv.Eventually(t, func() bool { return b.Redis().Exists(t.Context(), format.CommandsKey(life.ID)).Val() == 1 })
	server.Kill()
	server.Start()
	require.NoError(t, b.Redis().FlushAll(t.Context()).Err())
	w.Begin()
	got := <-answered
	require.NoError(t, got.Err)
	require.Equal(t, "paused", w.Phase())
}

// TestTheRecordCostsLittle: an idle worker's record and its look for commands are at most one command a second.
func TestTheRecordCostsLittle(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	b := brokertest.Open(t, server.URL(0))
	knowing(t, b, "w", "a") // it does not fetch, and does not beat by itself
	rdb := brokertest.Admin(t, server)
	calls := func() (n int) {
		for name, calls := range brokertest.Stats(t, rdb, "commandstats") {
			switch strings.TrimPrefix(name, "cmdstat_") {
			case "evalsha", "eval", "hlen", "hgetall", "time", "get", "set", "sadd", "smembers", "zadd", "publish": // those of scripts, too
				n += calls
			}
		}
		return n
	}
	begun, before := time.Now(), calls()
	testenv.Eventually(t, func() bool { return calls() > before+4 })
	require.LessOrEqual(t, calls()-before, int(time.Since(begun).Seconds())+1)
}

func TestUnknownCommandsAreRefused(t *testing.T) {
	t.Parallel()
	b := brokertest.Open(t, testenv.RedisURL(t))
	w := knowing(t, b, "w", "a")
	life := lifeOf(t, b, "w")
	for id, c := range map[string]broker.WorkerCommand{
		"a": {Do: "dance"},
		"b": {Do: broker.CommandResize, Slots: 0},
		"c": {Do: broker.CommandQueues},
		"d": {Do: broker.CommandQueues, Queues: map[string]int{"a}b": 1}},
	} {
		c.ID = id
		got := sendCommand(t, b, life, c)
		require.NoError(t, got.Err)
		require.Equal(t, format.RefusedUnknown, got.Answer.Refusal)
	}
	got := sendCommand(t, b, life, broker.WorkerCommand{ID: "e", Do: broker.CommandResize, Slots: 2})
	require.NoError(t, got.Err)
	require.Equal(t, broker.RefusedFixed, got.Answer.Refusal)
	require.Equal(t, []any{"serving", 1}, []any{w.Phase(), w.Slots()})
}
