package seckill

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// soldOutVersion is what Redis shows of a sale that is sold out; the zero value shows one that is not. Nobody has been let in
// between two moments at which it is the same: whoever is let in finds a place that somebody left, a new total or a
// sale that was loaded anew, and each of them leaves its mark.
type soldOutVersion struct {
	generation string // the token of the loading that set the sale's total and times
	left       int64  // how many have left since
	admitted   int64
}

// soldOutVersionScript gives generation, left and admitted, or nothing when the sale is not open or has pieces left.
var soldOutVersionScript = redis.NewScript(luaNow + `
local sale = redis.call('HMGET', KEYS[1], 'total', 'starts_at', 'ends_at', 'generation', 'left')
if not sale[4] or sale[1] == '-1' then return {} end
if now < tonumber(sale[2]) or now >= tonumber(sale[3]) then return {} end
local admitted = redis.call('HLEN', KEYS[2])
if admitted < tonumber(sale[1]) then return {} end
return {sale[4], tonumber(sale[5] or '0'), admitted}
`)

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
