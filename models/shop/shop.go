// Package shop holds the tables of the shop, the application that comes with Paidui, as GORM models, its migrations, and a
// small set of data to try things on.
package shop

import "time"

// Banner is one picture of the home page's carousel. Image is a path below /media or an absolute URL.
type Banner struct {
	ID        int64     `gorm:"primaryKey"`
	Title     string    `gorm:"size:64;not null"`
	Image     string    `gorm:"size:255;not null"`
	Link      string    `gorm:"size:255;not null"`
	Orders    int       `gorm:"not null;index:idx_banners_visible,priority:3"` // position, ascending
	IsShow    bool      `gorm:"not null;index:idx_banners_visible,priority:2"`
	IsDelete  bool      `gorm:"not null;index:idx_banners_visible,priority:1"`
	CreatedAt time.Time `gorm:"not null"`
	UpdatedAt time.Time `gorm:"not null"`
}

// Goods is one article of a flash sale. Price is in fen; Stock is what no order has taken yet.
type Goods struct {
	ID        int64     `gorm:"primaryKey"`
	Name      string    `gorm:"size:128;not null;uniqueIndex"`
	Price     int64     `gorm:"not null;check:chk_goods_price,price >= 0"`
	Stock     int64     `gorm:"not null;check:chk_goods_stock,stock >= 0"`
	StartsAt  time.Time `gorm:"not null"`
	EndsAt    time.Time `gorm:"not null"`
	CreatedAt time.Time `gorm:"not null"`
	UpdatedAt time.Time `gorm:"not null"`
}

// TableName keeps GORM from inflecting an uncountable noun.
func (Goods) TableName() string { return "goods" }

// Order is one piece sold: at most one a user and goods, and exactly one a task.
type Order struct {
	ID        int64     `gorm:"primaryKey"`
	OrderNo   string    `gorm:"size:32;not null;uniqueIndex"`
	UserID    int64     `gorm:"not null;uniqueIndex:idx_orders_user_goods,priority:1"`
	GoodsID   int64     `gorm:"not null;uniqueIndex:idx_orders_user_goods,priority:2;index"`
	TaskID    string    `gorm:"size:128;not null;uniqueIndex"`
	CreatedAt time.Time `gorm:"not null"`
}

// User is a person who logged in with a mobile number. Certi is the certificate shown beside the name, or "".
type User struct {
	ID        int64     `gorm:"primaryKey"`
	Mobile    string    `gorm:"size:16;not null;uniqueIndex"`
	Name      string    `gorm:"size:32;not null"`
	Photo     string    `gorm:"size:255;not null"`
	Intro     string    `gorm:"size:255;not null"`
	Certi     string    `gorm:"size:64;not null"`
	CreatedAt time.Time `gorm:"not null"`
	UpdatedAt time.Time `gorm:"not null"`
}

// Following says that UserID follows TargetID.
type Following struct {
	ID        int64     `gorm:"primaryKey"`
	UserID    int64     `gorm:"not null;uniqueIndex:idx_followings_user_target,priority:1;index:idx_followings_user_time,priority:1"`
	TargetID  int64     `gorm:"not null;uniqueIndex:idx_followings_user_target,priority:2;index"`
	CreatedAt time.Time `gorm:"not null;index:idx_followings_user_time,priority:2"`
}

// Article is a text that a user published.
type Article struct {
	ID        int64     `gorm:"primaryKey"`
	UserID    int64     `gorm:"not null;index"`
	Title     string    `gorm:"size:128;not null"`
	Content   string    `gorm:"type:mediumtext;not null"`
	CreatedAt time.Time `gorm:"not null"`
	UpdatedAt time.Time `gorm:"not null"`
}

// SMSMessage records what became of one sms.send task. Code and Content are kept by the outbox provider only.
type SMSMessage struct {
	ID        int64     `gorm:"primaryKey"`
	TaskID    string    `gorm:"size:128;not null;uniqueIndex"`
	Mobile    string    `gorm:"size:16;not null;index:idx_sms_messages_mobile_time,priority:1"`
	Code      string    `gorm:"size:8;not null"`
	Content   string    `gorm:"size:255;not null"`
	Provider  string    `gorm:"size:16;not null"`
	SerialNo  string    `gorm:"size:64;not null"` // the provider's, "" when it refused
	Fee       int64     `gorm:"not null"`         // messages charged
	Error     string    `gorm:"size:255;not null"`
	CreatedAt time.Time `gorm:"not null;index:idx_sms_messages_mobile_time,priority:2"`
	UpdatedAt time.Time `gorm:"not null"`
}

// TableName keeps GORM from splitting the initialism.
func (SMSMessage) TableName() string { return "sms_messages" }

// All lists one value of every model, in an order in which the tables can be made.
func All() []any {
	return []any{&Banner{}, &Goods{}, &Order{}, &User{}, &Following{}, &Article{}, &SMSMessage{}}
}
