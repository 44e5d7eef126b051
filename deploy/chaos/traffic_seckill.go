package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"
)

// press asks for a piece, and then what became of it until that is final.
func (g *generator) press(ctx, over context.Context, q request) {
	u, goods := g.users[q.user], g.book.sales[q.target].GoodsID
	got := g.send(ctx, q, http.MethodPost, "/v1/seckill", u.token, map[string]any{"goods_id": goods})
	if got.verdict() != accepted || got.TaskID == "" {
		return
	}
	t := ticket{TaskID: got.TaskID, UserID: u.id, GoodsID: goods, At: got.begun}
	for pause(over, time.Second) {
		o := outcomeOf(g.send(ctx, q, http.MethodGet, "/v1/seckill?task_id="+url.QueryEscape(t.TaskID), "", nil))
		if o.Status == 0 || o.Status >= 500 || o.Status == http.StatusTooManyRequests {
			continue
		}
		t.Told = append(t.Told, o)
		if o.Code != 102 && o.Code != 103 {
			break
		}
	}
	g.book.enter(func(b *book) { b.tickets = append(b.tickets, t) })
}

// outcomeOf reads what became of a ticket.
func outcomeOf(a answer) outcome {
	o := outcome{At: a.begun, Status: a.status, Code: a.Code}
	if a.err != nil {
		o.Status = 0
	}
	var data struct {
		OrderNo string `json:"order_no"`
		Reason  string `json:"reason_code"`
	}
	if json.Unmarshal(a.Data, &data) == nil {
		o.OrderNo, o.Reason = data.OrderNo, data.Reason
	}
	return o
}
