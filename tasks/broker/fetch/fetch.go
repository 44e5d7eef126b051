package fetch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paidui/paidui/tasks/broker/internal/format"
)

const (
	// prefetchLimit bounds the tasks of one fetch, so that one worker does not take a burst from many idle ones.
	prefetchLimit = 64
)

// errNoLife says that Redis gives no tasks to the worker until its next beat.
var errNoLife = errors.New("the worker is to beat before it gets tasks")

// fetch gets tasks from the first queue, in a random order by weight, that has any. Within one server that is a single
// call; on a Redis Cluster it is one a queue. It returns nil if there are none.
func (f *Fetcher) fetch(ctx context.Context, limit int) (*batch, error) {
	epoch := f.prefetched.now()
	order := f.order()
	step := len(order)
	if f.b.Clustered() {
		step = 1
	}
	for some := range slices.Chunk(order, step) {
		b, err := f.fetchFrom(ctx, some, limit, epoch)
		if b != nil || err != nil {
			return b, err
		}
	}
	f.lastFetch.Store(time.Now().UnixNano())
	return nil, nil
}

func (f *Fetcher) fetchFrom(ctx context.Context, queues []string, limit int, epoch uint64) (*batch, error) {
	token, began := f.deliveries.token(), time.Now().UnixMilli()
	normal, low := f.share.next(limit)
	keys := make([]string, 0, 8*len(queues))
	args := make([]any, 0, 8+len(queues))
	args = append(args, f.life.name, limit, token, f.b.WakeUps(), began, normal, low, int(format.LeaseTime.Seconds()))
	for _, q := range queues {
		keys = append(keys, format.PendingKey(q), format.PausedKey(q), format.ActiveKey(q), format.LeaseKey(q), format.WakeKey(q), format.HighKey(q), format.LowKey(q), format.LivesKey(q))
		args = append(args, format.TaskKeyPrefix(q))
	}
	answer, err := fetchScript.Run(ctx, f.b.Redis(), keys, args...).Result()
	if err == redis.Nil {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	reply, ok := answer.([]any)
	if !ok || len(reply) == 0 {
		f.life.doubt()
		return nil, errNoLife
	}
	at, ok := reply[0].(int64)
	if !ok || at < 1 || int(at) > len(queues) || len(reply)%3 != 1 {
		return nil, fmt.Errorf("unexpected reply of the fetch script: %v", reply)
	}
	queue := queues[at-1]
	prefix := format.TaskKeyPrefix(queue)
	tasks := make([]fetched, 0, len(reply)/3)
	for i := 1; i < len(reply); i += 3 {
		id, _ := reply[i].(string)
		message, _ := reply[i+1].(string)
		note, _ := reply[i+2].(string)
		t := fetched{queue: queue, key: prefix + id, id: id, message: message, token: token, began: began}
		t.read(note)
		tasks = append(tasks, t)
	}
	f.share.count(len(tasks))
	f.lastFetch.Store(time.Now().UnixNano())
	b := &batch{queue: queue, tasks: tasks, full: len(tasks) == limit}
	if f.prefetched.put(b, epoch) {
		f.returnFetched(tasks)
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
	now := f.served.Load()
	if len(now.queues) == 1 {
		return now.queues
	}
	type drawn struct {
		queue string
		at    float64
	}
	draws := make([]drawn, len(now.queues))
	for i, q := range now.queues {
		draws[i] = drawn{q, rand.ExpFloat64() / float64(max(now.weights[q], 1))}
	}
	slices.SortFunc(draws, func(a, b drawn) int { return cmp.Compare(a.at, b.at) })
	order := make([]string, len(draws))
	for i, d := range draws {
		order[i] = d.queue
	}
	return order
}

var fetchScript = format.Script("fetch/fetch.lua")
