package following

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
	"gorm.io/gorm"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/cache"
)

func redisZ(score float64, member string) redis.Z { return redis.Z{Score: score, Member: member} }

// announcer stands in for the outbox: it keeps the tasks of what has committed.
type announcer struct {
	ids       atomic.Int64
	mu        sync.Mutex
	announced [][]cache.Change
}

func (a *announcer) Announce(_ context.Context, tx *gorm.DB, changes []cache.Change) (string, error) {
	models.AfterCommit(tx, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.announced = append(a.announced, changes)
	})
	return strconv.FormatInt(a.ids.Add(1), 10), nil
}

func (a *announcer) list() [][]cache.Change {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.announced
}
