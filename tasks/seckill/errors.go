package seckill

import (
	"errors"
	"fmt"
	"time"
)

// Why someone has no order, in stable words.
const (
	ReasonSoldOut      = "sold_out"
	ReasonNotStarted   = "not_started"
	ReasonEnded        = "ended"
	ReasonUnknownGoods = "unknown_goods"
	ReasonFailed       = "failed"  // the task failed for good
	ReasonRevoked      = "revoked" // the task was revoked
	ReasonBought       = "bought"  // the user has an order of the goods already
)

var (
	// ErrSoldOut says that every piece is taken or reserved. A reservation that is given back, or more stock, ends it.
	ErrSoldOut = errors.New("sold out")
	// ErrUnknownGoods says that there are no such goods.
	ErrUnknownGoods = errors.New("unknown goods")
	// ErrLoading says that the sale is still being brought into Redis: try again in a moment.
	ErrLoading = errors.New("the sale is still being loaded")
)

// NotOpenError says that the sale takes nobody now. Reason is ReasonNotStarted or ReasonEnded.
type NotOpenError struct {
	Reason   string
	StartsAt time.Time // UTC, to the millisecond
	EndsAt   time.Time
}

func (e *NotOpenError) Error() string {
	if e.Reason == ReasonNotStarted {
		return fmt.Sprintf("the sale starts at %s", e.StartsAt.Format(time.RFC3339))
	}
	return fmt.Sprintf("the sale ended at %s", e.EndsAt.Format(time.RFC3339))
}

// ReasonOf is the reason in an error of Enter, or "" when it is no answer of the business but a fault.
func ReasonOf(err error) string {
	var notOpen *NotOpenError
	switch {
	case errors.As(err, &notOpen):
		return notOpen.Reason
	case errors.Is(err, ErrSoldOut):
		return ReasonSoldOut
	case errors.Is(err, ErrUnknownGoods):
		return ReasonUnknownGoods
	}
	return ""
}
