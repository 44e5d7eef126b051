package main

import (
	"embed"
	"io/fs"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/deploy/boot"
	"github.com/paidui/paidui/tasks"
)

//go:embed migrations/*.sql
var migrations embed.FS

//go:embed schedules.yaml
var schedules []byte

// app says what reports consists of.
func app() boot.App {
	catalog, err := tasks.NewCatalog(MakeReport) // name each definition here
	if err != nil {
		panic(err) // two definitions have one name
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the folder's name is wrong
	}
	return boot.App{
		Name:       "reports",
		Catalog:    catalog,
		Bind:       func(m *tasks.Mux, d boot.Deps) { bind(m, d.DB) },
		Routes:     routes,
		Migrations: files,
		Schedules:  schedules,
	}
}

// routes are the program's own, beside /v1/tasks and the others of Paidui.
func routes(e *echo.Echo, d boot.Deps) {
	e.POST("/reports/:month", func(c echo.Context) error {
		res, err := MakeReport.Enqueue(c.Request().Context(), d.Client, ReportArgs{Month: c.Param("month")})
		if err != nil {
			return err
		}
		return c.JSON(http.StatusAccepted, map[string]string{"task_id": res.ID()})
	})
	e.GET("/reports", func(c echo.Context) error {
		var list []Report
		if err := d.DB.WithContext(c.Request().Context()).Order("month").Find(&list).Error; err != nil {
			return err
		}
		return c.JSON(http.StatusOK, list)
	})
}
