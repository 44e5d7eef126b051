package shop

import (
	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/api/server"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks/banners"
)

// bannerBody is what an operator writes. With PUT, a field that is absent stays as it is.
type bannerBody struct {
	Title  *string `json:"title" validate:"omitnil,max=64,line"`
	Image  *string `json:"image" validate:"omitnil,max=255,webpath"`
	Link   *string `json:"link" validate:"omitnil,max=255,anywebpath"`
	Orders *int    `json:"orders" validate:"omitnil,min=-1000000,max=1000000"`
	IsShow *bool   `json:"is_show"`
}

func (b bannerBody) apply(row *shop.Banner) {
	set(&row.Title, b.Title)
	set(&row.Image, b.Image)
	set(&row.Link, b.Link)
	set(&row.Orders, b.Orders)
	set(&row.IsShow, b.IsShow)
}

// bannerRow is a banner as operators see it.
type bannerRow struct {
	ID     int64  `json:"id"`
	Title  string `json:"title"`
	Image  string `json:"image"`
	Link   string `json:"link"`
	Orders int    `json:"orders"`
	IsShow bool   `json:"is_show"`
}

func newBannerRow(b shop.Banner) bannerRow {
	return bannerRow{ID: b.ID, Title: b.Title, Image: b.Image, Link: b.Link, Orders: b.Orders, IsShow: b.IsShow}
}

var msgNoBanner = server.Textf("没有这个轮播图", "there is no such banner")

func (a *API) createBanner(c echo.Context) error {
	b, err := server.Body[bannerBody](c)
	if err != nil {
		return err
	}
	if b.Title == nil {
		return server.Missing("title")
	}
	if b.Image == nil {
		return server.Missing("image")
	}
	row := shop.Banner{IsShow: true}
	b.apply(&row)
	if err := a.Banners.Create(c.Request().Context(), &row); err != nil {
		return err
	}
	return server.OK(c, newBannerRow(row))
}

func (a *API) updateBanner(c echo.Context) error {
	b, err := server.Body[bannerBody](c)
	if err != nil {
		return err
	}
	if b == (bannerBody{}) {
		return server.NothingToChange()
	}
	return a.changeBanner(c, func(row *shop.Banner) { b.apply(row) })
}

func (a *API) deleteBanner(c echo.Context) error {
	return a.changeBanner(c, func(row *shop.Banner) { row.IsDelete = true })
}

func (a *API) changeBanner(c echo.Context, change func(*shop.Banner)) error {
	id, err := server.PathID(c, "id")
	if err != nil {
		return err
	}
	row, err := a.Banners.Change(c.Request().Context(), id, change)
	if err != nil {
		return server.NotFoundIf(err, banners.ErrUnknown, msgNoBanner)
	}
	return server.OK(c, newBannerRow(row))
}
