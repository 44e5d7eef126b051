package redisx

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Need is what a program does with a Redis, and what it costs when the server refuses it.
type Need struct {
	Cost  string // what goes on without it, or does not
	Vital bool   // nothing goes on

	Commands [][]any  // asked as they stand, in this order; they must change nothing that counts
	Publish  []string // channels
	Listen   []string // channels
}

// Lack is a need that a server refuses.
type Lack struct {
	Rights []string // such as "PUBLISH paidui:events" or "HSET"
	Cost   string
	Vital  bool
}

func (l Lack) String() string { return "no leave for " + strings.Join(l.Rights, ", ") + ": " + l.Cost }

// Probe asks the server for each of the needs, by doing it: ACL DRYRUN is not on every server, nor for every user. What
// it publishes is empty. An error says that the server could not be asked.
func Probe(ctx context.Context, rdb redis.UniversalClient, needs []Need) ([]Lack, error) {
	var lacks []Lack
	for _, n := range needs {
		refused, err := n.probe(ctx, rdb)
		if err != nil {
			return nil, fmt.Errorf("ask redis for this user's rights: %w", err)
		}
		if len(refused) > 0 {
			lacks = append(lacks, Lack{Rights: refused, Cost: n.Cost, Vital: n.Vital})
		}
	}
	return lacks, nil
}

func (n Need) probe(ctx context.Context, rdb redis.UniversalClient) (refused []string, err error) {
	ask := func(name string, err error) error {
		switch {
		case Refused(err):
			if !slices.Contains(refused, name) {
				refused = append(refused, name)
			}
			return nil
		case err != nil && !isReply(err):
			return err
		}
		return nil // whatever else it says, it was allowed
	}
	pipe := rdb.Pipeline()
	for _, c := range n.Commands {
		pipe.Do(ctx, c...)
	}
	for _, c := range n.Publish {
		pipe.Publish(ctx, c, "")
	}
	if pipe.Len() > 0 {
		cmds, _ := pipe.Exec(ctx) // each command has its own error
		for i, cmd := range cmds {
			name := strings.ToUpper(cmd.Name())
			if i >= len(n.Commands) {
				name = "PUBLISH " + n.Publish[i-len(n.Commands)]
			} else if keyed := redis.IsPermissionError(cmd.Err()) && strings.Contains(cmd.Err().Error(), "key"); keyed {
				name += " " + fmt.Sprint(cmd.Args()[1])
			}
			if err := ask(name, cmd.Err()); err != nil {
				return nil, err
			}
		}
	}
	for _, channel := range n.Listen {
		if err := ask("SUBSCRIBE "+channel, listen(ctx, rdb, channel)); err != nil {
			return nil, err
		}
	}
	return refused, nil
}

// listen subscribes for a moment.
func listen(ctx context.Context, rdb redis.UniversalClient, channel string) error {
	sub := rdb.Subscribe(ctx, channel)
	defer sub.Close() // it is only to be tried
	_, err := sub.ReceiveTimeout(ctx, probeLimit)
	return err
}

// probeLimit is how long one answer of a probe may take.
const probeLimit = 5 * time.Second

// ProbeKey is a key that nothing else has: the prefix, and behind it a random text in a hash tag, so that a probe of
// many commands stays in one slot.
func ProbeKey(prefix string) string { return prefix + "{rights:" + rand.Text() + "}" }

// recheck is how old the answers of a Rights get.
const recheck = time.Minute

// Rights knows what the user of one Redis lacks. It may be used concurrently.
type Rights struct {
	setting string // names the Redis in the log
	rdb     redis.UniversalClient
	needs   func() []Need
	log     *slog.Logger
	now     func() time.Time

	mu    sync.Mutex
	asked time.Time
	known atomic.Pointer[[]Lack]
}

// NewRights makes a Rights that has not asked yet.
func NewRights(setting string, rdb redis.UniversalClient, needs func() []Need, log *slog.Logger) *Rights {
	return &Rights{setting: setting, rdb: rdb, needs: needs, log: log, now: time.Now}
}

// Known is what the last Lacks found. It asks nothing and does not wait.
func (r *Rights) Known() []Lack {
	if known := r.known.Load(); known != nil {
		return *known
	}
	return nil
}

// Lacks is what the server refuses this user, as of a minute ago at most. What is new is logged: a lack as a warning
// that names the right and the cost. A server that can't be asked leaves it at what was known.
func (r *Rights) Lacks(ctx context.Context) []Lack {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.Known()
	if !r.asked.IsZero() && r.now().Sub(r.asked) < recheck {
		return known
	}
	lacks, err := Probe(ctx, r.rdb, r.needs())
	if err != nil {
		r.log.DebugContext(ctx, "the rights of the redis user are not known", "setting", r.setting, "error", err)
		return known
	}
	before := make(map[string]bool)
	for _, l := range known {
		before[l.String()] = true
	}
	for _, l := range lacks {
		if !before[l.String()] {
			r.log.WarnContext(ctx, "the redis user lacks rights", "setting", r.setting, "rights", l.Rights, "cost", l.Cost)
		}
	}
	if len(known) > 0 && len(lacks) == 0 {
		r.log.InfoContext(ctx, "the redis user has all rights now", "setting", r.setting)
	}
	r.asked = r.now()
	r.known.Store(&lacks)
	return lacks
}

// Check is an error when something is refused that nothing goes on without.
func (r *Rights) Check(ctx context.Context) error {
	for _, l := range r.Lacks(ctx) {
		if l.Vital {
			return fmt.Errorf("%s: %s", r.setting, l)
		}
	}
	return nil
}

// Notes are the lacks that only make something slower, or leave it out.
func (r *Rights) Notes(ctx context.Context) []string {
	var notes []string
	for _, l := range r.Lacks(ctx) {
		if !l.Vital {
			notes = append(notes, fmt.Sprintf("%s: %s", r.setting, l))
		}
	}
	return notes
}
