package broker

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/tasks/broker/internal/format"
)

// RerunOutcome is what became of a task that was to run again.
type RerunOutcome int

// The outcomes of Rerun.
const (
	NoTask    RerunOutcome = iota // there is no such task
	Fresh                         // it had failed or been revoked, and waits as if it were new
	Sooner                        // it waited for its time or its next attempt, and does no more
	Waiting                       // it waits for a worker already
	Started                       // a worker runs it
	Succeeded                     // it has succeeded
)

// Judge decides whether a task may run again. It returns the headers that the next run is to have besides, or instead.
// With fresh the task has ended; one that has not keeps its headers.
type Judge func(task *StoredTask, fresh bool) ([]Header, error)

// Rerun lets a task run again that has failed or was revoked: it goes behind those of its priority that wait already, as
// if it were new, with all its retries; its attempts are kept. It gets back its tags, but not the uniqueness that it may
// have had. A task that waits for its time, or for its next attempt, goes there too. An error of judge is returned as it
// is, and leaves the task alone.
func (b *Broker) Rerun(ctx context.Context, queue, id string, judge Judge) (RerunOutcome, error) {
	r := rerunner{b: b, queue: queue, judge: judge, command: newCommand()}
	one := &rerun{id: id}
	for {
		if err := r.read(ctx, one); err != nil {
			return NoTask, fmt.Errorf("read task %s: %w", id, err)
		}
		if one.err != nil {
			return NoTask, one.err
		}
		if err := r.rerun(ctx, one); err != nil {
			return NoTask, fmt.Errorf("run task %s again: %w", id, err)
		}
		if !one.changed {
			return one.outcome, nil
		}
	}
}

// rerunBatch bounds the tasks of one script: about a millisecond.
const rerunBatch = 100

// RerunDead is Rerun for every task of the queue that has failed and is a dead letter as the call begins, the oldest
// first. It returns how many wait again, also together with an error. Those that judge refuses stay. revived, unless nil, is
// called with tasks that were just put back, as they were before. Several callers at once share the work.
func (b *Broker) RerunDead(ctx context.Context, queue string, judge Judge, revived func([]*StoredTask)) (n int, err error) {
	r := rerunner{b: b, queue: queue, judge: judge, command: newCommand()}
	dead, err := b.rdb.ZRangeByScoreWithScores(ctx, format.ArchivedKey(queue), &redis.ZRangeBy{
		Min: "-inf", Max: strconv.FormatInt(time.Now().Unix(), 10),
	}).Result()
	if err != nil {
		return 0, fmt.Errorf("list the dead letters of queue %s: %w", queue, err)
	}
	for some := range slices.Chunk(dead, rerunBatch) {
		batch := make([]*rerun, len(some))
		for i, z := range some {
			id, _ := z.Member.(string)
			batch[i] = &rerun{id: id, since: strconv.FormatFloat(z.Score, 'f', -1, 64)}
		}
		if err := r.read(ctx, batch...); err != nil {
			return n, fmt.Errorf("read dead letters of queue %s: %w", queue, err)
		}
		batch = slices.DeleteFunc(batch, func(one *rerun) bool { return one.err != nil || one.task == nil || one.task.State != "archived" })
		if err := r.rerun(ctx, batch...); err != nil {
			return n, fmt.Errorf("run dead letters of queue %s again: %w", queue, err)
		}
		var waiting []*StoredTask
		for _, one := range batch {
			if one.outcome == Fresh {
				waiting = append(waiting, one.task)
			}
		}
		n += len(waiting)
		if revived != nil && len(waiting) > 0 {
			revived(waiting)
		}
	}
	return n, nil
}

// rerunner runs tasks of one queue again.
type rerunner struct {
	b       *Broker
	queue   string
	judge   Judge
	command string // see newCommand
}

// rerun is one task on its way to run again.
type rerun struct {
	id    string
	since string // when it became a dead letter: only that one is meant. "" is any

	task    *StoredTask // nil without one
	message []byte      // as stored
	suffix  []byte      // what the message gets when the task is fresh
	err     error       // the judge's

	outcome RerunOutcome
	changed bool // it is another than was read
}

// read reads tasks and judges them.
func (r *rerunner) read(ctx context.Context, list ...*rerun) error {
	refs := make([]Ref, len(list))
	for i, one := range list {
		refs[i] = Ref{r.queue, one.id}
	}
	calls, of := r.b.lookups(refs, findScript, findBatch)
	redisx.RunScripts(ctx, r.b.rdb, calls)
	for i, c := range calls {
		replies, err := c.Cmd.Slice()
		if err != nil {
			return err
		}
		for n, at := range of[i] {
			one := list[at]
			one.task, one.message, one.suffix, one.err = newStoredTask(refs[at], replies[n]), nil, nil, nil
			if one.task == nil {
				continue
			}
			if fields, _ := replies[n].([]any); len(fields) > 0 {
				message, _ := fields[0].(string)
				one.message = []byte(message)
			}
			one.suffix, one.err = r.fresh(one.task)
		}
	}
	return nil
}

// fresh is what a message gets to be a new run's: later fields replace earlier ones. It is nil for a task that has not
// ended.
func (r *rerunner) fresh(task *StoredTask) (suffix []byte, err error) {
	ended := task.State == "archived" || task.IsRevoked
	switch task.State {
	case "active":
		return nil, nil // the script says what is wrong
	case "pending", "scheduled", "retry", "archived":
	case "completed":
		if !strings.HasPrefix(string(task.Result), RevokedPrefix) {
			return nil, nil
		}
		ended = true
	}
	headers, err := r.judge(task, ended)
	if err != nil || !ended {
		return nil, err
	}
	for _, field := range []protowire.Number{format.FieldRetried, format.FieldFailedAt, format.FieldCompletedAt} {
		suffix = protowire.AppendVarint(protowire.AppendTag(suffix, field, protowire.VarintType), 0)
	}
	suffix = protowire.AppendString(protowire.AppendTag(suffix, format.FieldError, protowire.BytesType), "")
	for _, h := range headers {
		suffix = format.AppendHeader(suffix, h)
	}
	return suffix, nil
}

var errRerunReply = errors.New("unexpected reply of the rerun script")

// rerun sends one script.
func (r *rerunner) rerun(ctx context.Context, list ...*rerun) error {
	if len(list) == 0 {
		return nil
	}
	q := r.queue
	keys := []string{
		format.PendingKey(q), format.HighKey(q), format.LowKey(q), format.WakeKey(q), format.ScheduledKey(q), format.RetryKey(q), format.ArchivedKey(q), format.CompletedKey(q),
	}
	args := []any{format.OwnPrefix(q), time.Now().UnixNano(), r.b.WakeUps(), r.command}
	for _, one := range list {
		sum := sha1.Sum(one.message)
		keys = append(keys, format.TaskKey(q, one.id))
		args = append(args, one.id, hex.EncodeToString(sum[:]), one.suffix, one.since)
	}
	reply, err := rerunScript.Run(ctx, r.b.rdb, keys, args...).StringSlice()
	if err != nil {
		return err
	}
	if len(reply) != len(list) {
		return fmt.Errorf("%w: %d answers for %d tasks", errRerunReply, len(reply), len(list))
	}
	for i, one := range list {
		if err := one.receive(reply[i]); err != nil {
			return err
		}
	}
	return nil
}

func (r *rerun) receive(word string) error {
	r.changed = false
	switch word {
	case "absent":
		r.outcome = NoTask
	case "fresh":
		r.outcome = Fresh
	case "sooner":
		r.outcome = Sooner
	case "pending":
		r.outcome = Waiting
	case "active":
		r.outcome = Started
	case "completed":
		r.outcome = Succeeded
	case "changed":
		r.outcome, r.changed = NoTask, true
	default:
		return fmt.Errorf("%w: task %s is %q", errRerunReply, r.id, word)
	}
	return nil
}

var rerunScript = format.Script("dead_letters_rerun.lua")
