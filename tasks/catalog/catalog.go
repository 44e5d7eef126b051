// Package catalog lists every task of this program, and binds all their handlers.
//
// A new task is added in its own package, and here to the imports, New and Bind.
package catalog

import (
	"github.com/redis/go-redis/v9"
	"gorm.io/gorm"

	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/banners"
	"github.com/paidui/paidui/tasks/counter"
	"github.com/paidui/paidui/tasks/demo"
	"github.com/paidui/paidui/tasks/following"
	"github.com/paidui/paidui/tasks/history"
	"github.com/paidui/paidui/tasks/queues"
	"github.com/paidui/paidui/tasks/refresh"
	"github.com/paidui/paidui/tasks/seckill"
	"github.com/paidui/paidui/tasks/sms"
)

// New is the catalog that the API, the workers and the scheduler share.
func New() (*tasks.Catalog, error) {
	return tasks.NewCatalog(
		demo.Add,
		demo.Low,
		sms.Send,
		seckill.Order,
		seckill.Reconcile,
		banners.Refresh,
		refresh.Changed,
		refresh.All,
		counter.Reconcile,
		following.ReconcileTask,
		history.PruneTask,
		queues.Check,
	)
}

// Deps is what the handlers need.
type Deps struct {
	DB      *gorm.DB
	Cache   redis.UniversalClient
	Broker  redis.UniversalClient // where reservations live, beside the tasks
	Client  *tasks.Client
	Sender  sms.Sender
	History *history.Store
	Features
}

// Bind gives every task of the catalog its handler. Mux.Verify tells when one was forgotten.
func Bind(m *tasks.Mux, d Deps) {
	demo.Bind(m)
	sms.Bind(m, d.DB, d.Cache, d.Sender)
	seckill.Bind(m, d.DB, d.Broker, d.Client)
	refresh.Bind(m, d.Store, d.kinds()...)
	banners.Bind(m, d.Banners)
	counter.Bind(m, d.Counters)
	following.Bind(m, d.Followings)
	history.Bind(m, d.History)
	queues.Bind(m, d.Client)
}

// CacheKeys has a key of each form that the cache's Redis holds, to ask there whether it may be used. All but the banners'
// are nobody's.
func CacheKeys() []string {
	keys := []string{banners.Key}
	for _, prefix := range []string{"user:", "count:user:", "article:", "send_sms_code_", "paidui:"} {
		keys = append(keys, redisx.ProbeKey(prefix))
	}
	return keys
}
