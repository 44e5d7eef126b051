package seckill

import (
	"context"
	"fmt"
)

// soldOutVersion is what Redis shows of a sale that is sold out; the zero value shows one that is not. Nobody has been let in
// between two moments at which it is the same: whoever is let in finds a place that somebody left, a new total or a
// sale that was loaded anew, and each of them leaves its mark.
type soldOutVersion struct {
	generation string // the token of the loading that set the sale's total and times
	left       int64  // how many have left since
	admitted   int64
}

func (l ledger) soldOutVersion(ctx context.Context, goodsID int64) (soldOutVersion, error) {
	reply, err := soldOutVersionScript.Run(ctx, l.rdb, keys(goodsID)).Slice()
	if err != nil {
		return soldOutVersion{}, fmt.Errorf("ask whether goods %d are sold out: %w", goodsID, err)
	}
	if len(reply) == 0 {
		return soldOutVersion{}, nil
	}
	var s soldOutVersion
	ok := len(reply) == 3
	if ok {
		s.generation, _ = reply[0].(string)
		s.left, _ = reply[1].(int64)
		s.admitted, ok = reply[2].(int64)
	}
	if !ok || s.generation == "" {
		return soldOutVersion{}, fmt.Errorf("ask whether goods %d are sold out: unexpected reply %v", goodsID, reply)
	}
	return s, nil
}
