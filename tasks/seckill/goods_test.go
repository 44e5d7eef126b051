package seckill

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/models/shop"
)

func TestGoods(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		ctx := t.Context()
		row := shop.Goods{Name: "茶", Price: 100, Stock: 3, StartsAt: time.Now(), EndsAt: time.Now().Add(time.Hour)}
		require.NoError(t, s.sales.CreateGoods(ctx, &row))
		same := shop.Goods{Name: "茶", StartsAt: row.StartsAt, EndsAt: row.EndsAt}
		require.ErrorIs(t, s.sales.CreateGoods(ctx, &same), ErrSameName)

		_, err := s.sales.Goods(ctx, row.ID+100)
		require.ErrorIs(t, err, ErrUnknownGoods)
		_, err = s.sales.ChangeGoods(ctx, row.ID+100, func(*shop.Goods) error { return nil })
		require.ErrorIs(t, err, ErrUnknownGoods)

		no := errors.New("no")
		_, err = s.sales.ChangeGoods(ctx, row.ID, func(g *shop.Goods) error { g.Stock = 99; return no })
		require.ErrorIs(t, err, no)
		changed, err := s.sales.ChangeGoods(ctx, row.ID, func(g *shop.Goods) error { g.Price = 200; return nil })
		require.NoError(t, err)
		got, err := s.sales.Goods(ctx, row.ID)
		require.NoError(t, err)
		require.Equal(t, []int64{200, 3}, []int64{got.Price, got.Stock}, "what was refused is not written")
		require.Equal(t, got.Price, changed.Price)

		later := shop.Goods{Name: "later", StartsAt: row.StartsAt.Add(time.Hour), EndsAt: row.EndsAt.Add(time.Hour)}
		require.NoError(t, s.sales.CreateGoods(ctx, &later))
		list, err := s.sales.ListGoods(ctx, 1)
		require.NoError(t, err)
		require.Len(t, list, 1)
		require.Equal(t, "later", list[0].Name)
	})
}
