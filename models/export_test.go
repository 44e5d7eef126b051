package models

import (
	"context"
	"database/sql"

	"github.com/paidui/paidui/deploy/testenv"
)

// CheckSession is checkSession, which quiet servers pass.
func CheckSession(ctx context.Context, pool *sql.DB, server string) error {
	return checkSession(ctx, pool, server, testenv.Quiet())
}
