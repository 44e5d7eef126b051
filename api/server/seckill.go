package server

import (
	"errors"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/seckill"
)

type seckillBody struct {
	GoodsID *int64  `json:"goods_id" validate:"omitnil,min=1"`
	Name    *string `json:"name" validate:"omitnil,max=128,line"`
}

// refusal is why there is no order.
type refusal struct {
	Reason   string     `json:"reason"`
	Code     string     `json:"reason_code"`
	StartsAt *time.Time `json:"starts_at,omitempty"`
	EndsAt   *time.Time `json:"ends_at,omitempty"`
}

var (
	msgQueued = text{"您正在排队", "you are in the queue"}
	msgWon    = text{"秒杀成功", "the order is placed"}

	msgReasons = map[string]text{
		seckill.ReasonSoldOut:      {"已售罄", "sold out"},
		seckill.ReasonNotStarted:   {"秒杀还没有开始", "the sale has not started"},
		seckill.ReasonEnded:        {"秒杀已经结束", "the sale is over"},
		seckill.ReasonUnknownGoods: {"商品已下架", "the goods are gone"},
		seckill.ReasonFailed:       {"订单没有写入成功", "the order could not be written"},
		seckill.ReasonRevoked:      {"订单已撤销", "the order was revoked"},
	}
)

// enterSeckill queues the user for one piece.
func (s *Server) enterSeckill(c echo.Context) error {
	b, err := body[seckillBody](s, c)
	if err != nil {
		return err
	}
	goodsID, err := s.goodsOf(c, b)
	if err != nil {
		return err
	}
	ticket, err := s.Desk.Enter(c.Request().Context(), userOf(c), goodsID)
	if err == nil {
		return say(c, codeOK, msgQueued, nil, ticket.TaskID)
	}
	var notOpen *seckill.NotOpenError
	switch {
	case errors.As(err, &notOpen):
		return refuse(c, notOpen.Reason, &notOpen.StartsAt, &notOpen.EndsAt)
	case errors.Is(err, seckill.ErrSoldOut):
		return refuse(c, seckill.ReasonSoldOut, nil, nil)
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
		id, err := s.Desk.GoodsByName(c.Request().Context(), *b.Name)
		if errors.Is(err, seckill.ErrUnknownGoods) {
			return 0, notFound("name", msgNoGoods)
		}
		return id, err
	}
	return 0, missing("goods_id")
}

// seckillOutcome tells what became of a place in the queue.
func (s *Server) seckillOutcome(c echo.Context) error {
	id := c.QueryParam("task_id")
	if id == "" {
		return missing("task_id")
	}
	if !tasks.ValidID(id) {
		return badRequest("task_id", msgTaskID)
	}
	outcome, err := s.Desk.Outcome(c.Request().Context(), id)
	if err != nil {
		return err
	}
	switch outcome.Code {
	case seckill.CodeOrdered:
		return say(c, outcome.Code, msgWon, newOrderRow(*outcome.Order), "")
	case seckill.CodeRefused:
		return refuse(c, outcome.Reason, nil, nil)
	case seckill.CodeRetrying:
		return say(c, outcome.Code, text{"没成功，正在重试", "not yet: it is being tried again"}, nil, id)
	}
	return say(c, outcome.Code, text{"还在排队", "still in the queue"}, nil, id)
}

func refuse(c echo.Context, code string, startsAt, endsAt *time.Time) error {
	why, known := msgReasons[code]
	if !known {
		why = text{code, code}
	}
	msg := text{"秒杀失败：" + why.zh, "no order: " + why.en}
	data := refusal{Reason: why.in(languageOf(c)), Code: code, StartsAt: startsAt, EndsAt: endsAt}
	return say(c, codeNo, msg, data, "")
}
