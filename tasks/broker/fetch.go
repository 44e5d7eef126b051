package broker

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// leaseTime is asynq's: how long a task is this worker's without a sign of life.
	leaseTime = 30 * time.Second
	// prefetchLimit bounds the tasks of one fetch, so that one worker does not take a burst from many idle ones.
	prefetchLimit = 64
)

// fetch gets tasks from the first queue, in a random order by weight, that has any. Within one server that is a single
// call; on a Redis Cluster it is one a queue. It returns nil if there are none.
func (f *Fetcher) fetch(ctx context.Context, limit int) (*batch, error) {
	order := f.order()
	step := len(order)
	if f.b.cluster {
		step = 1
	}
	for some := range slices.Chunk(order, step) {
		b, err := f.fetchFrom(ctx, some, limit)
		if b != nil || err != nil {
			return b, err
		}
	}
	f.lastFetch.Store(time.Now().UnixNano())
	return nil, nil
}

func (f *Fetcher) fetchFrom(ctx context.Context, queues []string, limit int) (*batch, error) {
	token, now := f.deliveries.token(), time.Now()
	normal, low := f.turns.next(limit)
	keys := make([]string, 0, 7*len(queues))
	args := make([]any, 0, 7+len(queues))
	args = append(args, now.Add(leaseTime).Unix(), limit, token, f.b.wakeUps(), now.UnixMilli(), normal, low)
	for _, q := range queues {
		keys = append(keys, pendingKey(q), pausedKey(q), activeKey(q), leaseKey(q), wakeKey(q), highKey(q), lowKey(q))
		args = append(args, taskKeyPrefix(q))
	}
	reply, err := fetchScript.Run(ctx, f.b.rdb, keys, args...).Slice()
	if err == redis.Nil {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	at, ok := reply[0].(int64)
	if !ok || at < 1 || int(at) > len(queues) || len(reply)%3 != 1 {
		return nil, fmt.Errorf("unexpected reply of the fetch script: %v", reply)
	}
	queue := queues[at-1]
	prefix := taskKeyPrefix(queue)
	tasks := make([]fetched, 0, len(reply)/3)
	for i := 1; i < len(reply); i += 3 {
		id, _ := reply[i].(string)
		message, _ := reply[i+1].(string)
		note, _ := reply[i+2].(string)
		t := fetched{queue: queue, key: prefix + id, id: id, message: message, token: token, began: now.UnixMilli()}
		t.read(note)
		tasks = append(tasks, t)
	}
	f.turns.count(len(tasks))
	f.lastFetch.Store(time.Now().UnixNano())
	b := &batch{queue: queue, tasks: tasks, at: time.Now(), full: len(tasks) == limit}
	if f.prefetched.put(b) {
		f.putBack(tasks)
	}
	return b, nil
}

// read takes over what the fetch script notes about an unusual task: the number of its crashes and, if it is revoked, a
// space and the reason.
func (t *fetched) read(note string) {
	if note == "" {
		return
	}
	crashes, reason, revoked := strings.Cut(note, " ")
	t.crashes, _ = strconv.Atoi(crashes) // the script wrote it
	t.revoked, t.isRevoked = reason, revoked
}

// order draws the queues by weight without replacement (Efraimidis and Spirakis, 2006).
func (f *Fetcher) order() []string {
	if len(f.queues) == 1 {
		return f.queues
	}
	type drawn struct {
		queue string
		at    float64
	}
	draws := make([]drawn, len(f.queues))
	for i, q := range f.queues {
		draws[i] = drawn{q, rand.ExpFloat64() / float64(max(f.cfg.Queues[q], 1))}
	}
	slices.SortFunc(draws, func(a, b drawn) int { return cmp.Compare(a.at, b.at) })
	order := make([]string, len(draws))
	for i, d := range draws {
		order[i] = d.queue
	}
	return order
}
