package server

import (
	"bytes"
	"errors"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/seckill"
)

type seckillBody struct {
	GoodsID *int64  `json:"goods_id" validate:"omitnil,min=1"`
	Name    *string `json:"name" validate:"omitnil,max=128,line"`
}

// readPlain reads {"goods_id":1}.
func (b *seckillBody) readPlain(raw []byte) bool {
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
	msgQueued = text{"您正在排队", "you are in the queue"}
	msgWon    = text{"秒杀成功", "the order is placed"}
)

// enterSeckill enqueues an order of one piece for the user.
func (s *Server) enterSeckill(c echo.Context) error {
	b, err := body[seckillBody](s, c)
	if err != nil {
		return err
	}
	goodsID, err := s.goodsOf(c, b)
	if err != nil {
		return err
	}
	ticket, err := s.Sales.Enter(c.Request().Context(), userOf(c), goodsID)
	if err == nil && ticket.Bought {
		return refuseBought(c, ticket.TaskID)
	}
	if err == nil {
		return answer(c, codeOK, msgQueued, nil, ticket.TaskID)
	}
	if errors.Is(err, seckill.ErrSoldOut) {
		return refuseSoldOut(c)
	}
	if notOpen := (*seckill.NotOpenError)(nil); errors.As(err, &notOpen) {
		return refuseNotOpen(c, notOpen)
	}
	return err
}

func (s *Server) goodsOf(c echo.Context, b seckillBody) (int64, error) {
	switch {
	case b.GoodsID != nil && b.Name != nil:
		return 0, badRequest("name", text{"goods_id 和 name 只能给一个", "give goods_id or name, not both"})
	case b.GoodsID != nil:
		return *b.GoodsID, nil
	case b.Name != nil:
		id, err := s.Sales.GoodsByName(c.Request().Context(), *b.Name)
		if errors.Is(err, seckill.ErrUnknownGoods) {
			return 0, notFound("name", msgNoGoods)
		}
		return id, err
	}
	return 0, missing("goods_id")
}

// seckillOutcome answers the state of a user's request for an order.
func (s *Server) seckillOutcome(c echo.Context) error {
	id := c.QueryParam("task_id")
	if id == "" {
		return missing("task_id")
	}
	if !tasks.ValidID(id) {
		return badRequest("task_id", msgTaskID)
	}
	outcome, err := s.Sales.Outcome(c.Request().Context(), id)
	if err != nil {
		return err
	}
	switch outcome.Code {
	case seckill.CodeOrdered:
		return answer(c, outcome.Code, msgWon, newOrderRow(*outcome.Order), "")
	case seckill.CodeRefused:
		return refuse(c, outcome.Reason)
	case seckill.CodeRetrying:
		return answer(c, outcome.Code, text{"没成功，正在重试", "not yet: it is being tried again"}, nil, id)
	}
	return answer(c, outcome.Code, text{"还在排队", "still in the queue"}, nil, id)
}
