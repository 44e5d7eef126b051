// Package refresh has what is cached of the database, banners, users and articles, and the tasks that keep it true:
// Changed after each write, Banners by schedule, All by hand.
package refresh

import (
	"context"
	"fmt"
	"time"

	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/tasks"
)

// BannersArgs is empty: the task refreshes the one list there is.
type BannersArgs struct{}

// Banners rewrites the cached banner list from the database; its result is how many banners it holds. It goes to
// queue cache and, being useless once the next one is due, is not run later than a minute after it was made.
var Banners = tasks.Define[BannersArgs, int]("refresh.banners",
	tasks.Queue("cache"),
	tasks.MaxRetries(2),
	tasks.Backoff(time.Second, 10*time.Second),
	tasks.SnoozeFor(tasks.StoreAway()),
	tasks.Timeout(30*time.Second),
	tasks.ExpiresIn(time.Minute),
)

// Bind gives the package's tasks their handlers: those of the store, of its banners, and of the kinds that All knows.
func Bind(m *tasks.Mux, store *cache.Store, b *BannerList, kinds ...Kind) {
	BindChanged(m, store)
	tasks.Handle(m, All, newRewriter(store, kinds).run)
	tasks.Handle(m, Banners, func(ctx context.Context, _ BannersArgs) (int, error) {
		list, err := b.Refresh(ctx)
		if err != nil {
			return 0, fmt.Errorf("refresh banners: %w", err)
		}
		return len(list), nil
	})
}
