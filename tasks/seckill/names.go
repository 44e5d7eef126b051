package seckill

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	// nameTTL is how long a change of a name may go unnoticed in the other processes.
	nameTTL = 2 * time.Second
	// nameLimit bounds how many names are remembered, known and unknown.
	nameLimit = 1000
	// nameTimeout bounds one look-up.
	nameTimeout = 5 * time.Second
)

// names remembers for nameTTL which goods have a name, or that none have it, so that the requests for a sale that is
// entered by name do not each cost a query.
type names struct {
	find    func(ctx context.Context, name string) (int64, error)
	queries singleflight.Group

	mu    sync.Mutex
	found map[string]named
	epoch int // counts the calls of forget
}

type named struct {
	id    int64 // 0 when there are no such goods
	until time.Time
}

func newNames(find func(ctx context.Context, name string) (int64, error)) *names {
	return &names{find: find, found: make(map[string]named)}
}

// id is the goods' id, or ErrUnknownGoods.
func (n *names) id(ctx context.Context, name string) (int64, error) {
	found, epoch := n.get(name)
	if !time.Now().Before(found.until) {
		var err error
		if found, err = n.query(ctx, name, epoch); err != nil {
			return 0, err
		}
	}
	if found.id == 0 {
		return 0, ErrUnknownGoods
	}
	return found.id, nil
}

func (n *names) get(name string) (found named, epoch int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.found[name], n.epoch
}

// query makes one query for all who ask in the same epoch. It goes on when ctx ends, for the others.
func (n *names) query(ctx context.Context, name string, epoch int) (named, error) {
	done := n.queries.DoChan(strconv.Itoa(epoch)+" "+name, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), nameTimeout)
		defer cancel()
		id, err := n.find(ctx, name)
		if err != nil && !errors.Is(err, ErrUnknownGoods) {
			return named{}, err
		}
		found := named{id: id, until: time.Now().Add(nameTTL)}
		n.put(name, found, epoch)
		return found, nil
	})
	select {
	case <-ctx.Done():
		return named{}, ctx.Err()
	case r := <-done:
		return r.Val.(named), r.Err
	}
}

// put keeps what was found, unless names were forgotten since the epoch.
func (n *names) put(name string, found named, epoch int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if epoch != n.epoch {
		return
	}
	if len(n.found) >= nameLimit {
		clear(n.found)
	}
	n.found[name] = found
}

// forget makes every later call of id look anew.
func (n *names) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.epoch++
	clear(n.found)
}
