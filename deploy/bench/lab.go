package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paidui/paidui/deploy/boot"
	"github.com/paidui/paidui/deploy/testenv"
)

// lab is where rows measure: a private Redis, a private MariaDB from when it is first wanted, and the processes that a
// row starts. It is used by one row at a time.
type lab struct {
	options
	dir      string
	redis    *testenv.RedisServer
	admin    *redis.Client // to the Redis, beside what is measured
	mariadb  *testenv.MariaDB
	database string // the URL of the shop's database; "" until it is made
	children []*child
	started  int // children, ever
}

func newLab(opt options) (*lab, error) {
	if _, err := boot.NewLogger(os.Stderr, "json", opt.logLevel); err != nil {
		return nil, fmt.Errorf("--log-level: %w", err)
	}
	dir, err := os.MkdirTemp("", "paidui-bench-")
	if err != nil {
		return nil, err
	}
	l := &lab{options: opt, dir: dir}
	if l.redis, err = testenv.StartRedis(dir, testenv.WithArgs("--maxclients", "10000")); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	l.admin = redis.NewClient(&redis.Options{
		Addr: l.redis.Addr, PoolSize: 1, MaintNotificationsConfig: plainConnection(),
		ReadTimeout: time.Minute, // to empty a full Redis takes seconds
	})
	return l, nil
}

// close ends all that the lab has started and leaves no file.
func (l *lab) close() error {
	l.endRow()
	err := l.admin.Close()
	l.redis.Kill()
	if l.mariadb != nil {
		l.mariadb.Stop()
	}
	return errors.Join(err, os.RemoveAll(l.dir))
}

// endRow stops the processes of a row.
func (l *lab) endRow() {
	for _, c := range l.children {
		c.stop()
	}
	l.children = nil
}

// pick is the full number, or the one of --quick.
func (l *lab) pick(full, quick int) int {
	if l.quick {
		return quick
	}
	return full
}

// rounds is how often each side is measured.
func (l *lab) rounds() int { return l.pick(3, 1) }

// redisURL is a database of the private Redis, 0 to 15.
func (l *lab) redisURL(db int) string { return l.redis.URL(db) }

// flush empties the private Redis.
func (l *lab) flush(ctx context.Context) error {
	if err := l.admin.FlushAll(ctx).Err(); err != nil {
		return fmt.Errorf("empty Redis: %w", err)
	}
	return nil
}

// conditions says when, where and how it was measured.
func (l *lab) conditions(ctx context.Context) (string, error) {
	version, err := l.info(ctx, "server", "redis_version")
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s, %d cores, %s/%s, %s, Redis %s, log level %s, medians of %d rounds", time.Now().Format(time.DateOnly),
		runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), version, l.logLevel, l.rounds()), nil
}

// file is a path in the lab's folder.
func (l *lab) file(name string) string { return filepath.Join(l.dir, name) }
