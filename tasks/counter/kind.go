package counter

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/paidui/paidui/models/cache"
)

// Kind is what is counted of each user.
type Kind string

// The kinds.
const (
	Articles   Kind = "articles"   // that the user has published
	Followings Kind = "followings" // users whom the user follows
	Followers  Kind = "followers"  // users who follow the user
)

// Kinds lists all of them.
func Kinds() []Kind { return []Kind{Articles, Followings, Followers} }

// Key is where the counts are: a sorted set with users' ids as members and their counts, 1 and more, as scores. Other
// programs may read it.
func (k Kind) Key() string { return "count:user:" + tables[k].key }

// tables says how a kind is counted in the database: by the rows of a table with the user in the column.
var tables = map[Kind]struct{ key, table, column string }{
	Articles:   {"arts", "articles", "user_id"},
	Followings: {"followings", "followings", "user_id"},
	Followers:  {"followers", "followings", "target_id"},
}

// applier is the name in the changes of all kinds.
const applier = "counters"

// Change says that a write has made a user's count delta more: +1 for a row that was really inserted, -1 for one that
// was really deleted. Give it to cache.Store.Write with the write's other changes.
func Change(kind Kind, user, delta int64) cache.Change {
	return cache.Change{Cache: applier, ID: fmt.Sprintf("%s:%d:%+d", kind, user, delta)}
}

// change is a Change that was read.
type change struct {
	kind  Kind
	user  int64
	delta int64
}

// maxDelta bounds a change, so that no sum of the changes of one task leaves the range of an exact score.
const maxDelta = 1 << 31

// parse reads the ID of a Change.
func parse(id string) (change, error) {
	kind, rest, _ := strings.Cut(id, ":")
	user, delta, ok := strings.Cut(rest, ":")
	c := change{kind: Kind(kind)}
	if _, known := tables[c.kind]; !known || !ok {
		return c, errors.New("want <kind>:<user>:<delta>")
	}
	var err error
	if c.user, err = strconv.ParseInt(user, 10, 64); err != nil || c.user <= 0 {
		return c, fmt.Errorf("%q is no user", user)
	}
	if c.delta, err = strconv.ParseInt(delta, 10, 64); err != nil || c.delta > maxDelta || c.delta < -maxDelta {
		return c, fmt.Errorf("%q is no delta", delta)
	}
	return c, nil
}
