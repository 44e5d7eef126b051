package boot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/spf13/pflag"
	"gorm.io/gorm"

	"github.com/paidui/paidui/api/server"
	"github.com/paidui/paidui/deploy/config"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/bulk"
	"github.com/paidui/paidui/tasks/history"
	"github.com/paidui/paidui/tasks/queues"
)

// App is a program on Paidui: what an application brings, of which only Name, Catalog and Bind are needed. Main makes all
// its subcommands of it, Command one program's.
type App struct {
	// Name is what the program is called: 1 to 32 of a-z 0-9 -, the first a letter.
	Name string
	// Catalog has the definitions that the API offers, that schedules name, and that workers have handlers for. Paidui's own,
	// history.prune, bulk.run and queue.check, join it with their handlers, unless it has them.
	Catalog *tasks.Catalog
	// Bind gives every task of the catalog its handler. A worker that lacks one does not start.
	Bind func(m *tasks.Mux, d Deps)
	// Routes adds routes to the API's, which begin with /v1/tasks, /v1/task-types, /v1/queues, /v1/schedules, /v1/audit, /healthz,
	// /docs and what is below /docs. Nil: there are none.
	Routes func(e *echo.Echo, d Deps)

	// Migrations are SQL files in goose's form, NUMBER_name.sql, which make the application's own tables: those in the folder
	// mysql or sqlite, where there is one of the database's kind, else those at the top. They run before Paidui's own, in api,
	// local and migrate. An application that has some does not start without a database. Nil: it has no tables.
	Migrations fs.FS
	// Versions is the table that notes which of them were applied; goose_db_version, which is goose's own name, when empty.
	Versions string
	// Models are GORM models of the application's tables. SQLite then makes the tables of them instead of running files.
	Models []any
	// NoDatabase has PAIDUI_DATABASE_URL be nothing unless somebody sets it: then there are no history, no outbox, and no
	// durable tasks, and Deps.DB is nil.
	NoDatabase bool

	// Schedules are the periodic tasks, as YAML, that hold unless PAIDUI_SCHEDULES names a file. Nil: Paidui's housekeeping,
	// see DefaultSchedules.
	Schedules []byte
	// SchedulesFile is read, and watched, instead of Schedules, where it exists.
	SchedulesFile string

	// Settings are the application's own: a pointer to a struct with the tags that package deploy/config documents. They come
	// from the same file, environment and flags as Paidui's, stand in --help beside them, and are there, validated, when Open,
	// Bind and Routes are called. Nil: it has none.
	Settings any
	// Defaults are other defaults of Paidui's settings, by their variables. PAIDUI_QUEUES is the queues of the catalog,
	// with one weight, unless it is here.
	Defaults map[string]string

	// Open makes what the parts of the application share, before Bind, Routes and API are called. Paidui's stores are open then,
	// and the tables perhaps not migrated yet. Schedulers do without it. Nil: nothing is shared.
	Open func(ctx context.Context, h *Host) error
	// API is what the application adds to the API beyond Routes: routes that have what Paidui's have, who users are, texts of
	// errors, a page. Its field Echo is of no use beside Routes. Nil: it adds nothing.
	API func(d Deps) (server.Application, error)
	// Seed fills an empty, migrated database, for the subcommand seed and for local. It reports false when it changed
	// nothing. Nil: there is nothing to fill it with.
	Seed func(ctx context.Context, db *gorm.DB) (seeded bool, err error)
	// Welcome is what local writes when it is ready. Nil: Welcome.Print.
	Welcome func(out io.Writer, w Welcome) error
}

// Deps are what the parts of an application work with. All of them are for concurrent use, and stay open until the parts
// have stopped.
type Deps struct {
	Program  config.Program
	Config   config.Config
	DB       *gorm.DB              // with an outbox; nil without a database
	Redis    redis.UniversalClient // the broker's
	Broker   *broker.Broker
	Client   *tasks.Client
	Catalog  *tasks.Catalog
	History  *history.Store // nil without a database
	Bulk     *bulk.Store    // nil without a database
	Logger   *slog.Logger
	Registry *prometheus.Registry
}

var appName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

// check finds what the author of a program has left out.
func (a App) check() error {
	var errs []error
	if !appName.MatchString(a.Name) {
		errs = append(errs, fmt.Errorf("App.Name: %q is not made of 1 to 32 of a-z 0-9 -, the first a letter", a.Name))
	}
	if a.Catalog == nil {
		errs = append(errs, errors.New("App.Catalog is nil: make one of the program's definitions with tasks.NewCatalog"))
	}
	if a.Migrations == nil && len(a.Models) > 0 {
		errs = append(errs, errors.New("App.Models are there without App.Migrations, which MySQL needs"))
	}
	return errors.Join(errs...)
}

// databaseSetting says where the database is.
const databaseSetting = models.Setting

// Schema is all settings of the program. Its error says what is wrong with the App.
func (a App) Schema() (*config.Schema, error) {
	if err := a.check(); err != nil {
		return nil, err
	}
	defaults := maps.Clone(a.Defaults)
	if defaults == nil {
		defaults = make(map[string]string)
	}
	if _, given := defaults[queuesSetting]; !given {
		defaults[queuesSetting] = a.queues()
	}
	if a.NoDatabase {
		defaults[databaseSetting] = ""
	}
	schema, err := config.NewSchema(config.Options{
		Name: a.Name, Settings: a.Settings, Defaults: defaults, Checks: checks(),
	})
	if err != nil {
		return nil, fmt.Errorf("App.Settings: %w", err)
	}
	return schema, nil
}

// Load reads the program's configuration as its command does: see config.Schema. It fills App.Settings.
func (a App) Load(p config.Program, flags *pflag.FlagSet, environ []string) (config.Config, error) {
	schema, err := a.Schema()
	if err != nil {
		return config.Config{}, err
	}
	return schema.Load(p, flags, environ)
}

// queues are those of the catalog, and default, which a call may name.
func (a App) queues() string {
	seen := map[string]bool{"default": true}
	for _, spec := range slices.Concat(a.Catalog.All(), ownTasks(true)) {
		seen[spec.Queue()] = true
	}
	return strings.Join(slices.Sorted(maps.Keys(seen)), ",")
}

// ownTasks are Paidui's, which keep house.
func ownTasks(database bool) []tasks.Spec {
	list := []tasks.Spec{queues.Check}
	if database {
		list = append(list, history.PruneTask, bulk.Task)
	}
	return list
}

// catalog is the application's, with those of Paidui's own tasks that it lacks.
func (a App) catalog(database bool) (*tasks.Catalog, error) {
	return tasks.NewCatalog(append(a.Catalog.All(), a.lacking(database)...)...)
}

// lacking are those of Paidui's own tasks that the application does not have itself.
func (a App) lacking(database bool) []tasks.Spec {
	return slices.DeleteFunc(ownTasks(database), func(s tasks.Spec) bool {
		_, there := a.Catalog.Lookup(s.Name())
		return there
	})
}

// bind gives all tasks their handlers.
func (a App) bind(m *tasks.Mux, d Deps) {
	if a.Bind != nil {
		a.Bind(m, d)
	}
	for _, spec := range a.lacking(d.History != nil) {
		switch spec.Name() {
		case queues.Check.Name():
			queues.Bind(m, d.Client)
		case history.PruneTask.Name():
			history.Bind(m, d.History)
		case bulk.Task.Name():
			bulk.Bind(m, d.Bulk)
		}
	}
}

// migrations are those of the application's own tables; false when it has none.
func (a App) migrations() (models.Migrations, bool) {
	m := models.Migrations{Files: a.Migrations, Versions: a.Versions, Models: a.Models}
	return m, a.Migrations != nil
}

// Migrate brings the application's tables up to date, and then Paidui's.
func (a App) Migrate(ctx context.Context, db *gorm.DB) error {
	if m, some := a.migrations(); some {
		if err := m.Migrate(ctx, db); err != nil {
			return err
		}
	}
	return models.Migrate(ctx, db)
}

// migrated is for a program that leaves migrating to another: see models.Migrations.
func (a App) migrated(ctx context.Context, db *gorm.DB) error {
	var err error
	if m, some := a.migrations(); some {
		err = m.Migrated(ctx, db)
	}
	return errors.Join(err, models.Migrated(ctx, db))
}

// checkDatabase refuses to do without a database where the application has tables.
func (a App) checkDatabase(cfg config.Config) error {
	if cfg.DatabaseURL == "" && a.Migrations != nil {
		return fmt.Errorf("%s is set to nothing, and %s has tables: it needs a database", databaseSetting, a.Name)
	}
	return nil
}

// programName is what a program is called in logs and metrics.
func (a App) programName(p config.Program) string {
	if p == config.Local {
		return a.Name
	}
	return string(p)
}
