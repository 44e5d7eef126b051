package shop

import (
	"bytes"
	"errors"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/api/server"
	"github.com/paidui/paidui/tasks/seckill"
)

type seckillBody struct {
	GoodsID *int64  `json:"goods_id" validate:"omitnil,min=1"`
	Name    *string `json:"name" validate:"omitnil,max=128,line"`
}

// ReadPlain reads {"goods_id":1}.
func (b *seckillBody) ReadPlain(raw []byte) bool {
	digits, ok := bytes.CutPrefix(raw, []byte(`{"goods_id":`))
	if !ok {
		return false
	}
	digits, ok = bytes.CutSuffix(digits, []byte("}"))
	if !ok || len(digits) == 0 || len(digits) > maxPlainDigits || digits[0] == '0' {
		return false
	}
	id := int64(0)
	for _, d := range digits {
		if d < '0' || d > '9' {
			return false
		}
		id = 10*id + int64(d-'0')
	}
	b.GoodsID = &id
	return true
}

// maxPlainDigits is how many digits fit into an int64, whatever they are.
const maxPlainDigits = 18

var (
	msgQueued = server.Textf("您正在排队", "you are in the queue")
	msgWon    = server.Textf("秒杀成功", "the order is placed")
)

// enterSeckill enqueues an order of one piece for the user.
func (a *API) enterSeckill(c echo.Context) error {
	b, err := server.Body[seckillBody](c)
	if err != nil {
		return err
	}
	goodsID, err := a.goodsOf(c, b)
	if err != nil {
		return err
	}
	ticket, err := a.Sales.Enter(c.Request().Context(), userOf(c), goodsID)
	if err == nil && ticket.Bought {
		return refuseBought(c, ticket.TaskID)
	}
	if err == nil {
		return server.Answer{Msg: msgQueued, TaskID: ticket.TaskID}.Send(c)
	}
	if errors.Is(err, seckill.ErrSoldOut) {
		return refuseSoldOut(c)
	}
	if notOpen := (*seckill.NotOpenError)(nil); errors.As(err, &notOpen) {
		return refuseNotOpen(c, notOpen)
	}
	return err
}

func (a *API) goodsOf(c echo.Context, b seckillBody) (int64, error) {
	switch {
	case b.GoodsID != nil && b.Name != nil:
		return 0, server.BadRequest("name", server.Textf("goods_id 和 name 只能给一个", "give goods_id or name, not both"))
	case b.GoodsID != nil:
		return *b.GoodsID, nil
	case b.Name != nil:
		id, err := a.Sales.GoodsByName(c.Request().Context(), *b.Name)
		if errors.Is(err, seckill.ErrUnknownGoods) {
			return 0, server.NotFound("name", msgNoGoods)
		}
		return id, err
	}
	return 0, server.Missing("goods_id")
}

// seckillOutcome answers the state of a user's request for an order.
func (a *API) seckillOutcome(c echo.Context) error {
	id := c.QueryParam("task_id")
	if id == "" {
		return server.Missing("task_id")
	}
	if err := server.CheckTaskID("task_id", id); err != nil {
		return err
	}
	outcome, err := a.Sales.Outcome(c.Request().Context(), id)
	if err != nil {
		return err
	}
	switch outcome.Code {
	case seckill.CodeOrdered:
		return server.Answer{Code: outcome.Code, Msg: msgWon, Data: newOrderRow(*outcome.Order)}.Send(c)
	case seckill.CodeRefused:
		return refuse(c, outcome.Reason)
	case seckill.CodeRetrying:
		return server.Answer{Code: outcome.Code, Msg: server.Textf("没成功，正在重试", "not yet: it is being tried again"), TaskID: id}.Send(c)
	}
	return server.Answer{Code: outcome.Code, Msg: server.Textf("还在排队", "still in the queue"), TaskID: id}.Send(c)
}
