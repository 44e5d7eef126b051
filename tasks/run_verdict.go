package tasks

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"
)

// outcome is how one attempt ended.
type outcome string

const (
	succeeded   outcome = "success"
	retrying    outcome = "retry"       // failed, and will be tried again
	snoozed     outcome = "snooze"      // is to be run again, at no cost: the handler asked for it, or its error does
	failed      outcome = "failure"     // failed for good
	revoked     outcome = "revoked"     // ended by a caller, or expired
	interrupted outcome = "interrupted" // the worker ends or has lost the task; it will run again
)

// verdict is an attempt's outcome with its values.
type verdict struct {
	outcome outcome
	result  []byte        // of a success
	err     error         // of a retry, a snooze, a failure, an interruption
	delay   time.Duration // of a retry or a snooze, until the next attempt
	reason  string        // of a revocation
	refusal refusal       // why the handler was not run; "" if it was

	encrypted *encryptedVerdict // what is stored in place of result and err; nil in the clear
}

// refusal is why an attempt ends without its handler.
type refusal string

const (
	refusedRevoked   refusal = "revoked"
	refusedExpired   refusal = "expired"
	refusedPoison    refusal = "poison" // its worker died too often
	refusedExhausted refusal = "exhausted"
	refusedUnknown   refusal = "no_handler"
	refusedCallbacks refusal = "no_client"
	refusedKey       refusal = "no_key" // its arguments are encrypted under a key that this worker lacks
	refusedForged    refusal = "forged" // they were tampered with
)

func refusals() []refusal {
	return []refusal{refusedRevoked, refusedExpired, refusedPoison, refusedExhausted, refusedUnknown, refusedCallbacks, refusedKey, refusedForged}
}

// judge makes the verdict from what a handler returned. ctx is the delivery's context.
func (a *attempt) judge(ctx context.Context, result []byte, err error) verdict {
	v := verdict{outcome: a.Task.outcome(ctx, err), err: err}
	switch v.outcome {
	case succeeded:
		v.result = result
	case revoked:
		v.err = nil
		v.reason, _ = a.isRevoked()
	case retrying, snoozed:
		v.delay = a.delay(err)
	}
	return v
}

// outcome is the outcome of an attempt that returned err. ctx is the context of the attempt or of its delivery.
func (t *Task) outcome(ctx context.Context, err error) outcome {
	if _, ok := t.run.isRevoked(); ok {
		return revoked
	}
	if err == nil {
		return succeeded
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return interrupted
	}
	if IsPermanent(err) {
		return failed
	}
	var asked *delayError
	switch {
	case errors.As(err, &asked) && asked.free, asked == nil && t.run.snoozes(err):
		return snoozed
	case t.Attempt > t.MaxRetries:
		return failed
	case asked == nil && t.run.binding != nil && !t.run.binding.retry.retries(t.run.mux.storeAway, err):
		return failed
	}
	return retrying
}

// log writes one line about the end of the attempt: at level info unless something failed.
func (a *attempt) log(ctx context.Context, v verdict) {
	level, text, state := slog.LevelInfo, "task succeeded", StateSuccess
	switch v.outcome {
	case retrying:
		level, text, state = slog.LevelWarn, "task will be retried", StateRetry
	case snoozed:
		text, state = "task snoozed", StateRetry
	case failed:
		level, text, state = slog.LevelError, "task failed", StateFailure
	case revoked:
		text, state = "task revoked", StateRevoked
	case interrupted:
		level, text, state = slog.LevelWarn, "task interrupted", ""
	}
	if !a.mux.logger.Enabled(ctx, level) {
		return
	}
	attrs := make([]any, 0, 8)
	if state != "" {
		attrs = append(attrs, slog.String("state", string(state)))
	}
	if !a.startedAt.IsZero() {
		attrs = append(attrs, milliseconds(time.Since(a.startedAt)))
	}
	switch v.outcome {
	case revoked:
		attrs = append(attrs, slog.String("reason", v.reason))
	case retrying, snoozed:
		attrs = append(attrs, slog.String("retry_in", v.delay.String()))
	}
	if v.err != nil && v.plainText() != "" {
		attrs = append(attrs, a.errorAttrs(v.err)...)
	}
	a.Logger().Log(ctx, level, text, attrs...)
}

// errorAttrs logs an error, a panic with its stack.
func (a *attempt) errorAttrs(err error) []any {
	attrs := []any{a.errorAttr(err)}
	var panicked *PanicError
	if errors.As(err, &panicked) {
		attrs = append(attrs, slog.String("stack", string(panicked.Stack)))
	}
	return attrs
}

// errorAttr logs an error that may tell of the task's values.
func (a *attempt) errorAttr(err error) slog.Attr {
	var lacks *KeyError
	if a.encrypted() && !errors.As(err, &lacks) {
		return slog.String("error", withheld(err))
	}
	return errorAttr(err)
}

// errorAttr logs an error. A part of its chain that has a log form of its own stands there in that form, so that an
// error may say to its user what the log must not hold.
func errorAttr(err error) slog.Attr {
	var private interface {
		error
		slog.LogValuer
	}
	if !errors.As(err, &private) {
		return slog.Any("error", err)
	}
	return slog.String("error", strings.ReplaceAll(err.Error(), private.Error(), private.LogValue().String()))
}
