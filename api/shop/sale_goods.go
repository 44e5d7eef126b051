package shop

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/api/server"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks/seckill"
)

// maxGoods bounds the list of goods.
const maxGoods = 200

type goodsRow struct {
	ID       int64     `json:"id"`
	Name     string    `json:"name"`
	Price    int64     `json:"price"` // fen
	Stock    int64     `json:"stock"`
	StartsAt time.Time `json:"starts_at"`
	EndsAt   time.Time `json:"ends_at"`
}

func newGoodsRow(g shop.Goods) goodsRow {
	return goodsRow{ID: g.ID, Name: g.Name, Price: g.Price, Stock: g.Stock, StartsAt: g.StartsAt.UTC(), EndsAt: g.EndsAt.UTC()}
}

// goodsBody is what an operator writes. With PUT, a field that is absent stays as it is.
type goodsBody struct {
	Name     *string    `json:"name" validate:"omitnil,max=128,line"`
	Price    *int64     `json:"price" validate:"omitnil,min=0,max=100000000000"`
	Stock    *int64     `json:"stock" validate:"omitnil,min=0,max=1000000000"`
	StartsAt *time.Time `json:"starts_at"`
	EndsAt   *time.Time `json:"ends_at"`
}

func (b goodsBody) apply(row *shop.Goods) {
	set(&row.Name, b.Name)
	set(&row.Price, b.Price)
	set(&row.Stock, b.Stock)
	set(&row.StartsAt, b.StartsAt)
	set(&row.EndsAt, b.EndsAt)
	row.StartsAt, row.EndsAt = row.StartsAt.UTC(), row.EndsAt.UTC()
}

// complete returns an error that names the first missing field of new goods.
func (b goodsBody) complete() error {
	switch {
	case b.Name == nil:
		return server.Missing("name")
	case b.Price == nil:
		return server.Missing("price")
	case b.Stock == nil:
		return server.Missing("stock")
	case b.StartsAt == nil:
		return server.Missing("starts_at")
	case b.EndsAt == nil:
		return server.Missing("ends_at")
	}
	return nil
}

// checkSale checks that a sale's times fit into a MySQL datetime and are in order.
func checkSale(g shop.Goods) error {
	for field, t := range map[string]time.Time{"starts_at": g.StartsAt, "ends_at": g.EndsAt} {
		if t.Year() < 1000 || t.Year() > 9999 {
			return server.BadRequest(field, server.Textf("%s 的年份应在 1000 到 9999 之间", "%s must be in the years 1000 to 9999", field))
		}
	}
	if !g.EndsAt.After(g.StartsAt) {
		return server.BadRequest("ends_at", server.Textf("ends_at 必须晚于 starts_at", "ends_at must be after starts_at"))
	}
	return nil
}

var (
	msgNoGoods   = server.Textf("没有这个商品", "there are no such goods")
	msgSameGoods = server.Textf("已有同名商品", "there are goods of this name already")
)

func (a *API) listGoods(c echo.Context) error {
	rows, err := a.Sales.ListGoods(c.Request().Context(), maxGoods)
	if err != nil {
		return err
	}
	list := make([]goodsRow, len(rows))
	for i, g := range rows {
		list[i] = newGoodsRow(g)
	}
	return server.OK(c, list)
}

func (a *API) oneGoods(c echo.Context) error {
	id, err := server.PathID(c, "id")
	if err != nil {
		return err
	}
	row, err := a.Sales.Goods(c.Request().Context(), id)
	if err != nil {
		return server.NotFoundIf(err, seckill.ErrUnknownGoods, msgNoGoods)
	}
	return server.OK(c, newGoodsRow(row))
}

func (a *API) createGoods(c echo.Context) error {
	b, err := server.Body[goodsBody](c)
	if err != nil {
		return err
	}
	if err := b.complete(); err != nil {
		return err
	}
	var row shop.Goods
	b.apply(&row)
	if err := checkSale(row); err != nil {
		return err
	}
	ctx := c.Request().Context()
	if err := a.Sales.CreateGoods(ctx, &row); err != nil {
		return sameName(err)
	}
	a.goodsChanged(ctx, row.ID)
	return server.OK(c, newGoodsRow(row))
}

func (a *API) updateGoods(c echo.Context) error {
	id, err := server.PathID(c, "id")
	if err != nil {
		return err
	}
	b, err := server.Body[goodsBody](c)
	if err != nil {
		return err
	}
	if b == (goodsBody{}) {
		return server.NothingToChange()
	}
	ctx := c.Request().Context()
	row, err := a.Sales.ChangeGoods(ctx, id, func(row *shop.Goods) error {
		b.apply(row)
		return checkSale(*row)
	})
	if err != nil {
		return sameName(server.NotFoundIf(err, seckill.ErrUnknownGoods, msgNoGoods))
	}
	a.goodsChanged(ctx, id)
	return server.OK(c, newGoodsRow(row))
}

func sameName(err error) error {
	if errors.Is(err, seckill.ErrSameName) {
		return &server.Failure{Status: http.StatusConflict, Field: "name", Msg: msgSameGoods, Cause: err}
	}
	return err
}

// goodsChanged invalidates the sale in Redis after a commit, so it does not end with the request. If it fails,
// seckill.Reconcile does it later.
func (a *API) goodsChanged(ctx context.Context, id int64) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), server.DefaultTimeout)
	defer cancel()
	if err := a.Sales.Invalidate(ctx, id); err != nil {
		a.logger.ErrorContext(ctx, "goods changed, but Redis does not know", "goods_id", id, "error", err)
	}
}
