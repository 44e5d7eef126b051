package shop

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy"
	"github.com/paidui/paidui/deploy/boot"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/catalog"
	"github.com/paidui/paidui/tasks/sms"
)

// queues are what a worker takes from unless PAIDUI_QUEUES says otherwise.
const queues = "sms:6,seckill:6,default:3,cache:2,low:1"

// defaultSchedules is where the file of schedules is sought when the configuration names none.
const defaultSchedules = "deploy/schedules.yaml"

// program is the shop in one process.
type program struct {
	settings *Settings
	caches   caches
	features catalog.Features
	sender   sms.Sender   // of codes
	mailbox  *sms.Mailbox // where codes stay that are not sent; nil when they are
}

// App is the shop. Each process makes its own.
func App() boot.App {
	definitions, err := catalog.New()
	if err != nil {
		panic("the shop's catalog: " + err.Error()) // two definitions have one name
	}
	p := &program{settings: &Settings{}}
	tables := shop.Migrations()
	return boot.App{
		Name:          "paidui",
		Catalog:       definitions,
		Bind:          p.bind,
		API:           p.api,
		Migrations:    tables.Files,
		Models:        tables.Models,
		Schedules:     deploy.Schedules(),
		SchedulesFile: defaultSchedules,
		Settings:      p.settings,
		Defaults:      map[string]string{"PAIDUI_QUEUES": queues},
		Open:          p.open,
		Seed: func(ctx context.Context, db *gorm.DB) (bool, error) {
			return catalog.Seed(ctx, db, time.Now())
		},
		Welcome: p.welcome,
	}
}

// open makes what the API and the handlers of tasks share.
func (p *program) open(ctx context.Context, h *boot.Host) error {
	if h.HTTPAddr != nil {
		tellOfOutbox(ctx, h.Logger, h.Program, *p.settings, h.HTTPAddr)
	}
	if err := p.settings.fill(ctx, h); err != nil {
		return err
	}
	if err := p.openCaches(ctx, h); err != nil {
		return err
	}
	return p.openFeatures(h)
}

func (p *program) bind(m *tasks.Mux, d boot.Deps) {
	catalog.Bind(m, catalog.Deps{
		DB:       d.DB,
		Cache:    p.caches.primary,
		Broker:   d.Redis,
		Client:   d.Client,
		Sender:   p.sender,
		History:  d.History,
		Features: p.features,
	})
}
