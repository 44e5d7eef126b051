package main

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/hibiken/asynq"
)

// plain is asynq with its defaults but for the number of slots.
type plain struct {
	kind      taskKind
	redis     asynq.RedisConnOpt
	client    *asynq.Client
	inspector *asynq.Inspector
}

func openPlain(_ context.Context, l *lab, db int, kind taskKind) (queue, error) {
	redis, err := asynq.ParseRedisURI(l.redisURL(db))
	if err != nil {
		return nil, err
	}
	return &plain{kind: kind, redis: redis, client: asynq.NewClient(redis), inspector: asynq.NewInspector(redis)}, nil
}

func (p *plain) enqueue(ctx context.Context, n int, due time.Time) error {
	payload, err := json.Marshal(args{n})
	if err != nil {
		return err
	}
	var opts []asynq.Option
	if p.kind == withResult {
		opts = append(opts, asynq.Retention(time.Hour))
	}
	if !due.IsZero() {
		opts = append(opts, asynq.ProcessAt(due))
	}
	_, err = p.client.EnqueueContext(ctx, asynq.NewTask("bench.noop", payload, opts...))
	return err
}

func (p *plain) serve(handle func(n int)) (stop func() error, err error) {
	return p.serveQueues(map[string]int{"default": 1}, handle)
}

func (p *plain) serveQueues(queues map[string]int, handle func(n int)) (stop func() error, err error) {
	server := asynq.NewServer(p.redis, asynq.Config{Concurrency: slots, Queues: queues, LogLevel: asynq.WarnLevel})
	handler := asynq.HandlerFunc(func(_ context.Context, t *asynq.Task) error {
		var a args
		if err := json.Unmarshal(t.Payload(), &a); err != nil {
			return err
		}
		handle(a.N)
		if p.kind == withoutResult {
			return nil
		}
		_, err := t.ResultWriter().Write([]byte(strconv.Itoa(a.N)))
		return err
	})
	if err := server.Start(handler); err != nil {
		return nil, err
	}
	return func() error {
		server.Shutdown()
		return nil
	}, nil
}

func (p *plain) left() (int, error) { return left(p.inspector) }

func (p *plain) close() error { return errors.Join(p.client.Close(), p.inspector.Close()) }
