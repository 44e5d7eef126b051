package seckill

import (
	"fmt"
	"strconv"
	"time"

	"github.com/paidui/paidui/tasks/broker"
)

// admitResult is the first word of the gate's reply.
type admitResult string

const (
	admitNew        admitResult = "new"
	admitAgain      admitResult = "again"
	admitLoad       admitResult = "load"
	admitUnknown    admitResult = "unknown"
	admitSoldOut    admitResult = "sold_out"
	admitNotStarted admitResult = "not_started"
	admitEnded      admitResult = "ended"
)

type admission struct {
	result   admitResult
	taskID   string    // of new and again
	pending  bool      // of new and again: no order is known yet
	startsAt time.Time // of not_started and ended
	endsAt   time.Time
}

// gate lets the task be made if the user can be let in, and reserves a piece for him under the task's id.
func (l ledger) gate(userID, goodsID int64, taskID string) broker.Gate {
	return broker.Gate{
		Script: admitGate,
		Keys:   keys(goodsID),
		Args:   []any{userID, taskID, l.grace.Milliseconds()},
	}
}

func parseAdmission(answer any) (admission, error) {
	reply, _ := answer.([]any)
	if len(reply) == 0 {
		return admission{}, badAdmission(answer)
	}
	word, _ := reply[0].(string)
	a := admission{result: admitResult(word)}
	switch a.result {
	case admitLoad, admitUnknown, admitSoldOut:
		return a, nil
	}
	if len(reply) != 3 {
		return admission{}, badAdmission(answer)
	}
	first, _ := reply[1].(string)
	switch a.result {
	case admitNew, admitAgain:
		pending, ok := reply[2].(int64)
		if !ok || first == "" {
			return admission{}, badAdmission(answer)
		}
		a.taskID, a.pending = first, pending == 1
	case admitNotStarted, admitEnded:
		second, _ := reply[2].(string)
		starts, err1 := strconv.ParseInt(first, 10, 64)
		ends, err2 := strconv.ParseInt(second, 10, 64)
		if err1 != nil || err2 != nil {
			return admission{}, badAdmission(answer)
		}
		a.startsAt, a.endsAt = time.UnixMilli(starts).UTC(), time.UnixMilli(ends).UTC()
	default:
		return admission{}, badAdmission(answer)
	}
	return a, nil
}

func badAdmission(answer any) error { return fmt.Errorf("unexpected reply %v", answer) }
