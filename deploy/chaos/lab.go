package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
)

const (
	operatorKey = "chaos-operator-key-0123456789abcdef"
	jwtSecret   = "chaos-secret-of-at-least-32-bytes-0123456789"
	payloadKeys = "chaos:Y2hhb3MtcGF5bG9hZC1rZXktb2YtMzItYnl0ZXMtMDE="

	brokerDB, cacheDB = 1, 2
)

// Schedules none of whose ticks may be missing: of tickAll as far as Redis keeps its data, of tickDurable whatever it loses.
const (
	tickAll      = "tick-all"
	tickDurable  = "tick-durable"
	durableEvery = 2 // s
)

// schedules are the periodic tasks of the lab. Nothing refreshes the caches by time: what a write leaves stale stays so.
const schedules = `timezone: UTC
schedules:
  - {name: tick-all, task: demo.low, args: {n: 3, m: 1}, every: 1s, misfire: all, retention: 24h}
  - {name: tick-once, task: demo.low, args: {n: 4, m: 1}, every: 2s, misfire: once, retention: 24h}
  - {name: tick-skip, task: demo.low, args: {n: 5, m: 1}, every: 2s, misfire: skip, retention: 24h}
  - {name: tick-durable, task: demo.low, args: {n: 6, m: 1}, every: 2s, misfire: all, durable: true}
  - {name: seckill-reconcile, task: seckill.reconcile, every: 5s}
`

// lab is the servers, the programs, and ways to both that no fault touches.
type lab struct {
	dir      string // logs and the servers' files
	redis    *testenv.RedisServer
	mysql    *testenv.MariaDB
	proxies  []*testenv.Proxy
	programs []*program
	clients  *clients
	log      *os.File // of the clients

	broker, cache *redis.Client
	db            *gorm.DB
}

type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

func newLab(ctx context.Context, bin, dir string) (l *lab, err error) {
	redis.SetLogger(silence{}) // it speaks of every dial that fails
	l = &lab{dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.close())
		}
	}()
	if bin, err = filepath.Abs(bin); err != nil {
		return l, err
	}
	if l.redis, err = testenv.StartRedis(dir, testenv.WithArgs("--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction")); err != nil {
		return l, err
	}
	if l.mysql, err = testenv.StartMariaDB(); err != nil {
		return l, err
	}
	database, err := l.mysql.Database(ctx, "paidui")
	if err != nil {
		return l, err
	}
	l.broker, l.cache = l.client(brokerDB), l.client(cacheDB)
	if l.db, err = models.Open(ctx, database, models.Options{}); err != nil {
		return l, err
	}
	file := filepath.Join(dir, "schedules.yaml")
	if err := os.WriteFile(file, []byte(schedules), 0o600); err != nil {
		return l, err
	}
	if l.log, err = os.Create(filepath.Join(dir, "clients.jsonl")); err != nil {
		return l, err
	}
	var urls []string
	for _, name := range programNames() {
		p, err := l.start(name, bin, file)
		if err != nil {
			return l, err
		}
		if p.url != "" {
			urls = append(urls, p.url)
		}
	}
	l.clients = newClients(urls, l.log)
	return l, l.awaitReady(ctx, 3*time.Minute)
}

// client is a connection to the private Redis that does not go through a proxy.
func (l *lab) client(db int) *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr: l.redis.Addr, DB: db, MaxRetries: 3,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}

// start starts a program behind proxies of its own.
func (l *lab) start(name, bin, file string) (*program, error) {
	var ways []*testenv.Proxy
	for _, target := range []string{l.redis.Addr, l.mysql.Addr()} {
		way, err := testenv.StartProxy(target)
		if err != nil {
			return nil, err
		}
		ways = append(ways, way)
		l.proxies = append(l.proxies, way)
	}
	p, err := startProgram(name, bin, l.dir, []string{
		"PAIDUI_BROKER_URL=" + ways[0].URL(brokerDB),
		"PAIDUI_CACHE_URL=" + ways[0].URL(cacheDB),
		"PAIDUI_DATABASE_URL=mysql://root@" + ways[1].Addr + "/paidui",
		"PAIDUI_JWT_SECRET=" + jwtSecret,
		"PAIDUI_OPERATOR_KEY=" + operatorKey,
		"PAIDUI_PAYLOAD_KEYS=" + payloadKeys,
		"PAIDUI_TRUSTED_PROXIES=127.0.0.1/32",
		"PAIDUI_SCHEDULES=" + file,
		"PAIDUI_BACKEND_URL=http://localhost",
		"PAIDUI_TIMEZONE=UTC",
		"PAIDUI_CONCURRENCY=16",
	}, ways[0], ways[1])
	if err != nil {
		return nil, err
	}
	l.programs = append(l.programs, p)
	return p, nil
}

// awaitReady waits until all programs are ready.
func (l *lab) awaitReady(ctx context.Context, limit time.Duration) error {
	deadline := time.Now().Add(limit)
	for _, p := range l.programs {
		for {
			err := p.ready()
			if err == nil {
				break
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("after %s: %w", limit, err)
			}
			if !pause(ctx, 100*time.Millisecond) {
				return context.Cause(ctx)
			}
		}
	}
	return nil
}

func (l *lab) program(name string) *program {
	for _, p := range l.programs {
		if p.name == name {
			return p
		}
	}
	return nil
}

// close ends all that the lab has started. The files stay.
func (l *lab) close() error {
	for _, p := range l.programs {
		p.stop()
	}
	for _, p := range l.proxies {
		p.Close()
	}
	var errs []error
	for _, c := range []*redis.Client{l.broker, l.cache} {
		if c != nil {
			errs = append(errs, c.Close())
		}
	}
	if l.db != nil {
		errs = append(errs, models.Close(l.db))
	}
	if l.clients != nil {
		l.clients.http.CloseIdleConnections()
	}
	if l.log != nil {
		errs = append(errs, l.log.Close())
	}
	if l.redis != nil {
		l.redis.Kill()
	}
	if l.mysql != nil {
		l.mysql.Stop()
	}
	return errors.Join(errs...)
}
