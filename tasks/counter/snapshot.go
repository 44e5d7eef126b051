package counter

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"gorm.io/gorm"

	"github.com/paidui/paidui/models/cache"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/outbox"
	"github.com/paidui/paidui/tasks/refresh"
)

// snapshot is what the database says of some users at one moment.
type snapshot struct {
	users  []int64 // those that exist, ascending
	counts map[Kind]map[int64]int64
	under  map[Kind]map[int64][]pending // changes that are in the counts, and whose tasks have not ended
}

// pending is a change on its way.
type pending struct {
	origin origin
	delta  int64
}

func newSnapshot() *snapshot {
	c := &snapshot{counts: make(map[Kind]map[int64]int64), under: make(map[Kind]map[int64][]pending)}
	for _, k := range Kinds() {
		c.counts[k], c.under[k] = make(map[int64]int64), make(map[int64][]pending)
	}
	return c
}

// add takes in the changes of a task that concern users of the scope, and returns how many they were.
func (c *snapshot) add(task string, ids []string, in func(user int64) bool) int {
	added := 0
	o := originOf(task)
	byKind, _ := sumByUser(ids) // what can't be read is never counted
	for k, shares := range byKind {
		for _, s := range shares {
			if in(s.user) {
				c.under[k][s.user] = append(c.under[k][s.user], pending{o, s.delta})
				added++
			}
		}
	}
	return added
}

// sumByUser sums the changes of a task up, so that each user is in each kind once. It leaves out, and reports, what is none.
func sumByUser(ids []string) (map[Kind][]share, error) {
	var errs []error
	byKind := make(map[Kind][]share)
	type who struct {
		kind Kind
		user int64
	}
	places := make(map[who]int, len(ids))
	for _, id := range ids {
		c, err := parse(id)
		if err != nil {
			errs = append(errs, &cache.MalformedError{ID: id, Cause: err})
			continue
		}
		place, seen := places[who{c.kind, c.user}]
		if !seen {
			place = len(byKind[c.kind])
			places[who{c.kind, c.user}] = place
			byKind[c.kind] = append(byKind[c.kind], share{user: c.user})
		}
		byKind[c.kind][place].delta += c.delta
	}
	return byKind, errors.Join(errs...)
}

// source is the database, as reconciliation reads it.
type source interface {
	// total is how many users there are.
	total(ctx context.Context) (int64, error)
	// page returns how many users follow the given id, at most limit, and the last of them.
	page(ctx context.Context, after int64, limit int) (users int, last int64, err error)
	// snapshot counts the users of a scope, at one moment.
	snapshot(ctx context.Context, s scope) (*snapshot, error)
	// existing returns those of the ids that are users.
	existing(ctx context.Context, ids []int64) ([]int64, error)
}

// database is the source that there is.
type database struct{ db *gorm.DB }

func (d database) total(ctx context.Context) (int64, error) {
	var n int64
	if err := d.db.WithContext(ctx).Model(&shop.User{}).Count(&n).Error; err != nil {
		return 0, fmt.Errorf("count users: %w", err)
	}
	return n, nil
}

func (d database) page(ctx context.Context, after int64, limit int) (users int, last int64, err error) {
	var found struct{ Users, Last int64 }
	page := d.db.Model(&shop.User{}).Select("id").Where("id > ?", after).Order("id").Limit(limit)
	err = d.db.WithContext(ctx).Table("(?) AS page", page).
		Select("COUNT(*) AS users, COALESCE(MAX(id), 0) AS last").Scan(&found).Error
	if err != nil {
		return 0, 0, fmt.Errorf("read users: %w", err)
	}
	return int(found.Users), found.Last, nil
}

func (d database) existing(ctx context.Context, ids []int64) ([]int64, error) {
	var found []int64
	if err := d.db.WithContext(ctx).Model(&shop.User{}).Where("id IN ?", ids).Pluck("id", &found).Error; err != nil {
		return nil, fmt.Errorf("read users: %w", err)
	}
	return found, nil
}

// A snapshot reads this much of the outbox at most, and keeps this much of it. Some 30 µs a task, it holds up those who change
// the users in question; and a task stays in the outbox for a fraction of a second, while all is well.
const (
	maxOutbox  = 10_000 // tasks
	maxPending = 50_000 // changes of the scope's users
)

// errBacklog says that so many changes are on their way that it is better to wait until they have been counted.
var errBacklog = errors.New("too many changes of the caches wait in the outbox")

func (d database) snapshot(ctx context.Context, s scope) (*snapshot, error) {
	c := newSnapshot()
	// All is read from the snapshot that the first read makes. It locks nothing.
	opt := &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	err := d.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := within(tx.Model(&shop.User{}), "id", s).Order("id").Pluck("id", &c.users).Error; err != nil {
			return err
		}
		for _, k := range Kinds() {
			if err := d.count(tx, k, s, c.counts[k]); err != nil {
				return err
			}
		}
		return d.underway(tx, s, c)
	}, opt)
	if err != nil {
		return nil, fmt.Errorf("count in the database: %w", err)
	}
	return c, nil
}

// count reads the counts of a kind.
func (d database) count(tx *gorm.DB, k Kind, s scope, into map[int64]int64) error {
	from := tables[k]
	rows, err := within(tx.Table(from.table), from.column, s).Select(from.column + ", COUNT(*)").Group(from.column).Rows()
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var user, n int64
		if err := rows.Scan(&user, &n); err != nil {
			return err
		}
		into[user] = n
	}
	return rows.Err()
}

// one counts a single user.
func (d database) one(ctx context.Context, k Kind, user int64) (int64, error) {
	var n int64
	from := tables[k]
	if err := d.db.WithContext(ctx).Table(from.table).Where(from.column+" = ?", user).Count(&n).Error; err != nil {
		return 0, fmt.Errorf("count %s of user %d: %w", k, user, err)
	}
	return n, nil
}

// top reads the first n places of a ranking, in the order of ZREVRANGE.
func (d database) top(ctx context.Context, k Kind, n int) ([]Place, error) {
	from := tables[k]
	text := "CAST(" + from.column + " AS CHAR)"
	if d.db.Name() == "sqlite" {
		text = "CAST(" + from.column + " AS TEXT)"
	}
	var top []Place
	err := d.db.WithContext(ctx).Table(from.table).Select(from.column + " AS user, COUNT(*) AS count").
		Group(from.column).Order("count DESC, " + text + " DESC").Limit(n).Scan(&top).Error
	if err != nil {
		return nil, fmt.Errorf("rank users by %s: %w", k, err)
	}
	return top, nil
}

func within(tx *gorm.DB, column string, s scope) *gorm.DB {
	if s.users != nil {
		return tx.Where(column+" IN ?", s.users)
	}
	return tx.Where(column+" BETWEEN ? AND ?", s.lo, s.hi)
}

// underway reads the changes whose tasks have not ended.
func (d database) underway(tx *gorm.DB, s scope, c *snapshot) error {
	in := s.has
	if s.users != nil {
		listed := make(map[int64]bool, len(s.users))
		for _, u := range s.users {
			listed[u] = true
		}
		in = func(user int64) bool { return listed[user] }
	}
	kept := 0
	more, err := outbox.Each(tx, refresh.Changed.Name(), maxOutbox, func(p *tasks.OutboxMessage) error {
		if !bytes.Contains(p.Args(), []byte(applier)) {
			return nil
		}
		var args refresh.ChangedArgs
		if err := json.Unmarshal(p.Args(), &args); err != nil {
			return nil // its task fails, and counts nothing
		}
		if kept += c.add(p.ID(), idsOf(args.Changes), in); kept > maxPending {
			return errBacklog
		}
		return nil
	})
	if more {
		return errBacklog
	}
	return err
}

// idsOf lists the changes of counters.
func idsOf(changes []cache.Change) []string {
	var ids []string
	for _, c := range changes {
		if c.Cache == applier {
			ids = append(ids, c.ID)
		}
	}
	return ids
}
