// Package refresh has the tasks that keep cached values true to the database: Changed after each write, All by hand. What
// is cached, and how it is read, is for the packages of the values to say.
package refresh

import (
	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/tasks"
)

// Bind gives the package's tasks their handlers: those of the store, and of the kinds that All knows.
func Bind(m *tasks.Mux, store *cache.Store, kinds ...Kind) {
	BindChanged(m, store)
	tasks.Handle(m, All, newRewriter(store, kinds).run)
}
