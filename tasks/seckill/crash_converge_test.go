package seckill

import (
	"errors"
	"maps"
	"slices"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/paidui/paidui/tasks"
)

// converge lets everything that is going on die or end, and repairs.
func (w *world) converge(t *rapid.T) {
	w.sweep()
	for _, p := range w.processes {
		f := rapid.SampledFrom([]fate{succeeds, diesBefore, diesAfter}).Draw(t, "last fate")
		for n := 0; p.goOn(f); n++ {
			if n == 100 { // it waits for a dead one, and time stands still
				f = diesBefore
			}
		}
	}
	w.processes = nil
	w.repair(t)

	// An order that the database lost can hide one that Redis lost, until the sale is loaded again.
	for range 2 {
		w.sellOut(t)
		w.repair(t)
	}
	require.Zero(t, w.stock(t), "a piece cannot be sold")
	admitted, err := w.rdb.HGetAll(t.Context(), admittedKey(w.goodsID)).Result()
	require.NoError(t, err)
	orders := tasksByUser(w.orders(t))
	require.ElementsMatch(t, slices.Collect(maps.Keys(orders)), slices.Collect(maps.Keys(admitted)))
	sum, err := w.reconciler().run(t.Context())
	require.NoError(t, err)
	require.Equal(t, ReconcileResult{Goods: sum.Goods}, sum, "there is still something to repair")
}

// repair runs reconcile and the workers for some minutes in which nothing goes wrong.
func (w *world) repair(t *rapid.T) {
	for range 3 {
		w.pass(recheckAfter + reservationGrace)
		for _, id := range w.queue.in(tasks.StateStarted) {
			w.queue.set(id, tasks.StatePending)
		}
		w.workOff(t)
		_, err := w.reconciler().run(t.Context())
		require.NoError(t, err)
		w.workOff(t)
	}
	n, err := w.rdb.HLen(t.Context(), pendingKey(w.goodsID)).Result()
	require.NoError(t, err)
	require.Zero(t, n, "a reservation dangles")
	w.check(t)
}

func (w *world) workOff(t *rapid.T) {
	for _, id := range w.queue.in(tasks.StatePending, tasks.StateRetry) {
		w.runTasks(t.Context(), w.queue.begin(id))
	}
	require.Empty(t, w.queue.in(tasks.StatePending, tasks.StateRetry, tasks.StateStarted))
}

// sellOut has new users come until none is let in.
func (w *world) sellOut(t *rapid.T) {
	sales := w.sales()
	for range 200 {
		w.serial++
		_, err := sales.Enter(t.Context(), int64(crowd+w.serial), w.goodsID)
		if errors.Is(err, ErrSoldOut) {
			return
		}
		require.NoError(t, err)
		w.workOff(t)
	}
	t.Fatal("users are let in for ever")
}
