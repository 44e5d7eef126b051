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

	"github.com/paidui/paidui/models/redisx"
	"github.com/redis/go-redis/v9"
	"google.golang.org/protobuf/encoding/protowire"
)

// workerKey is the record of the worker that has the life: a workerRecord as JSON, which expires unless a beat renews it.
// On a Redis Cluster it has a slot of its own.
func workerKey(life string) string { return "paidui:worker:" + life }

// workerRecord is what a worker tells of itself. Builds to come may add fields; a reader skips those that it does not know.
type workerRecord struct {
	Name   string         `json:"name"`
	Queues map[string]int `json:"queues"` // weight by queue
	Tasks  []string       `json:"tasks"`  // names of those that it has handlers for
}

const (
	// recordPause is how long a worker's record stays as it is before a beat renews it, and recordLife when it expires.
	recordPause = 30 * time.Second
	recordLife  = 2 * time.Minute
	// recordWait bounds the writing, and recordRetry is when it is tried again after a failure: on a Redis Cluster the
	// record's node may be down while the queues' nodes are well, and the beats must go on in their time.
	recordWait  = 200 * time.Millisecond
	recordRetry = 10 * time.Second
	// presence is how long ago a worker's last beat may be for it to count as there: longer than a life, so that a Redis
	// that was away does not make all workers seem gone until each has beaten again.
	presence = 2 * standardLife
)

// record writes the worker's record when it is due, or was lost with the data of Redis. Without one, callers learn less of
// the worker, and nothing else is worse. It belongs to beat.
func (f *Fetcher) record(ctx context.Context, known bool) {
	if f.cfg.Tasks == nil || known && time.Since(f.life.recorded) < recordPause {
		return
	}
	text, err := json.Marshal(workerRecord{f.cfg.Name, f.cfg.Queues, f.cfg.Tasks})
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, recordWait)
		defer cancel()
		err = f.b.rdb.Set(ctx, workerKey(f.life.name), text, recordLife).Err()
	}
	f.life.recorded = time.Now()
	if err != nil {
		f.life.recorded = f.life.recorded.Add(recordRetry - recordPause)
		f.b.logger.DebugContext(ctx, "what this worker can run is not written to the broker", "worker", f.cfg.Name, "error", err)
	}
}

// Service is whether somebody runs a task.
type Service int

// The answers of Broker.Service.
const (
	Served    Service = iota // somebody does, or it can't be told
	NoWorker                 // no living worker takes from the queue
	NoHandler                // those that take from the queue have no handler for the task
)

// Service tells whether a living worker takes from the queue and has a handler for the task. Workers of this process
// count from NewFetcher on. Those that don't tell what they can run, as other programs' and earlier builds', can run
// everything.
func (b *Broker) Service(ctx context.Context, queue, task string) (Service, error) {
	here := false
	for _, f := range b.roster.here() {
		if _, takes := f.cfg.Queues[queue]; !takes {
			continue
		}
		if f.runs(task) {
			return Served, nil
		}
		here = true
	}
	lives, err := presentScript.Run(ctx, b.rdb, []string{livesKey(queue)}, presence.Milliseconds()).StringSlice()
	if err != nil {
		return Served, fmt.Errorf("list the workers of queue %s: %w", queue, err)
	}
	records, err := b.workerRecords(ctx, lives)
	if err != nil {
		return Served, err
	}
	for _, r := range records {
		if r == nil || slices.Contains(r.Tasks, task) {
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

// runs tells whether the worker may have a handler for the task.
func (f *Fetcher) runs(task string) bool {
	return f.cfg.Tasks == nil || slices.Contains(f.cfg.Tasks, task)
}

// workerRecords are those of lives, nil for a life without one. A record says the same as long as its life lasts, and is
// read once.
func (b *Broker) workerRecords(ctx context.Context, lives []string) ([]*workerRecord, error) {
	records := b.roster.read(lives)
	pipe := b.rdb.Pipeline()
	asked := make(map[int]*redis.StringCmd)
	for i, life := range lives {
		if records[i] == nil {
			asked[i] = pipe.Get(ctx, workerKey(life))
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
		var r workerRecord
		if err := json.Unmarshal(text, &r); err != nil {
			b.logger.DebugContext(ctx, "the record of a worker can't be read", "worker", workerOf(lives[i]), "error", err)
			continue
		}
		records[i] = &r
		b.roster.keep(lives[i], &r)
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
			if name, _ := decodePair(pair); name == queue {
				return true
			}
		}
		info = info[n:]
	}
	return false
}

// presentScript KEYS: lives. ARGV: how long ago the last beat may be (ms). It returns the lives.
var presentScript = redisx.NewScript(luaClock + `
return redis.call('ZRANGEBYSCORE', KEYS[1], now - tonumber(ARGV[1]), '+inf')
`)

// roster is what a process knows of workers: its own, and the records that it has read. The zero roster is ready.
type roster struct {
	mu      sync.Mutex
	own     []*Fetcher
	records map[string]*workerRecord // by life
}

// maxRecords bounds the records that are kept. Those of ended lives are among them.
const maxRecords = 4096

func (r *roster) here() []*Fetcher {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.own)
}

func (r *roster) add(f *Fetcher) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.own = append(r.own, f)
}

func (r *roster) remove(f *Fetcher) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.own = slices.DeleteFunc(r.own, func(one *Fetcher) bool { return one == f })
}

func (r *roster) read(lives []string) []*workerRecord {
	r.mu.Lock()
	defer r.mu.Unlock()
	records := make([]*workerRecord, len(lives))
	for i, life := range lives {
		records[i] = r.records[life]
	}
	return records
}

func (r *roster) keep(life string, record *workerRecord) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.records == nil || len(r.records) >= maxRecords {
		r.records = make(map[string]*workerRecord)
	}
	r.records[life] = record
}
