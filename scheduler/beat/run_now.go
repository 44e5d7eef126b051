package beat

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/outbox"
	"github.com/paidui/paidui/tasks/schedule"
	"github.com/paidui/paidui/tasks/ticks"
)

// requestsEvery is how often a scheduler looks for requests to run an entry now.
const requestsEvery = 500 * time.Millisecond

// serveRequests runs entries when operators ask for it, until ctx ends.
func (b *Beat) serveRequests(ctx context.Context, s *Schedule, secret []byte) {
	defer b.outage.forget(requests)
	for b.clock.Sleep(ctx, requestsEvery) == nil {
		asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), tickTimeout)
		list, err := b.store.Requests(asking)
		for _, request := range list {
			err = errors.Join(err, b.serveRequest(asking, s, secret, request))
		}
		cancel()
		if err != nil {
			b.outage.failed(requests, err)
		} else {
			b.outage.answered(requests)
		}
	}
}

// requests is the part of the outage that runs by hand are. No entry has this name.
const requests = "(run now)"

// serveRequest enqueues the task of a request under an id that is made of it. A scheduler that dies on the way leaves the request
// to the next one, which finds the task.
func (b *Beat) serveRequest(ctx context.Context, s *Schedule, secret []byte, request ticks.RunRequest) error {
	mine, err := b.store.TakeRun(ctx, s.Hash(), request)
	if err != nil || !mine {
		return err
	}
	if b.testHook.step("taken") != nil {
		return nil
	}
	e, ok := s.Find(request.Entry)
	if !ok {
		return b.store.AnswerRun(ctx, request, ticks.RunAnswer{Unknown: true})
	}
	id, err := b.enqueueNow(ctx, e, runID(secret, request))
	answer := ticks.RunAnswer{TaskID: id}
	var wrongOption *tasks.OptionError
	var wrongArgs *tasks.ArgsError
	switch {
	case err == nil:
		b.opt.Logger.Info("enqueued a task by hand", "schedule", e.Name, "task", e.Task.Name(), "task_id", id)
	case errors.Is(err, tasks.ErrDuplicate):
		answer.Duplicate = id != runID(secret, request)
	case errors.Is(err, tasks.ErrQueueFull):
		answer = ticks.RunAnswer{Full: true}
	case errors.As(err, &wrongOption), errors.As(err, &wrongArgs):
		answer = ticks.RunAnswer{Refused: err.Error()}
	default:
		return fmt.Errorf("schedule %s: %w", e.Name, err)
	}
	if b.testHook.step("run") != nil {
		return nil
	}
	return b.store.AnswerRun(ctx, request, answer)
}

func (b *Beat) enqueueNow(ctx context.Context, e schedule.Entry, id string) (string, error) {
	now := b.clock.Now()
	next := e.Rule.Next(now)
	kept := retention(spacing(now, next))
	options := slices.Concat(e.Options.List, []tasks.Option{
		tasks.ID(id), tasks.Queue(e.Queue), tasks.Retention(max(kept, e.Options.Retention)),
	})
	if !e.Options.Durable {
		return e.Task.EnqueueJSON(ctx, b.opt.Client, e.Args, options...)
	}
	call, err := e.Task.SignatureJSON(e.Args, options...)
	if err != nil {
		return "", err
	}
	err = b.ledger().Put(ctx, func(tx *gorm.DB) error {
		_, err := call.EnqueueTx(ctx, outbox.Tx(tx))
		if errors.Is(err, tasks.ErrDuplicate) {
			return nil
		}
		return err
	})
	return id, err
}

// runID is made of the entry and the request, and as hard to guess as the id of a tick.
func runID(secret []byte, request ticks.RunRequest) string {
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "%s@run %s", request.Entry, request.ID)
	return request.Entry + "@run-" + hex.EncodeToString(mac.Sum(nil)[:12])
}
