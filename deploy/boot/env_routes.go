package boot

import (
	"github.com/paidui/paidui/deploy/config"
	"github.com/paidui/paidui/tasks"
)

func routes(cfg config.Config) tasks.Routes {
	list := make(tasks.Routes, len(cfg.Routes))
	for i, r := range cfg.Routes {
		list[i] = tasks.Route(r)
	}
	return list
}
