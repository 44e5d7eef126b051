package tasks

import (
	"context"
	"encoding/json"
	"fmt"
)

// Result is the handle of one task. It is safe for concurrent use.
type Result[R any] struct {
	client *Client
	id     string
}

// ID is the task's.
func (r *Result[R]) ID() string { return r.id }

// State asks where the task stands, or returns ErrNotFound.
func (r *Result[R]) State(ctx context.Context) (State, error) {
	info, err := r.client.Info(ctx, r.id)
	if err != nil {
		return "", err
	}
	return info.State, nil
}

// Get waits for the task to end and returns its result; a *FailureError, ErrRevoked or ErrNotFound when there is none;
// or ctx's error when that ends first.
func (r *Result[R]) Get(ctx context.Context) (R, error) {
	info, err := r.client.Wait(ctx, r.id)
	if err != nil {
		var zero R
		return zero, err
	}
	return decodeResult[R](info)
}

// Peek is Get without waiting: a task that has not ended gives ErrNotReady.
func (r *Result[R]) Peek(ctx context.Context) (R, error) {
	info, err := r.client.Info(ctx, r.id)
	if err != nil {
		var zero R
		return zero, err
	}
	return decodeResult[R](info)
}

func decodeResult[R any](info *Info) (R, error) {
	var value R
	switch info.State {
	case StateSuccess:
		if len(info.Result) == 0 {
			if info.Withheld != "" {
				return value, fmt.Errorf("task %s: %w: %s", info.ID, ErrWithheld, info.Withheld)
			}
			return value, nil
		}
		if err := json.Unmarshal(info.Result, &value); err != nil {
			return value, fmt.Errorf("task %s: decode result: %w", info.ID, err)
		}
		return value, nil
	case StateFailure:
		return value, &FailureError{ID: info.ID, Msg: info.Error}
	case StateRevoked:
		return value, fmt.Errorf("task %s: %w: %s", info.ID, ErrRevoked, info.Error)
	default:
		return value, fmt.Errorf("task %s is %s: %w", info.ID, info.State, ErrNotReady)
	}
}
