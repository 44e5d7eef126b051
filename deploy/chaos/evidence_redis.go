package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paidui/paidui/tasks/articles"
	"github.com/paidui/paidui/tasks/banners"
	"github.com/paidui/paidui/tasks/profiles"
)

// queues is which tasks Redis has, and in which lists.
type queues struct {
	where  map[string][]string // lists by id
	leased map[string]bool
	stored map[string]bool // those that have a hash
}

// The lists of a queue whose tasks have not ended.
var openLists = []string{"pending", "high", "low", "active", "scheduled", "retry"}

// open is whether the task waits or runs.
func (q queues) open(id string) bool {
	return slices.ContainsFunc(q.where[id], func(list string) bool { return slices.Contains(openLists, list) })
}

// openIDs are all that wait or run.
func (q queues) openIDs() (ids []string) {
	for id := range q.where {
		if q.open(id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// readQueues reads all queues. It takes no snapshot: a task may move meanwhile.
func readQueues(ctx context.Context, rdb *redis.Client) (queues, error) {
	q := queues{where: make(map[string][]string), leased: make(map[string]bool), stored: make(map[string]bool)}
	names, err := rdb.SMembers(ctx, "asynq:queues").Result()
	if err != nil {
		return q, fmt.Errorf("list the queues: %w", err)
	}
	for _, name := range names {
		if err := q.read(ctx, rdb, name); err != nil {
			return q, fmt.Errorf("read queue %s: %w", name, err)
		}
	}
	return q, nil
}

func (q queues) read(ctx context.Context, rdb *redis.Client, name string) error {
	theirs, ours := "asynq:{"+name+"}:", "paidui:{"+name+"}:"
	keys, err := scan(ctx, rdb, theirs+"t:*")
	if err != nil {
		return err
	}
	for _, key := range keys {
		q.stored[strings.TrimPrefix(key, theirs+"t:")] = true
	}
	// The way that tasks go, so that none is overlooked because it moves.
	for _, list := range []string{"scheduled", "retry", "pending", "high", "low", "active", "retry", "archived", "completed"} {
		var ids []string
		var err error
		switch list {
		case "high", "low":
			ids, err = rdb.LRange(ctx, ours+list, 0, -1).Result()
		case "pending", "active":
			ids, err = rdb.LRange(ctx, theirs+list, 0, -1).Result()
		default:
			ids, err = rdb.ZRange(ctx, theirs+list, 0, -1).Result()
		}
		if err != nil {
			return err
		}
		for _, id := range ids {
			if !slices.Contains(q.where[id], list) {
				q.where[id] = append(q.where[id], list)
			}
		}
	}
	leased, err := rdb.ZRange(ctx, theirs+"lease", 0, -1).Result()
	if err != nil {
		return err
	}
	for _, id := range leased {
		q.leased[id] = true
	}
	return nil
}

// strays are the tasks that are not where they should be, and why. As tasks move while they are read, one that is found
// once may be none.
func (q queues) strays() map[string]string {
	found := make(map[string]string)
	for id := range q.stored {
		if len(q.where[id]) == 0 {
			found[id] = "is in no list"
		}
	}
	for id := range q.leased {
		if !slices.Contains(q.where[id], "active") {
			found[id] = "has a lease and is not active"
		}
	}
	for id, lists := range q.where {
		switch {
		case !q.stored[id]:
			found[id] = fmt.Sprintf("is in the lists %v and has no message", lists)
		case len(lists) > 1:
			found[id] = fmt.Sprintf("is in the lists %v", lists)
		case lists[0] == "active" && !q.leased[id]:
			found[id] = "is active without a lease"
		}
	}
	return found
}

// findStrays reads the queues until those who seem astray are found, or not found, again and again.
func findStrays(ctx context.Context, rdb *redis.Client) (all []string, err error) {
	const looks = 4
	seen := make(map[string]string)
	for i := range looks {
		q, err := readQueues(ctx, rdb)
		if err != nil {
			return nil, err
		}
		now := q.strays()
		if i == 0 {
			seen = now
		}
		for id := range seen {
			if now[id] == "" {
				delete(seen, id)
			}
		}
		if len(seen) == 0 || !pause(ctx, time.Second) {
			break
		}
	}
	for id, why := range seen {
		all = append(all, fmt.Sprintf("task %s %s", id, why))
	}
	slices.Sort(all)
	return all, nil
}

// lastTick is when the last tick of a schedule was, in seconds since 1970; 0 without any.
func lastTick(where map[string][]string, schedule string) (last int64) {
	for id := range where {
		if name, at := parseTick(id); name == schedule {
			last = max(last, at)
		}
	}
	return last
}

// parseTick reads the id of a schedule's task; the name is "" when it is none.
func parseTick(id string) (name string, at int64) {
	part := tickID.FindStringSubmatch(id)
	if part == nil {
		return "", 0
	}
	at, err := strconv.ParseInt(part[2], 10, 64)
	if err != nil {
		return "", 0
	}
	return part[1], at
}

// scan lists the keys that match a pattern.
func scan(ctx context.Context, rdb *redis.Client, pattern string) (keys []string, err error) {
	all := rdb.Scan(ctx, 0, pattern, 1000).Iterator()
	for all.Next(ctx) {
		keys = append(keys, all.Val())
	}
	return keys, all.Err()
}

// tickID is what the ids of the schedules' tasks look like.
var tickID = regexp.MustCompile(`^(tick-[a-z]+)@([0-9]+)-`)

func (e *evidence) readRedis(ctx context.Context, l *lab, b *book) (err error) {
	if e.Strays, err = findStrays(ctx, l.broker); err != nil {
		return err
	}
	q, err := readQueues(ctx, l.broker)
	if err != nil {
		return err
	}
	for id := range q.where {
		if name, _ := parseTick(id); name != "" {
			e.Ticks = append(e.Ticks, id)
		}
	}
	slices.Sort(e.Ticks)
	e.Pending, e.Admitted = make(map[int64]int), make(map[int64][]string)
	for _, s := range b.sales {
		prefix := fmt.Sprintf("paidui:{seckill:%d}:", s.GoodsID)
		pending, err := l.broker.HLen(ctx, prefix+"pending").Result()
		if err != nil {
			return fmt.Errorf("read the reservations: %w", err)
		}
		admitted, err := l.broker.HKeys(ctx, prefix+"admitted").Result()
		if err != nil {
			return fmt.Errorf("read who was admitted: %w", err)
		}
		slices.Sort(admitted)
		e.Pending[s.GoodsID], e.Admitted[s.GoodsID] = int(pending), admitted
	}
	return e.readCaches(ctx, l)
}

// readCaches reads the cached values of all rows. What is not cached is not in it.
func (e *evidence) readCaches(ctx context.Context, l *lab) error {
	keys := []string{banners.Key}
	for _, u := range e.Users {
		keys = append(keys, profiles.Key(u.ID))
	}
	for _, a := range e.Articles {
		keys = append(keys, articles.Key(a.ID))
	}
	e.Cached = make(map[string]string)
	for _, key := range keys {
		value, err := l.cache.Get(ctx, key).Result()
		switch {
		case errors.Is(err, redis.Nil):
		case err != nil:
			return fmt.Errorf("read the cache: %w", err)
		default:
			e.Cached[key] = value
		}
	}
	return nil
}
