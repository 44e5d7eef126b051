package sms

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// Limits is how often codes are sent and tried. Of the first three, a zero or negative number takes its default.
//
// Who asks for codes to a number of others uses up only a part of what the number has: one address half of its day, and
// addresses from which the number logged in of late have a minute and a day of their own.
type Limits struct {
	PerMinute    int            // codes a number and minute, counted from the first; 1
	PerDay       int            // codes a number and calendar day; 10
	PerAddress   int            // codes a client address and hour, counted from the first; 20. Three times as many may be tried in vain
	PerMinuteAll int            // codes a minute in all, counted from the first; no limit when 0 or negative
	Location     *time.Location // where the calendar day begins; UTC when nil
}

func (l Limits) withDefaults() Limits {
	if l.PerMinute <= 0 {
		l.PerMinute = 1
	}
	if l.PerDay <= 0 {
		l.PerDay = 10
	}
	if l.PerAddress <= 0 {
		l.PerAddress = 20
	}
	if l.Location == nil {
		l.Location = time.UTC
	}
	return l
}

// window is one fixed window: a set of the grants made in it, which expires with it. A set, and not a counter, so
// that giving a grant back takes away that grant and no other, and so that a command which the client repeats after
// a broken connection does not count twice.
type window struct {
	scope  string
	key    string
	limit  int
	length time.Duration
}

// grant is the right to send one code, or to try one. It is taken from groups of windows; those of a group share a slot of a
// cluster.
type grant struct {
	id     string
	cache  redis.UniversalClient
	groups [][]window
}

// newGrant is for sending a code to the number. known: the number logged in from there of late.
func newGrant(cache redis.UniversalClient, l Limits, mobile string, from client, known bool, now time.Time) *grant {
	now = now.In(l.Location)
	midnight := time.Date(now.Year(), now.Month(), now.Day()+1, 0, 0, 0, 0, l.Location)
	number := "paidui:sms:{" + mobile + "}:"
	minute := window{ScopeMinute, number + "minute", l.PerMinute, time.Minute}
	day := window{ScopeDay, number + "day:" + now.Format("20060102"), l.PerDay, midnight.Sub(now)}
	ofNumber := []window{minute, day, {ScopeShare, day.key + ":" + from.network, max(l.PerDay/2, 1), day.length}}
	if known {
		minute.key += ":known"
		day.key += ":known"
		ofNumber = []window{minute, day}
	}
	groups := append(from.windows(ScopeAddress, "hour", window{limit: l.PerAddress, length: time.Hour}), ofNumber)
	if l.PerMinuteAll > 0 {
		groups = append(groups, []window{{ScopeAll, "paidui:sms:{all}:minute", l.PerMinuteAll, time.Minute}})
	}
	return &grant{id: rand.Text(), cache: cache, groups: groups}
}

// triesPerCode is how many codes an address may try in vain for each one that it may ask for.
const triesPerCode = 3

func newTry(cache redis.UniversalClient, l Limits, from client) *grant {
	return &grant{
		id: rand.Text(), cache: cache,
		groups: from.windows(ScopeTries, "tries", window{limit: triesPerCode * l.PerAddress, length: time.Hour}),
	}
}

// take claims the grant in all windows, or in none and returns a *LimitError. Groups are claimed one after the other:
// the address first, so that an address beyond its limit cannot, not even for a moment, use up a number's minute.
func (g *grant) take(ctx context.Context) error {
	for i, group := range g.groups {
		err := g.claim(ctx, group)
		if refused := (*LimitError)(nil); errors.As(err, &refused) && i > 0 {
			if err := g.giveBack(ctx); err != nil {
				return fmt.Errorf("sms: giving the allowance back: %w", err)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (g *grant) claim(ctx context.Context, windows []window) error {
	keys := make([]string, 0, len(windows))
	args := []any{g.id}
	for _, w := range windows {
		keys = append(keys, w.key)
		args = append(args, w.limit, max(w.length.Milliseconds(), 1))
	}
	answer, err := takeGrantScript.Run(ctx, g.cache, keys, args...).Int64Slice()
	if err != nil {
		return fmt.Errorf("sms: checking the limits: %w", err)
	}
	if len(answer) != 2 || answer[0] < 0 || answer[0] > int64(len(windows)) {
		return fmt.Errorf("sms: checking the limits: unexpected answer %v", answer)
	}
	if answer[0] == 0 {
		return nil
	}
	return &LimitError{
		Scope:      windows[answer[0]-1].scope,
		RetryAfter: wholeSeconds(time.Duration(answer[1]) * time.Millisecond),
	}
}

// giveBack undoes take; doing it twice, or for a grant that was refused, changes nothing.
func (g *grant) giveBack(ctx context.Context) error {
	_, err := g.cache.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, group := range g.groups {
			for _, w := range group {
				p.SRem(ctx, w.key, g.id)
			}
		}
		return nil
	})
	return err
}

// wholeSeconds rounds up, and to at least one.
func wholeSeconds(d time.Duration) time.Duration {
	return max((d+time.Second-1)/time.Second, 1) * time.Second
}
