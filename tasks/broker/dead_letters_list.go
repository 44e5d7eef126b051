package broker

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/paidui/paidui/tasks/broker/internal/format"
)

// ErrCursor says that a cursor is not one that was given out.
var ErrCursor = errors.New("not a cursor")

const (
	// deadSpare is how many dead letters are read beyond a page, for those of the cursor's second that are on the pages
	// before.
	deadSpare = 100
	// deadLimit is more than the dead letters that asynq keeps in a queue.
	deadLimit = 20_000
)

// Dead lists the tasks of a queue that have failed, the latest first, limit at most. It begins behind the cursor that the
// page before gave; "" is the first page, and next is "" on the last. Tasks that go meanwhile do not shift the pages. A
// made-up cursor gives ErrCursor.
func (b *Broker) Dead(ctx context.Context, queue, cursor string, limit int) (page []*StoredTask, next string, err error) {
	from := position{score: "+inf"}
	if cursor != "" {
		if from, err = readPosition(cursor); err != nil {
			return nil, "", err
		}
	}
	list, err := b.deadFrom(ctx, queue, from, limit+1)
	if err != nil {
		return nil, "", fmt.Errorf("list the dead letters of queue %s: %w", queue, err)
	}
	if len(list) > limit {
		list = list[:limit]
		next = list[limit-1].String()
	}
	refs := make([]Ref, len(list))
	for i, p := range list {
		refs[i] = Ref{queue, p.id}
	}
	page, err = b.FindMany(ctx, refs)
	if err != nil {
		return nil, "", err
	}
	page = slices.DeleteFunc(page, func(r *StoredTask) bool { return r == nil || r.State != "archived" }) // it ran again just now
	return page, next, nil
}

// deadFrom lists the positions behind one.
func (b *Broker) deadFrom(ctx context.Context, queue string, from position, limit int) ([]position, error) {
	for count := limit + deadSpare; ; count = deadLimit {
		found, err := b.rdb.ZRevRangeByScoreWithScores(ctx, format.ArchivedKey(queue), &redis.ZRangeBy{
			Min: "-inf", Max: from.score, Count: int64(count),
		}).Result()
		if err != nil {
			return nil, err
		}
		list := make([]position, 0, limit)
		for _, z := range found {
			id, _ := z.Member.(string)
			p := position{score: strconv.FormatFloat(z.Score, 'f', -1, 64), id: id}
			if len(list) < limit && (p.score != from.score || p.id < from.id) { // equal scores are in descending order of ids
				list = append(list, p)
			}
		}
		if len(list) == limit || len(found) < count || count >= deadLimit {
			return list, nil
		}
	}
}

// position is a place in the order of dead letters.
type position struct{ score, id string }

// String is the cursor.
func (p position) String() string {
	return base64.RawURLEncoding.EncodeToString([]byte(p.score + " " + p.id))
}

func readPosition(cursor string) (position, error) {
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return position{}, fmt.Errorf("%w: %w", ErrCursor, err)
	}
	score, id, _ := strings.Cut(string(raw), " ")
	n, err := strconv.ParseInt(score, 10, 64)
	p := position{strconv.FormatInt(n, 10), id}
	if err != nil || n < 0 || id == "" || p.String() != cursor { // each position has one cursor
		return position{}, ErrCursor
	}
	return p, nil
}
