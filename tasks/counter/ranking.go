package counter

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/paidui/paidui/tasks/profiles"
)

// Ranked is a line of a ranking.
type Ranked struct {
	Rank  int        `json:"rank"` // from 1
	Count int64      `json:"count"`
	User  RankedUser `json:"user"`
}

// RankedUser is what a ranking shows of a user.
type RankedUser struct {
	ID    int64  `json:"id"`
	Name  string `json:"name"`
	Photo string `json:"photo"`
}

// MaxTop is the length of the longest ranking.
const MaxTop = 1000

const (
	rankingNear  = time.Second // how long a process keeps a ranking
	rankingStale = time.Minute // and how long when no other can be had
	rankingLimit = 5 * time.Second

	leastPage = 50 // places read at a time
	maxPages  = 20 // of places, for a ranking: if so many users are gone, it is short until they are reconciled
)

// ranking is the first users of a kind, encoded. Its zero value is older than any.
type ranking struct {
	lines []Ranked
	size  int       // for how many lines it was read; there are fewer when there are no more users
	made  time.Time // when

	// The JSON of the first n lines is data up to ends[n-1], and a bracket.
	data []byte
	ends []int
	tags []string // entity tags
}

// rankings keeps the latest of each kind.
type rankings struct {
	mu     sync.Mutex
	latest map[Kind]*ranking
}

func (r *rankings) get(k Kind) *ranking {
	r.mu.Lock()
	defer r.mu.Unlock()
	if found := r.latest[k]; found != nil {
		return found
	}
	return &ranking{}
}

func (r *rankings) set(k Kind, latest *ranking) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.latest[k] = latest
}

// fit tells whether it has n lines, or all there are, and is no older than age.
func (r *ranking) fit(n int, age time.Duration) bool { return n <= r.size && time.Since(r.made) < age }

// EncodedTop returns, as a JSON array of Ranked, the first n users of a kind, 1 to MaxTop: those with the highest counts
// first, and where counts are the same in descending order of the text of their ids. Users without any, and those who are
// gone, are not among them. It is up to a second old; a few seconds while it comes from the database; and up to a minute
// while neither answers. etag is a strong entity tag of data.
func (c *Counters) EncodedTop(ctx context.Context, k Kind, n int) (data []byte, etag string, err error) {
	r, err := c.ranking(ctx, k, n)
	if err != nil {
		return nil, "", err
	}
	data, etag = r.encoded(n)
	return data, etag, nil
}

func (c *Counters) ranking(ctx context.Context, k Kind, n int) (*ranking, error) {
	if _, known := tables[k]; !known || n < 1 || n > MaxTop {
		return nil, fmt.Errorf("top %d of %q: there is no such ranking", n, k)
	}
	r := c.rankings.get(k)
	if r.fit(n, rankingNear) {
		return r, nil
	}
	size := MaxTop
	if n <= 100 {
		size = 100
	}
	made, err := shared(ctx, c, string(k)+" "+strconv.Itoa(size), func(ctx context.Context) (*ranking, error) {
		ctx, cancel := context.WithTimeout(ctx, rankingLimit)
		defer cancel()
		made, err := c.rank(ctx, k, size)
		if err == nil {
			c.rankings.set(k, made)
		}
		return made, err
	})
	switch {
	case err == nil:
		return made, nil
	case r.fit(n, rankingStale):
		return r, nil
	}
	return nil, fmt.Errorf("ranking by %s: %w", k, err)
}

// rank reads a ranking anew. The places of users who are gone are filled by those who come next.
func (c *Counters) rank(ctx context.Context, k Kind, size int) (*ranking, error) {
	r := &ranking{size: size, made: time.Now()}
	seen := make(map[int64]bool)
	for from, page := 0, 0; len(r.lines) < size && page < maxPages; page++ {
		want := max(size-len(r.lines), leastPage)
		places, err := c.places(ctx, k, from, want)
		if err != nil {
			return nil, err
		}
		var ids []int64
		for _, p := range places {
			if p.User > 0 && !seen[p.User] { // who has risen meanwhile is in two pages
				ids = append(ids, p.User)
			}
		}
		profiles := map[int64]profiles.Profile{}
		if len(ids) > 0 {
			if profiles, err = c.profiles.GetMany(ctx, ids); err != nil {
				return nil, err
			}
		}
		for _, p := range places {
			user, exists := profiles[p.User]
			if !exists || seen[p.User] || len(r.lines) == size {
				continue
			}
			seen[p.User] = true
			r.lines = append(r.lines, Ranked{len(r.lines) + 1, p.Count, RankedUser{user.ID, user.Name, user.Photo}})
		}
		if from += len(places); len(places) < want {
			break
		}
	}
	return r, r.encode()
}

// encode makes the JSON of all lines.
func (r *ranking) encode() error {
	r.data = []byte{'['}
	sum := sha256.New()
	for i, line := range r.lines {
		if i > 0 {
			r.data = append(r.data, ',')
		}
		text, err := json.Marshal(line)
		if err != nil {
			return fmt.Errorf("encode a ranking: %w", err)
		}
		r.data = append(r.data, text...)
		sum.Write(text) // which never fails
		r.ends = append(r.ends, len(r.data))
		r.tags = append(r.tags, `"`+base64.RawURLEncoding.EncodeToString(sum.Sum(nil)[:16])+`"`)
	}
	return nil
}

// encoded is the JSON of the first n lines, and its tag.
func (r *ranking) encoded(n int) ([]byte, string) {
	n = min(n, len(r.lines))
	if n == 0 {
		return []byte("[]"), `"none"`
	}
	data := make([]byte, 0, r.ends[n-1]+1)
	return append(append(data, r.data[:r.ends[n-1]]...), ']'), r.tags[n-1]
}
