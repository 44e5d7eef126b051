package server

import (
	"context"
	"errors"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/paidui/paidui/models/cache"
)

func (s *Server) db(ctx context.Context) *gorm.DB { return s.DB.WithContext(ctx) }

// forUpdate locks the rows read until the transaction ends. SQLite, which has one writer at a time, ignores it.
var forUpdate = clause.Locking{Strength: clause.LockingStrengthUpdate}

// unless makes a row that is not there, in the database or by the cache, the client's error, with the words of msg; it
// lets other errors be.
func unless(err error, msg text) error {
	if errors.Is(err, gorm.ErrRecordNotFound) || errors.Is(err, cache.ErrNull) {
		return notFound("id", msg)
	}
	return err
}
