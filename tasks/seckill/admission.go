package seckill

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// verdict is admitScript's first word.
type verdict string

const (
	admitNew        verdict = "new"
	admitAgain      verdict = "again"
	admitLoad       verdict = "load"
	admitUnknown    verdict = "unknown"
	admitSoldOut    verdict = "sold_out"
	admitNotStarted verdict = "not_started"
	admitEnded      verdict = "ended"
)

type admission struct {
	verdict  verdict
	taskID   string    // of new and again
	pending  bool      // of new and again: no order is known yet
	startsAt time.Time // of not_started and ended
	endsAt   time.Time
}

// admit reserves a piece for the user under the task's id, or says why not.
func (l ledger) admit(ctx context.Context, userID, goodsID int64, taskID string) (admission, error) {
	reply, err := admitScript.Run(ctx, l.rdb, keys(goodsID), userID, taskID, l.grace.Milliseconds()).Slice()
	if err != nil {
		return admission{}, fmt.Errorf("admit user %d to goods %d: %w", userID, goodsID, err)
	}
	a, err := parseAdmission(reply)
	if err != nil {
		return admission{}, fmt.Errorf("admit user %d to goods %d: %w", userID, goodsID, err)
	}
	return a, nil
}

func parseAdmission(reply []any) (admission, error) {
	bad := fmt.Errorf("unexpected reply %v", reply)
	if len(reply) == 0 {
		return admission{}, bad
	}
	word, _ := reply[0].(string)
	a := admission{verdict: verdict(word)}
	switch a.verdict {
	case admitLoad, admitUnknown, admitSoldOut:
		return a, nil
	}
	if len(reply) != 3 {
		return admission{}, bad
	}
	first, _ := reply[1].(string)
	switch a.verdict {
	case admitNew, admitAgain:
		pending, ok := reply[2].(int64)
		if !ok || first == "" {
			return admission{}, bad
		}
		a.taskID, a.pending = first, pending == 1
	case admitNotStarted, admitEnded:
		second, _ := reply[2].(string)
		starts, err1 := strconv.ParseInt(first, 10, 64)
		ends, err2 := strconv.ParseInt(second, 10, 64)
		if err1 != nil || err2 != nil {
			return admission{}, bad
		}
		a.startsAt, a.endsAt = time.UnixMilli(starts).UTC(), time.UnixMilli(ends).UTC()
	default:
		return admission{}, bad
	}
	return a, nil
}
