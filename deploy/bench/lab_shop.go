package main

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/shop"
)

const (
	jwtSecret   = "0123456789abcdef0123456789abcdef"
	operatorKey = "0123456789abcdef"
)

// openShop opens the shop's database, on a MariaDB that syncs to disk at each commit. The first call starts the server
// and makes the tables.
func (l *lab) openShop(ctx context.Context) (*gorm.DB, error) {
	if l.database == "" {
		if err := l.makeShop(ctx); err != nil {
			return nil, err
		}
	}
	return models.Open(ctx, l.database, models.Options{})
}

// closeShop ends the connections; nothing is lost when that fails.
func closeShop(db *gorm.DB) { _ = models.Close(db) }

func (l *lab) makeShop(ctx context.Context) error { return l.makeDatabase(ctx, "shop") }

// makeDatabase makes a database with the shop's tables, for the programs that are started from then on.
func (l *lab) makeDatabase(ctx context.Context, name string) error {
	var err error
	if l.mariadb == nil {
		if l.mariadb, err = testenv.StartMariaDB("--innodb-buffer-pool-size=512M", "--loose-innodb-log-file-size=512M", "--loose-innodb-redo-log-capacity=1G"); err != nil {
			return err
		}
	}
	url, err := l.mariadb.Database(ctx, name)
	if err != nil {
		return err
	}
	db, err := models.Open(ctx, url, models.Options{})
	if err != nil {
		return err
	}
	defer closeShop(db)
	var flush int
	if err := db.Raw("SELECT @@innodb_flush_log_at_trx_commit").Scan(&flush).Error; err != nil {
		return err
	}
	if flush != 1 {
		return fmt.Errorf("the database does not sync at each commit: innodb_flush_log_at_trx_commit is %d", flush)
	}
	if err := shop.Migrate(ctx, db); err != nil {
		return err
	}
	l.database = url
	return nil
}

// putOnSale makes goods of which there are so many pieces.
func putOnSale(ctx context.Context, db *gorm.DB, pieces int) (goodsID int64, err error) {
	now := time.Now().UTC()
	goods := shop.Goods{
		Name: "bench " + strconv.FormatInt(now.UnixNano(), 36), Price: 100, Stock: int64(pieces),
		StartsAt: now.Add(-time.Hour), EndsAt: now.Add(24 * time.Hour),
	}
	if err := db.WithContext(ctx).Create(&goods).Error; err != nil {
		return 0, fmt.Errorf("put goods on sale: %w", err)
	}
	return goods.ID, nil
}

// startAPI runs the real API on the shop, with settings as NAME=value beyond the usual.
func (l *lab) startAPI(ctx context.Context, settings ...string) (*child, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	c, err := l.startProgram(ctx, roleAPI, nil, append([]string{
		"PAIDUI_HTTP_ADDR=" + addr,
		"PAIDUI_JWT_SECRET=" + jwtSecret,
		"PAIDUI_OPERATOR_KEY=" + operatorKey,
	}, settings...))
	if err != nil {
		return nil, err
	}
	c.url = "http://" + addr
	return c, nil
}

// startWorker runs the real worker on the shop, with flags of its own.
func (l *lab) startWorker(ctx context.Context, args ...string) (*child, error) {
	return l.startProgram(ctx, roleWorker, args, nil)
}

func (l *lab) startProgram(ctx context.Context, role string, args, env []string) (*child, error) {
	if l.database == "" {
		if err := l.makeShop(ctx); err != nil {
			return nil, err
		}
	}
	admin, err := freeAddr()
	if err != nil {
		return nil, err
	}
	c, err := l.start(role, args, append(env,
		"PAIDUI_ADMIN_ADDR="+admin,
		"PAIDUI_BROKER_URL="+l.redisURL(brokerDB),
		"PAIDUI_CACHE_URL="+l.redisURL(cacheDB),
		"PAIDUI_DATABASE_URL="+l.database,
		"PAIDUI_DRAIN_TIMEOUT=1s",
		"PAIDUI_HISTORY=false", // which has a row of its own
		"PAIDUI_LOG_LEVEL="+l.logLevel,
	), nil)
	if err != nil {
		return nil, err
	}
	c.admin = "http://" + admin
	return c, c.await(ctx, c.admin+"/readyz")
}

// The databases of the private Redis.
const (
	brokerDB = 1
	cacheDB  = 2
	plainDB  = 3 // plain asynq's, where it runs beside Paidui
)

// token is what /v1/login would give the user.
func token(userID int64) (string, error) {
	now := time.Now()
	return jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{
		Issuer:    "paidui",
		Subject:   strconv.FormatInt(userID, 10),
		IssuedAt:  jwt.NewNumericDate(now),
		ExpiresAt: jwt.NewNumericDate(now.Add(24 * time.Hour)),
	}).SignedString([]byte(jwtSecret))
}

func freeAddr() (string, error) {
	port, err := testenv.FindPort()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), err
}
