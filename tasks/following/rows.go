package following

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/paidui/paidui/models/shop"
)

// rows reads the table followings. It knows nothing of Redis.
type rows struct{ db *gorm.DB }

func (r rows) of(ctx context.Context, user int64) *gorm.DB {
	return r.db.WithContext(ctx).Model(&shop.Following{}).Where("user_id = ?", user)
}

// inTime is of, for what goes by time. Without a word MySQL sorts all rows of a user who has a large part of the table.
func (r rows) inTime(ctx context.Context, user int64) *gorm.DB {
	q := r.of(ctx, user)
	if r.db.Name() == "sqlite" {
		return q
	}
	return q.Table("followings FORCE INDEX (idx_followings_user_time)")
}

func entryOf(row shop.Following) Entry { return Entry{row.TargetID, row.CreatedAt.UTC()} }

// some reads which of the targets the user follows, and since when.
func (r rows) some(ctx context.Context, user int64, targets []int64) (map[int64]Entry, error) {
	var found []shop.Following
	err := r.of(ctx, user).Where("target_id IN ?", targets).Select("target_id", "created_at").Find(&found).Error
	if err != nil {
		return nil, err
	}
	entries := make(map[int64]Entry, len(found))
	for _, row := range found {
		entries[row.TargetID] = entryOf(row)
	}
	return entries, nil
}

func (r rows) count(ctx context.Context, user int64) (n int64, err error) {
	err = r.of(ctx, user).Count(&n).Error
	return n, err
}

// place is a row in the order of the index (user_id, created_at, id).
type place struct {
	at time.Time
	id int64
}

// newest reads up to n rows after a place, newest first, and the place of the last. Rows of the same time come in any
// order. The zero place is before all.
func (r rows) newest(ctx context.Context, user int64, after place, n int) ([]Entry, place, error) {
	q := r.inTime(ctx, user)
	if after.id != 0 {
		q = q.Where("created_at <= ? AND NOT (created_at = ? AND id >= ?)", after.at, after.at, after.id)
	}
	var found []shop.Following
	err := q.Order("created_at DESC, id DESC").Limit(n).Select("id", "target_id", "created_at").Find(&found).Error
	if err != nil || len(found) == 0 {
		return nil, after, err
	}
	entries := make([]Entry, len(found))
	for i, row := range found {
		entries[i] = entryOf(row)
	}
	last := found[len(found)-1]
	return entries, place{last.CreatedAt, last.ID}, nil
}

// page reads n entries from a place on, 0 being the newest, in the order of Entry.before. The index gives the times of a
// page, and these the rows: so the rest of a long list is not sorted.
func (r rows) page(ctx context.Context, user int64, first, n int) ([]Entry, error) {
	begin := max(first-1, 0) // to see whether the page begins among entries of the same time
	var times []time.Time
	err := r.inTime(ctx, user).Order("created_at DESC").Offset(begin).Limit(n+first-begin).Pluck("created_at", &times).Error
	if err != nil || len(times) <= first-begin {
		return nil, err
	}
	from, to := times[first-begin], times[len(times)-1]
	skip := int64(0)
	if first > begin && times[0].Equal(from) {
		var newer int64
		if err := r.inTime(ctx, user).Where("created_at > ?", from).Count(&newer).Error; err != nil {
			return nil, err
		}
		skip = max(int64(first)-newer, 0)
	}
	var found []shop.Following
	err = r.inTime(ctx, user).Where("created_at BETWEEN ? AND ?", to, from).
		Order("created_at DESC, CAST(target_id AS CHAR) DESC").Offset(int(skip)).Limit(n).
		Select("target_id", "created_at").Find(&found).Error
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, len(found))
	for i, row := range found {
		entries[i] = entryOf(row)
	}
	return entries, nil
}
