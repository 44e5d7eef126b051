package shop

import (
	"encoding/json"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/api/server"
	"github.com/paidui/paidui/tasks/seckill"
)

// refusal is why there is no order.
type refusal struct {
	Reason   string     `json:"reason"`
	Code     string     `json:"reason_code"`
	StartsAt *time.Time `json:"starts_at,omitempty"`
	EndsAt   *time.Time `json:"ends_at,omitempty"`
}

var msgReasons = map[string]server.Text{
	seckill.ReasonSoldOut:      server.Textf("已售罄", "sold out"),
	seckill.ReasonNotStarted:   server.Textf("秒杀还没有开始", "the sale has not started"),
	seckill.ReasonEnded:        server.Textf("秒杀已经结束", "the sale is over"),
	seckill.ReasonUnknownGoods: server.Textf("商品已下架", "the goods are gone"),
	seckill.ReasonFailed:       server.Textf("订单没有写入成功", "the order could not be written"),
	seckill.ReasonRevoked:      server.Textf("订单已撤销", "the order was revoked"),
	seckill.ReasonBought:       server.Textf("您已经买过了", "you have bought it already"),
}

func reasonOf(code string) server.Text {
	if why, known := msgReasons[code]; known {
		return why
	}
	return server.Text{ZH: code, EN: code}
}

func refusalText(why server.Text) server.Text {
	return server.Text{ZH: "秒杀失败：" + why.ZH, EN: "no order: " + why.EN}
}

// The refusal that most users of a sale get is encoded once.
var (
	msgSoldOut  = refusalText(reasonOf(seckill.ReasonSoldOut))
	dataSoldOut = map[server.Language]server.Raw{server.Chinese: encodeSoldOut(server.Chinese), server.English: encodeSoldOut(server.English)}
)

func encodeSoldOut(l server.Language) server.Raw {
	raw, err := json.Marshal(refusal{Reason: reasonOf(seckill.ReasonSoldOut).In(l), Code: seckill.ReasonSoldOut})
	if err != nil {
		panic(err) // strings have a JSON form
	}
	return raw
}

func refuseSoldOut(c echo.Context) error {
	return server.Answer{Code: server.CodeRefused, Msg: msgSoldOut, Data: dataSoldOut[server.LanguageOf(c)]}.Send(c)
}

func refuse(c echo.Context, code string) error {
	why := reasonOf(code)
	return server.Answer{Code: server.CodeRefused, Msg: refusalText(why), Data: refusal{Reason: why.In(server.LanguageOf(c)), Code: code}}.Send(c)
}

// refuseBought answers with the task of the user's earlier order.
func refuseBought(c echo.Context, taskID string) error {
	why := reasonOf(seckill.ReasonBought)
	return server.Answer{Code: server.CodeRefused, Msg: why, Data: refusal{Reason: why.In(server.LanguageOf(c)), Code: seckill.ReasonBought}, TaskID: taskID}.Send(c)
}

func refuseNotOpen(c echo.Context, e *seckill.NotOpenError) error {
	why := reasonOf(e.Reason)
	data := refusal{Reason: why.In(server.LanguageOf(c)), Code: e.Reason, StartsAt: &e.StartsAt, EndsAt: &e.EndsAt}
	return server.Answer{Code: server.CodeRefused, Msg: refusalText(why), Data: data}.Send(c)
}
