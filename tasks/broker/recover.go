package broker

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// WorkerDied is the error of an attempt that ended with its worker.
const WorkerDied = "the worker died, or lost the broker, while it ran the task"

// crash is the record of such an attempt, in the form of Delivery.Record.
type crash struct {
	Number    int    `json:"number"`
	Worker    string `json:"worker"`
	StartedAt string `json:"started_at,omitempty"`
	EndedAt   string `json:"ended_at"`
	Outcome   string `json:"outcome"`
	Error     string `json:"error"`
}

// recordTime is how records of attempts write times.
const recordTime = "2006-01-02T15:04:05.000Z07:00"

// The spread of a task whose worker died again: see spread.
const (
	firstSpread = 16 * time.Second
	maxSpread   = 256 * time.Second
)

// spread is how long a task waits whose worker has died, when that has happened so many times before. All tasks that the
// worker had come here together, and one of them may have killed it: if they ran together again, they would die together
// until all of them pass for poison. So the first time they run at once, and then each at a moment of its own.
func spread(before int) time.Duration {
	if before < 1 {
		return 0
	}
	return rand.N(min(firstSpread<<(2*min(before-1, 8)), maxSpread))
}

// recover puts back a task whose lease has ended, as asynq's recoverer asks by its retry script, and counts that its worker
// died.
func (f *Fetcher) recover(ctx context.Context, script string, keys []string, args []any) *redis.Cmd {
	held, err := f.b.rdb.HMGet(ctx, keys[0], "owner", "began", "crashes").Result()
	if err != nil {
		return failed(ctx, err)
	}
	owner, _ := held[0].(string)
	record := crash{
		Number: 1, Worker: workerOf(owner), EndedAt: time.Now().UTC().Format(recordTime),
		Outcome: "crash", Error: WorkerDied,
	}
	if message, ok := args[1].([]byte); ok {
		var stored Record
		stored.decode(message)
		record.Number += stored.Retried
	}
	began, _ := held[1].(string)
	if ms, err := strconv.ParseInt(began, 10, 64); err == nil {
		record.StartedAt = time.UnixMilli(ms).UTC().Format(recordTime)
	}
	text, err := json.Marshal(record)
	if err != nil {
		return failed(ctx, err)
	}
	all := append(append(make([]any, 0, len(args)+2), args...), owner, text)
	died, _ := held[2].(string)
	before, _ := strconv.Atoi(died) // 0 without the field
	if at, ok := all[2].(int64); ok {
		all[2] = at + int64(spread(before).Seconds())
	}
	return redis.NewScript(luaRecover+script).Run(ctx, f.b.rdb, keys, all...)
}

// luaRecover goes before asynq's retry script. The last arguments are ours: the owner that died, and the record.
const luaRecover = luaEvents + luaAttempt + `
local held = redis.call('HMGET', KEYS[1], 'owner', 'state', 'watch')
if held[2] == 'active' and (held[1] or '') == ARGV[#ARGV - 1] then
	redis.call('HINCRBY', KEYS[1], 'crashes', 1)
	attempt(KEYS[1], ARGV[#ARGV])
	if held[3] then publish({'+' .. ARGV[1]}) end
end
`
