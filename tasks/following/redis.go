package following

import (
	"context"
	"errors"
	"fmt"

	"github.com/paidui/paidui/models/redisx"
	"github.com/redis/go-redis/v9"
)

// run runs a script on the primary, and gives its answer.
func (f *Followings) run(ctx context.Context, script *redisx.Script, keys []string, args ...any) (answer any, err error) {
	err = f.store.Use(ctx, func(ctx context.Context, rdb redis.UniversalClient) (err error) {
		answer, err = script.Run(ctx, rdb, keys, args...).Result()
		return err
	})
	return answer, err
}

// runBool runs a script that answers 1 or 0.
func (f *Followings) runBool(ctx context.Context, script *redisx.Script, keys []string, args ...any) (bool, error) {
	answer, err := f.run(ctx, script, keys, args...)
	return answer == int64(1), err
}

// partOf is what a script answers of a list: its state, how many entries Redis holds, and some of them.
type partOf struct {
	state   string
	n       int
	entries []Entry
}

var errAnswer = errors.New("an answer of an unknown form")

// parsePart reads {state, n, {member, score, …}}.
func parsePart(answer any) (p partOf, err error) {
	values, _ := answer.([]any)
	if len(values) != 3 {
		return p, errAnswer
	}
	state, ok1 := values[0].(string)
	n, ok2 := values[1].(int64)
	list, ok3 := values[2].([]any)
	if !ok1 || !ok2 || !ok3 || len(list)%2 != 0 {
		return p, errAnswer
	}
	p = partOf{state: state, n: int(n), entries: make([]Entry, 0, len(list)/2)}
	for i := 0; i < len(list); i += 2 {
		member, ok1 := list[i].(string)
		score, ok2 := list[i+1].(string)
		if !ok1 || !ok2 {
			return p, errAnswer
		}
		e, err := parseEntry(member, score)
		if err != nil {
			return p, fmt.Errorf("%w: %w", errPoisoned, err)
		}
		p.entries = append(p.entries, e)
	}
	return p, nil
}

// errPoisoned says that somebody else has written to a list.
var errPoisoned = errors.New("the list holds what no user is")
