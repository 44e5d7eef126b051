package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/tasks/broker/internal/format"
)

// presence is how long ago a worker's last beat may be for it to count as there: longer than a life, so that a Redis
// that was away does not make all workers seem gone until each has beaten again.
const presence = 2 * format.StandardLife

// Service is whether somebody runs a task.
type Service int

// The answers of Broker.Service.
const (
	Served    Service = iota // somebody does, or it can't be told
	NoWorker                 // no living worker takes from the queue
	NoHandler                // those that take from the queue have no handler for the task
)

// Service tells whether a living worker takes from the queue and has a handler for the task. Workers of this process
// count from AddWorker on. Those that don't tell what they can run, as other programs' and earlier builds', can run
// everything.
func (b *Broker) Service(ctx context.Context, queue, task string) (Service, error) {
	here := false
	for _, f := range b.workers.here() {
		if _, takes := f.Queues[queue]; !takes {
			continue
		}
		if f.Tasks == nil || slices.Contains(f.Tasks, task) {
			return Served, nil
		}
		here = true
	}
	lives, err := presentScript.Run(ctx, b.rdb, []string{format.LivesKey(queue)}, presence.Milliseconds()).StringSlice()
	if err != nil {
		return Served, fmt.Errorf("list the workers of queue %s: %w", queue, err)
	}
	records, err := b.workerRecords(ctx, lives)
	if err != nil {
		return Served, err
	}
	for _, r := range records {
		if r == nil || r.takes(queue) && slices.Contains(r.Tasks, task) {
			return Served, nil
		}
	}
	// Each of our workers is a server of asynq's, too. Others have no life.
	servers, err := b.asynqServers(ctx, queue)
	switch {
	case err != nil || servers > len(lives):
		return Served, err
	case len(lives) == 0 && !here:
		return NoWorker, nil
	}
	return NoHandler, nil
}

// knownRecord is a record and when it was read.
type knownRecord struct {
	format.WorkerRecord
	read time.Time
}

// takes tells whether the worker takes tasks from the queue: it may have left it, or drain.
func (r *knownRecord) takes(queue string) bool {
	_, has := r.Queues[queue]
	return has && r.Phase != format.PhaseDraining
}

// believeRecord is how long a record that was read is believed: commands change queues.
const believeRecord = 5 * time.Second

// workerRecords are those of lives, nil for a life without one.
func (b *Broker) workerRecords(ctx context.Context, lives []string) ([]*knownRecord, error) {
	records := b.workers.read(lives)
	pipe := b.rdb.Pipeline()
	asked := make(map[int]*redis.StringCmd)
	for i, life := range lives {
		if records[i] == nil {
			asked[i] = pipe.Get(ctx, format.WorkerKey(life))
		}
	}
	if len(asked) == 0 {
		return records, nil
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("read the records of workers: %w", err)
	}
	for i, get := range asked {
		text, err := get.Bytes()
		if err != nil {
			continue
		}
		r := knownRecord{read: time.Now()}
		if err := json.Unmarshal(text, &r.WorkerRecord); err != nil {
			b.logger.DebugContext(ctx, "the record of a worker can't be read", "worker", format.WorkerOf(lives[i]), "error", err)
			continue
		}
		records[i] = &r
		b.workers.keep(lives[i], &r)
	}
	return records, nil
}

const (
	// asynqServersKey is asynq's sorted set of the keys of its servers' records, by when each expires unless it is renewed
	// (Unix time, by the server's clock). asynq renews them every 5 s for 10 s.
	asynqServersKey = "asynq:servers"
	// clockMargin is how far clocks may be apart.
	clockMargin = 5 * time.Minute
	// fieldServerQueues is the map from queues to weights in asynq v0.26's ServerInfo, a protocol buffer.
	fieldServerQueues = 5
)

// asynqServers counts the servers of asynq's that take from the queue.
func (b *Broker) asynqServers(ctx context.Context, queue string) (n int, err error) {
	since := strconv.FormatInt(time.Now().Add(-clockMargin).Unix(), 10)
	keys, err := b.rdb.ZRangeByScore(ctx, asynqServersKey, &redis.ZRangeBy{Min: since, Max: "+inf"}).Result()
	if err != nil {
		return 0, fmt.Errorf("list the servers of asynq: %w", err)
	}
	pipe := b.rdb.Pipeline()
	found := make([]*redis.StringCmd, len(keys))
	for i, key := range keys {
		found[i] = pipe.Get(ctx, key)
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return 0, fmt.Errorf("read the servers of asynq: %w", err)
	}
	for _, get := range found {
		if text, err := get.Bytes(); err == nil && serverTakes(text, queue) {
			n++
		}
	}
	return n, nil
}

// serverTakes tells whether a ServerInfo names the queue.
func serverTakes(info []byte, queue string) bool {
	for len(info) > 0 {
		field, kind, n := protowire.ConsumeTag(info)
		if n < 0 {
			return false
		}
		info = info[n:]
		if n = protowire.ConsumeFieldValue(field, kind, info); n < 0 {
			return false
		}
		if field == fieldServerQueues && kind == protowire.BytesType {
			pair, _ := protowire.ConsumeBytes(info)
			if name, _ := format.DecodePair(pair); name == queue {
				return true
			}
		}
		info = info[n:]
	}
	return false
}

var presentScript = format.Script("workers_present.lua")

// LocalWorker is what a worker of this process takes.
type LocalWorker struct {
	Queues map[string]int // weight by queue
	Tasks  []string       // names of those that it has handlers for; nil is that it does not tell
}

// AddWorker has Service know a worker of this process, until RemoveWorker.
func (b *Broker) AddWorker(w *LocalWorker) { b.workers.add(w) }

// RemoveWorker has Service forget a worker of this process.
func (b *Broker) RemoveWorker(w *LocalWorker) { b.workers.remove(w) }

// workers are what a process knows of workers: its own, and the records that it has read. The zero value is ready.
type workers struct {
	mu      sync.Mutex
	own     []*LocalWorker
	records map[string]*knownRecord // by life
}

// maxRecords bounds the records that are kept. Those of ended lives are among them.
const maxRecords = 4096

func (r *workers) here() []*LocalWorker {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.own)
}

func (r *workers) add(w *LocalWorker) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.own = append(r.own, w)
}

func (r *workers) remove(w *LocalWorker) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.own = slices.DeleteFunc(r.own, func(one *LocalWorker) bool { return one == w })
}

func (r *workers) read(lives []string) []*knownRecord {
	r.mu.Lock()
	defer r.mu.Unlock()
	records := make([]*knownRecord, len(lives))
	for i, life := range lives {
		if known := r.records[life]; known != nil && time.Since(known.read) < believeRecord {
			records[i] = known
		}
	}
	return records
}

func (r *workers) keep(life string, record *knownRecord) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.records == nil || len(r.records) >= maxRecords {
		r.records = make(map[string]*knownRecord)
	}
	r.records[life] = record
}

// Workers tells how many workers live and serve each of the queues.
func (b *Broker) Workers(ctx context.Context, queues []string) (map[string]int, error) {
	calls := make([]*redisx.Call, len(queues))
	for i, q := range queues {
		calls[i] = &redisx.Call{Script: livingScript, Keys: []string{format.LivesKey(q)}, Args: []any{format.StandardLife.Milliseconds()}}
	}
	if len(calls) == 0 {
		return nil, nil
	}
	redisx.RunScripts(ctx, b.rdb, calls)
	living := make(map[string]int, len(queues))
	for i, q := range queues {
		n, err := calls[i].Cmd.Int()
		if err != nil {
			return nil, fmt.Errorf("count the workers of queue %s: %w", q, err)
		}
		living[q] = n
	}
	return living, nil
}

var livingScript = format.Script("workers_living.lua")
