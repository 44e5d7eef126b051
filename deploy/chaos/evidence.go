package main

import (
	"context"
	"fmt"
	"time"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/shop"
)

// evidence is what the stores and the APIs say after an act, when all is healed and quiet.
type evidence struct {
	Act           string
	Begun, Healed time.Time
	Wipes         []span // when Redis lost its data
	Restless      []string
	LastRestless  string // what was waited for last

	// Of MySQL.
	Goods      map[int64]shop.Goods
	Orders     []shop.Order
	Users      []shop.User
	Banners    []shop.Banner
	Articles   []shop.Article
	Followings []shop.Following
	Texts      []shop.SMSMessage
	Outbox     []models.OutboxRow
	Records    map[string]string // state by task id

	// Of Redis.
	Strays   []string           // tasks that are not where they should be
	Pending  map[int64]int      // reservations by goods
	Admitted map[int64][]string // users by goods
	Cached   map[string]string  // by key
	Ticks    []string           // ids of the schedules' tasks

	// Of the APIs.
	Tasks   map[string]task    // by id; what is not found is not in it
	Tickets map[string]outcome // by task id
	Views   []view             // one of each API

	// Of the programs' logs.
	Trouble []string // what they should not have
	Ran     []string // durable ticks whose tasks have succeeded
}

// span is a time from a beginning to an end.
type span struct{ Begun, Ended time.Time }

// lastWipe is when Redis had lost its data for the last time; the zero time when it never did.
func (e *evidence) lastWipe() (last time.Time) {
	for _, w := range e.Wipes {
		if w.Ended.After(last) {
			last = w.Ended
		}
	}
	return last
}

// gather reads the evidence of an act.
func gather(ctx context.Context, l *lab, b *book, e *evidence, users []user) error {
	if err := e.readDatabase(ctx, l); err != nil {
		return err
	}
	if err := e.readRedis(ctx, l, b); err != nil {
		return err
	}
	return e.askAPIs(ctx, l, b, users)
}

func (e *evidence) readDatabase(ctx context.Context, l *lab) error {
	db := l.db.WithContext(ctx)
	var goods []shop.Goods
	for _, into := range []any{&goods, &e.Orders, &e.Users, &e.Banners, &e.Articles, &e.Followings, &e.Texts, &e.Outbox} {
		if err := db.Order("id").Find(into).Error; err != nil {
			return fmt.Errorf("read the database: %w", err)
		}
	}
	e.Goods = make(map[int64]shop.Goods, len(goods))
	for _, g := range goods {
		e.Goods[g.ID] = g
	}
	var records []models.TaskRecord
	if err := db.Select("task_id", "state").Find(&records).Error; err != nil {
		return fmt.Errorf("read the history: %w", err)
	}
	e.Records = make(map[string]string, len(records))
	for _, r := range records {
		e.Records[r.TaskID] = r.State
	}
	return nil
}
