package seckill

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// directory is a table of goods by name.
type directory struct {
	mu    sync.Mutex
	ids   map[string]int64
	asked int
	err   error
	slow  chan struct{} // when not nil, each look-up waits for it after it has read
}

func (d *directory) find(_ context.Context, name string) (int64, error) {
	d.mu.Lock()
	d.asked++
	id, err, slow := d.ids[name], d.err, d.slow
	d.mu.Unlock()
	if slow != nil {
		<-slow
	}
	if err == nil && id == 0 {
		err = ErrUnknownGoods
	}
	return id, err
}

func (d *directory) put(name string, id int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ids[name] = id
}

func (d *directory) quicken() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.slow = nil
}

func (d *directory) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked
}

func TestNamesAreRememberedForAMoment(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &directory{ids: map[string]int64{"phone": 7}}
		n := newNames(d.find)
		for range 100 {
			id, err := n.id(t.Context(), "phone")
			require.NoError(t, err)
			require.EqualValues(t, 7, id)
			_, err = n.id(t.Context(), "nothing")
			require.ErrorIs(t, err, ErrUnknownGoods)
		}
		require.Equal(t, 2, d.asked, "also what is not there is asked for once")

		d.put("phone", 8)
		d.put("nothing", 9)
		time.Sleep(nameTTL)
		for name, want := range d.ids {
			id, err := n.id(t.Context(), name)
			require.NoError(t, err)
			require.Equal(t, want, id)
		}

		d.put("phone", 10)
		n.forget()
		id, err := n.id(t.Context(), "phone")
		require.NoError(t, err)
		require.EqualValues(t, 10, id)
	})
}

func TestNamesDoNotRememberFaults(t *testing.T) {
	t.Parallel()
	d := &directory{ids: map[string]int64{"phone": 7}, err: errors.New("no database")}
	n := newNames(d.find)
	_, err := n.id(t.Context(), "phone")
	require.ErrorIs(t, err, d.err)
	d.err = nil
	id, err := n.id(t.Context(), "phone")
	require.NoError(t, err)
	require.EqualValues(t, 7, id)
}

func TestNamesAreBounded(t *testing.T) {
	t.Parallel()
	d := &directory{}
	n := newNames(d.find)
	for i := range 3 * nameLimit {
		_, err := n.id(t.Context(), fmt.Sprint(i))
		require.ErrorIs(t, err, ErrUnknownGoods)
	}
	require.LessOrEqual(t, len(n.found), nameLimit)
}

func TestALookUpFromBeforeAChangeIsNotRemembered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &directory{ids: map[string]int64{"phone": 7}, slow: make(chan struct{})}
		n := newNames(d.find)
		var early sync.WaitGroup
		for range 20 { // share one look-up, each as long as its own context
			early.Go(func() {
				id, err := n.id(context.Background(), "phone")
				if err != nil || id != 7 {
					t.Errorf("got %d, %v", id, err)
				}
			})
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := n.id(ctx, "phone")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 1, d.count())

		slow := d.slow
		d.put("phone", 8)
		d.quicken()
		n.forget()
		look := func() {
			id, err := n.id(t.Context(), "phone")
			require.NoError(t, err)
			require.EqualValues(t, 8, id)
		}
		look() // while the early ones still wait
		close(slow)
		early.Wait()
		look()
	})
}
