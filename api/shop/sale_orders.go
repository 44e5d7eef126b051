package shop

import (
	"time"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/api/server"
	"github.com/paidui/paidui/models/shop"
)

// maxOrders bounds the list of a user's orders.
const maxOrders = 200

type orderRow struct {
	OrderNo   string    `json:"order_no"`
	GoodsID   int64     `json:"goods_id"`
	TaskID    string    `json:"task_id"`
	CreatedAt time.Time `json:"created_at"`
}

func newOrderRow(o shop.Order) orderRow {
	return orderRow{OrderNo: o.OrderNo, GoodsID: o.GoodsID, TaskID: o.TaskID, CreatedAt: o.CreatedAt.UTC()}
}

func (a *API) listOrders(c echo.Context) error {
	rows, err := a.Sales.Orders(c.Request().Context(), userOf(c), maxOrders)
	if err != nil {
		return err
	}
	list := make([]orderRow, len(rows))
	for i, o := range rows {
		list[i] = newOrderRow(o)
	}
	return server.OK(c, list)
}
