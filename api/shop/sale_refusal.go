package server

import (
	"encoding/json"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/tasks/seckill"
)

// refusal is why there is no order.
type refusal struct {
	Reason   string     `json:"reason"`
	Code     string     `json:"reason_code"`
	StartsAt *time.Time `json:"starts_at,omitempty"`
	EndsAt   *time.Time `json:"ends_at,omitempty"`
}

var msgReasons = map[string]text{
	seckill.ReasonSoldOut:      {"已售罄", "sold out"},
	seckill.ReasonNotStarted:   {"秒杀还没有开始", "the sale has not started"},
	seckill.ReasonEnded:        {"秒杀已经结束", "the sale is over"},
	seckill.ReasonUnknownGoods: {"商品已下架", "the goods are gone"},
	seckill.ReasonFailed:       {"订单没有写入成功", "the order could not be written"},
	seckill.ReasonRevoked:      {"订单已撤销", "the order was revoked"},
	seckill.ReasonBought:       {"您已经买过了", "you have bought it already"},
}

func reasonOf(code string) text {
	if why, known := msgReasons[code]; known {
		return why
	}
	return text{code, code}
}

func refusalText(why text) text { return text{"秒杀失败：" + why.zh, "no order: " + why.en} }

// The refusal that most users of a sale get is encoded once.
var (
	msgSoldOut  = refusalText(reasonOf(seckill.ReasonSoldOut))
	dataSoldOut = map[language]encoded{chinese: encodeSoldOut(chinese), english: encodeSoldOut(english)}
)

func encodeSoldOut(l language) encoded {
	raw, err := json.Marshal(refusal{Reason: reasonOf(seckill.ReasonSoldOut).in(l), Code: seckill.ReasonSoldOut})
	if err != nil {
		panic(err) // strings have a JSON form
	}
	return raw
}

func refuseSoldOut(c echo.Context) error {
	return answer(c, codeNo, msgSoldOut, dataSoldOut[languageOf(c)], "")
}

func refuse(c echo.Context, code string) error {
	why := reasonOf(code)
	return answer(c, codeNo, refusalText(why), refusal{Reason: why.in(languageOf(c)), Code: code}, "")
}

// refuseBought answers with the task of the user's earlier order.
func refuseBought(c echo.Context, taskID string) error {
	why := reasonOf(seckill.ReasonBought)
	return answer(c, codeNo, why, refusal{Reason: why.in(languageOf(c)), Code: seckill.ReasonBought}, taskID)
}

func refuseNotOpen(c echo.Context, e *seckill.NotOpenError) error {
	why := reasonOf(e.Reason)
	data := refusal{Reason: why.in(languageOf(c)), Code: e.Reason, StartsAt: &e.StartsAt, EndsAt: &e.EndsAt}
	return answer(c, codeNo, refusalText(why), data, "")
}
