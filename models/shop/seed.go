package shop

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/paidui/paidui/models"
)

// Seeded is what Seed has made of those tables whose rows are cached one by one.
type Seeded struct {
	Users      []*User
	Followings []*Following
	Articles   []*Article
}

// Seed fills an empty database with a small data set to look at: banners, goods of which two are on sale at now,
// users who follow each other, and articles. It reports false, and changes nothing, when there is any banner,
// any goods or any user already. Any number of programs may call it at once; one of them seeds. within, unless it is
// nil, is called in the transaction that seeds, with what that has made; its error undoes all.
func Seed(ctx context.Context, db *gorm.DB, now time.Time, within func(tx *gorm.DB, made Seeded) error) (seeded bool, err error) {
	db = db.WithContext(ctx)
	work := func(tx *gorm.DB) error {
		empty, err := isEmpty(tx)
		if err != nil || !empty {
			return err
		}
		made, err := fill(tx, now.UTC().Truncate(time.Microsecond))
		if err == nil && within != nil {
			err = within(tx, made)
		}
		seeded = err == nil
		return err
	}
	if db.Name() == "sqlite" {
		err = db.Transaction(work) // its lock makes others wait
	} else {
		err = db.Connection(func(conn *gorm.DB) error { return models.TransactLocked(ctx, conn, "seed", work) })
	}
	if err != nil {
		return false, fmt.Errorf("seeding the database: %w", err)
	}
	return seeded, nil
}

func isEmpty(tx *gorm.DB) (bool, error) {
	for _, model := range []any{&Banner{}, &Goods{}, &User{}} {
		var found int64
		if err := tx.Model(model).Limit(1).Count(&found).Error; err != nil || found > 0 {
			return false, err
		}
	}
	return true, nil
}

func fill(tx *gorm.DB, now time.Time) (made Seeded, err error) {
	made.Users = seedUsers()
	if err := createEach(tx, made.Users); err != nil {
		return made, err
	}
	made.Followings = seedFollowings(made.Users, now)
	made.Articles = seedArticles(made.Users, now)
	if err := createEach(tx, made.Articles); err != nil {
		return made, err
	}
	for _, rows := range []any{seedBanners(), seedGoods(now), made.Followings} {
		if err := tx.Create(rows).Error; err != nil {
			return made, err
		}
	}
	return made, nil
}

// createEach makes rows one by one: in a batch, GORM guesses all ids but the first.
func createEach[T any](tx *gorm.DB, rows []T) error {
	for _, row := range rows {
		if err := tx.Create(row).Error; err != nil {
			return err
		}
	}
	return nil
}

func seedBanners() []*Banner {
	return []*Banner{
		{Title: "限时秒杀 · 手慢无", Image: "/media/banner-1.svg", Link: "/#goods", Orders: 1, IsShow: true},
		{Title: "旗舰手机 · 新机首发", Image: "/media/banner-2.svg", Link: "/#login", Orders: 2, IsShow: true},
		{Title: "有序排队 · 一单不丢", Image: "/media/banner-3.svg", Link: "/#goods", Orders: 3, IsShow: true},
		{Title: "准点开抢 · 每晚八点", Image: "/media/banner-4.svg", Link: "/#goods", Orders: 4, IsShow: false},
	}
}

func seedGoods(now time.Time) []*Goods {
	const day = 24 * time.Hour
	hour := now.Truncate(time.Hour)
	return []*Goods{
		{Name: "机械键盘 87 键 青轴", Price: 19_900, Stock: 50, StartsAt: hour.Add(-time.Hour), EndsAt: hour.Add(30 * day)},
		{Name: "降噪蓝牙耳机", Price: 39_900, Stock: 100, StartsAt: hour.Add(-2 * time.Hour), EndsAt: hour.Add(30 * day)},
		{Name: "明前龙井 250 克", Price: 16_800, Stock: 200, StartsAt: hour.Add(day), EndsAt: hour.Add(31 * day)},
		{Name: "保温杯 500 毫升", Price: 5_900, Stock: 12, StartsAt: hour.Add(-8 * day), EndsAt: hour.Add(-day)},
	}
}

func seedUsers() []*User {
	return []*User{
		{Mobile: "13800138001", Name: "林小雨", Intro: "写代码，也写字", Certi: "后端工程师"},
		{Mobile: "13800138002", Name: "陈默", Intro: "数码爱好者，专注开箱", Certi: "数码达人"},
		{Mobile: "13800138003", Name: "王大锤", Intro: "每天都想早点下班"},
		{Mobile: "13800138004", Name: "苏青", Intro: "喝茶，看云，走路"},
	}
}

// seedFollowings: everybody follows the first user, and some each other, each a minute after the one before.
func seedFollowings(users []*User, now time.Time) []*Following {
	pairs := [][2]int{{1, 0}, {2, 0}, {3, 0}, {0, 1}, {2, 1}, {0, 3}}
	rows := make([]*Following, len(pairs))
	for i, pair := range pairs {
		rows[i] = &Following{
			UserID:    users[pair[0]].ID,
			TargetID:  users[pair[1]].ID,
			CreatedAt: now.Add(time.Duration(i-len(pairs)) * time.Minute),
		}
	}
	return rows
}

func seedArticles(users []*User, now time.Time) []*Article {
	rows := []*Article{
		{UserID: users[0].ID, Title: "为什么要用任务队列", Content: "慢的事情交给队列，请求就能立刻返回。短信、下单、刷新缓存，都是这样的事情。"},
		{UserID: users[0].ID, Title: "秒杀不超卖的三道关", Content: "先在 Redis 里占名额，再在事务里减库存，最后靠唯一索引兜底。"},
		{UserID: users[1].ID, Title: "青轴还是红轴", Content: "在办公室里，同事的意见比自己的手感重要。"},
		{UserID: users[3].ID, Title: "龙井怎么泡", Content: "水温八十五度，先放水，后放茶，等它慢慢沉下去。"},
	}
	for i, row := range rows {
		row.CreatedAt = now.Add(time.Duration(i-len(rows)) * time.Hour)
		row.UpdatedAt = row.CreatedAt
	}
	return rows
}
