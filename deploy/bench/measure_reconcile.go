package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/counter"
)

// measureReconcile has the real worker reconcile the counters of a million users, with an empty Redis and once more when
// all is right. It gives users a second of both, by how much the worker's memory ever exceeded what it has at rest, and how
// many different reports of its progress were seen.
func measureReconcile(ctx context.Context, l *lab) ([]measurement, error) {
	if err := l.flush(ctx); err != nil {
		return nil, err
	}
	users := l.pick(1_000_000, 50_000)
	shop := l.database
	defer func() { l.database = shop }()
	if err := l.openCrowd(ctx, users); err != nil {
		return nil, err
	}
	worker, err := l.startWorker(ctx)
	if err != nil {
		return nil, err
	}
	if err := pause(ctx, l.settle()); err != nil {
		return nil, err
	}
	idle, err := worker.memory("VmRSS")
	if err != nil {
		return nil, err
	}
	built, reports, err := l.reconcile(ctx, users, users)
	if err != nil {
		return nil, err
	}
	checked, _, err := l.reconcile(ctx, users, 0)
	if err != nil {
		return nil, err
	}
	peak, err := worker.memory("VmHWM")
	return []measurement{{value: built}, {value: checked}, {value: peak - idle}, {value: reports}}, err
}

// openCrowd makes a database of n users, each with an article, who all follow somebody, and has the lab's programs use it.
func (l *lab) openCrowd(ctx context.Context, n int) error {
	if err := l.makeDatabase(ctx, "crowd"); err != nil {
		return err
	}
	db, err := l.openShop(ctx)
	if err != nil {
		return err
	}
	defer closeShop(db)
	return fillCrowd(db.WithContext(ctx), n)
}

// fillCrowd has the server make up the rows, 50,000 in a transaction.
func fillCrowd(db *gorm.DB, n int) error {
	const each = 50_000
	for first := 1; first <= n; first += each {
		from := " FROM " + testenv.Numbers(first, min(first+each-1, n))
		for _, rows := range []string{
			"INSERT INTO users (id, mobile, name, photo, intro, certi, created_at, updated_at)" +
				" SELECT seq, CONCAT('m', seq), CONCAT('user ', seq), '', '', '', NOW(), NOW()" + from,
			"INSERT INTO articles (user_id, title, content, created_at, updated_at) SELECT seq, 't', 'c', NOW(), NOW()" + from,
			fmt.Sprintf("INSERT INTO followings (user_id, target_id, created_at) SELECT seq, seq * 7919 %% %d + 1, NOW()", n) + from,
		} {
			if err := db.Exec(rows).Error; err != nil {
				return fmt.Errorf("make users: %w", err)
			}
		}
	}
	return nil
}

// reconcile runs refresh.counters, and holds it to the number of counts of each kind that it has to repair. It returns users
// a second, and how many different reports of the progress were seen.
func (l *lab) reconcile(ctx context.Context, users, repaired int) (rate, reports float64, err error) {
	b, err := broker.Open(ctx, l.redisURL(brokerDB), broker.Options{})
	if err != nil {
		return 0, 0, err
	}
	defer b.Close()
	client := tasks.NewClient(b)
	ctx, cancel := context.WithTimeoutCause(ctx, runPatience, errors.New("the counters were not reconciled in time"))
	defer cancel()
	begun := time.Now()
	made, err := counter.Reconcile.Enqueue(ctx, client, counter.Args{})
	if err != nil {
		return 0, 0, err
	}
	seen := make(map[string]bool)
	for {
		info, err := client.Info(ctx, made.ID())
		if err != nil {
			return 0, 0, err
		}
		if info.Progress != nil {
			seen[fmt.Sprint(info.Progress.Done, info.Progress.Note)] = true
		}
		if info.State.Final() {
			break
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return 0, 0, err
		}
	}
	took := time.Since(begun)
	got, err := made.Get(ctx)
	if err != nil {
		return 0, 0, err
	}
	// Each of them follows another, and is followed by another.
	n := int64(repaired)
	if want := (counter.Result{Users: int64(users), Repaired: counter.Sums{Articles: n, Followings: n, Followers: n}}); got != want {
		return 0, 0, fmt.Errorf("reconciled %+v, want %+v", got, want)
	}
	return float64(users) / took.Seconds(), float64(len(seen)), nil
}
