package boot

import (
	"context"
	"embed"
	"io/fs"
	"net/http"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/outbox"
)

// The tests' own application: it writes down what it is told, and can add.

type noteArgs struct {
	Text string `json:"text"`
}

type addArgs struct {
	N int `json:"n"`
	M int `json:"m"`
}

var (
	noteTask   = tasks.Define[noteArgs, string]("notes.write", tasks.Queue("notes"))
	addTask    = tasks.Define[addArgs, int]("notes.add")
	secretTask = tasks.Define[noteArgs, string]("secret.keep", tasks.Encrypted())
)

// note is a row of the application's.
type note struct {
	ID   int64
	Text string
}

// TableName implements GORM's Tabler.
func (note) TableName() string { return "notes" }

//go:embed testdata/migrations
var sampleFiles embed.FS

// sampleSettings are the application's own.
type sampleSettings struct {
	Prefix string        `env:"NOTES_PREFIX" default:"{name}:" help:"what notes begin with"`
	Token  string        `env:"NOTES_TOKEN" help:"what the route gives out"`
	Wait   time.Duration `env:"NOTES_WAIT" default:"1s" range:"1s..1m" help:"how long a note takes at most"`
}

// sampleApp is an application with two tasks, a route and a migration.
func sampleApp(t testing.TB) App {
	t.Helper()
	app, err := newSampleApp()
	require.NoError(t, err)
	return app
}

func newSampleApp() (App, error) {
	catalog, err := tasks.NewCatalog(noteTask, addTask)
	if err != nil {
		return App{}, err
	}
	migrations, err := fs.Sub(sampleFiles, "testdata/migrations")
	if err != nil {
		return App{}, err
	}
	settings := &sampleSettings{}
	return App{
		Name:       "notes",
		Catalog:    catalog,
		Migrations: migrations,
		Settings:   settings,
		Schedules:  []byte("schedules:\n  - {name: sum, task: notes.add, args: {n: 1, m: 2}, every: 1s}\n"),
		Bind: func(m *tasks.Mux, d Deps) {
			tasks.Handle(m, addTask, func(_ context.Context, a addArgs) (int, error) { return a.N + a.M, nil })
			tasks.Handle(m, noteTask, func(ctx context.Context, a noteArgs) (string, error) {
				row := note{Text: settings.Prefix + a.Text}
				return row.Text, d.DB.WithContext(ctx).Create(&row).Error
			})
		},
		Routes: func(e *echo.Echo, d Deps) {
			e.POST("/v1/notes", func(c echo.Context) error {
				ctx := c.Request().Context()
				var id string
				err := d.DB.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
					res, err := noteTask.EnqueueTx(ctx, outbox.Tx(tx), noteArgs{Text: c.QueryParam("text")})
					if err == nil {
						id = res.ID()
					}
					return err
				})
				if err != nil {
					return err
				}
				return c.String(http.StatusAccepted, id)
			})
			e.GET("/v1/notes", func(c echo.Context) error {
				var list []note
				if err := d.DB.WithContext(c.Request().Context()).Order("id").Find(&list).Error; err != nil {
					return err
				}
				return c.JSON(http.StatusOK, list)
			})
		},
		Seed: func(ctx context.Context, db *gorm.DB) (bool, error) {
			var rows int64
			if err := db.WithContext(ctx).Model(&note{}).Count(&rows).Error; err != nil || rows > 0 {
				return false, err
			}
			return true, db.WithContext(ctx).Create(&note{Text: "the first"}).Error
		},
	}, nil
}
