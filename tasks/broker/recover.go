package broker

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"strconv"
	"strings"
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

// leaseMargin is how long a lease has ended when asynq's recoverer finds it: so much may clocks differ.
const leaseMargin = 30 * time.Second

// recover puts back a task whose lease has ended, or archives it, as asynq's recoverer asks by its own scripts, and counts
// that its worker died. It has no effect when the lease has not ended, which means that another delivery has the task:
// another recoverer may have come first, and the same scripts carry the acknowledgements of deliveries that this worker
// has forgotten.
func (f *Fetcher) recover(ctx context.Context, script string, keys []string, args []any) *redis.Cmd {
	held, err := f.b.rdb.HMGet(ctx, keys[0], "owner", "began", "crashes").Result()
	if err != nil {
		return failed(ctx, err)
	}
	owner, _ := held[0].(string)
	now := time.Now()
	record := crash{
		Number: 1, Worker: workerOf(owner), EndedAt: now.UTC().Format(recordTime),
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
	all := append(make([]any, 0, len(args)+4), args...)
	if strings.HasSuffix(keys[3], retrySuffix) {
		died, _ := held[2].(string)
		before, _ := strconv.Atoi(died) // 0 without the field
		if at, ok := all[2].(int64); ok {
			all[2] = at + int64(spread(before).Seconds())
		}
	}
	all = append(all, now.Add(-leaseMargin).Unix(), owner, text, ownPrefix(keyQueue(keys[0])))
	cmd := redis.NewScript(luaRecover+luaBefore(0, keys)+script).Run(ctx, f.b.rdb, keys, all...)
	if cmd.Val() == fencedReply {
		f.warnOfLate(ctx, keys[0])
	}
	return cmd
}

// luaRecover goes before asynq's retry and archive scripts. The last arguments are ours: when the lease has ended at the
// latest (s), the owner that died, the record, and the prefix of our keys.
const luaRecover = luaEvents + luaAttempt + `
local task, n, id = KEYS[1], #ARGV, ARGV[1]
local lease = redis.call('ZSCORE', KEYS[3], id)
if not lease or tonumber(lease) > tonumber(ARGV[n - 3]) then return redis.status_reply('` + fencedReply + `') end
local held = redis.call('HMGET', task, 'owner', 'state', 'watch', 'revoked')
if held[2] == 'active' and (held[1] or '') == ARGV[n - 2] then
	redis.call('HINCRBY', task, 'crashes', 1)
	attempt(task, ARGV[n - 1])
end
`
