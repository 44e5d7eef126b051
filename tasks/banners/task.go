package banners

import (
	"context"
	"fmt"
	"time"

	"github.com/paidui/paidui/tasks"
)

// RefreshArgs is empty: the task refreshes the one list there is.
type RefreshArgs struct{}

// Refresh rewrites the cached list from the database; its result is how many banners it holds. It goes to queue cache
// and, being useless once the next one is due, is not run later than a minute after it was made.
var Refresh = tasks.Define[RefreshArgs, int]("refresh.banners",
	tasks.Queue("cache"),
	tasks.MaxRetries(2),
	tasks.Backoff(time.Second, 10*time.Second),
	tasks.SnoozeFor(tasks.StoreAway()),
	tasks.Timeout(30*time.Second),
	tasks.ExpiresIn(time.Minute),
)

// Bind gives Refresh its handler.
func Bind(m *tasks.Mux, b *List) {
	tasks.Handle(m, Refresh, func(ctx context.Context, _ RefreshArgs) (int, error) {
		list, err := b.Refresh(ctx)
		if err != nil {
			return 0, fmt.Errorf("refresh banners: %w", err)
		}
		return len(list), nil
	})
}
