package main

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/paidui/paidui/models/shop"
)

// ordersOf are the orders of the sales in the book.
func ordersOf(b *book, e *evidence) map[int64][]shop.Order {
	byGoods := make(map[int64][]shop.Order)
	for _, s := range b.sales {
		byGoods[s.GoodsID] = nil
	}
	for _, o := range e.Orders {
		if _, ours := byGoods[o.GoodsID]; ours {
			byGoods[o.GoodsID] = append(byGoods[o.GoodsID], o)
		}
	}
	return byGoods
}

func checkStock(b *book, e *evidence) []string {
	var c complaints
	orders := ordersOf(b, e)
	for _, s := range b.sales {
		sold, left := int64(len(orders[s.GoodsID])), e.Goods[s.GoodsID].Stock
		if sold+left != s.Stock || left < 0 {
			c.add("goods %d: %d orders and a stock of %d, of %d at the start", s.GoodsID, sold, left, s.Stock)
		}
	}
	return c
}

func checkOneOrder(_ *book, e *evidence) []string {
	var c complaints
	type pair struct{ user, goods int64 }
	had := make(map[pair]string)
	for _, o := range e.Orders {
		p := pair{o.UserID, o.GoodsID}
		if other, twice := had[p]; twice {
			c.add("user %d has the orders %s and %s of goods %d", o.UserID, other, o.OrderNo, o.GoodsID)
		}
		had[p] = o.OrderNo
	}
	return c
}

func orderOf(e *evidence, match func(shop.Order) bool) *shop.Order {
	if i := slices.IndexFunc(e.Orders, match); i >= 0 {
		return &e.Orders[i]
	}
	return nil
}

// checkTickets holds the answers of the end to the orders.
func checkTickets(b *book, e *evidence) []string {
	var c complaints
	seen := make(map[string]bool)
	for _, t := range b.tickets {
		if seen[t.TaskID] {
			continue
		}
		seen[t.TaskID] = true
		o := e.Tickets[t.TaskID]
		switch {
		case o.Status == http.StatusNotFound && t.At.Before(e.lastWipe()):
			o.Code = 101 // it went with Redis's data
		case o.Code != 100 && o.Code != 101:
			c.add("ticket %s of user %d for goods %d, accepted at %s: status %d, code %d", t.TaskID, t.UserID, t.GoodsID,
				t.At.UTC().Format(clock), o.Status, o.Code)
			continue
		}
		if why := contradicts(t, o, e); why != "" {
			c.add("ticket %s of user %d for goods %d, at the end: %s", t.TaskID, t.UserID, t.GoodsID, why)
		}
	}
	return c
}

func checkToldTickets(b *book, e *evidence) []string {
	var c complaints
	for _, t := range b.tickets {
		for _, o := range t.Told {
			if why := contradicts(t, o, e); why != "" {
				c.add("ticket %s of user %d for goods %d, at %s: %s", t.TaskID, t.UserID, t.GoodsID, o.At.UTC().Format(clock), why)
			}
			if o.Status == http.StatusNotFound && !t.At.Before(e.lastWipe()) {
				c.add("ticket %s of user %d for goods %d, accepted at %s: not found at %s", t.TaskID, t.UserID, t.GoodsID,
					t.At.UTC().Format(clock), o.At.UTC().Format(clock))
			}
		}
	}
	return c
}

// contradicts says how an answer and the orders do not fit.
func contradicts(t ticket, o outcome, e *evidence) string {
	switch o.Code {
	case 100:
		order := orderOf(e, func(row shop.Order) bool { return row.OrderNo == o.OrderNo })
		if order == nil || order.UserID != t.UserID || order.GoodsID != t.GoodsID {
			return "told of order " + o.OrderNo + ", which the user has not"
		}
	case 101:
		if order := orderOf(e, func(row shop.Order) bool { return row.TaskID == t.TaskID }); order != nil {
			return "told that there is no order (" + o.Reason + "), and there is " + order.OrderNo + " of " + order.CreatedAt.Format(clock)
		}
	}
	return ""
}

// checkAdmitted compares who is in with who has an order. A sale that went with Redis's data may not have been loaded since.
func checkAdmitted(b *book, e *evidence) []string {
	var c complaints
	for goods, orders := range ordersOf(b, e) {
		var buyers []string
		for _, o := range orders {
			buyers = append(buyers, strconv.FormatInt(o.UserID, 10))
		}
		slices.Sort(buyers)
		if n := e.Pending[goods]; n > 0 {
			c.add("goods %d: %d reservations that nobody settles", goods, n)
		}
		if len(e.Wipes) > 0 && len(e.Admitted[goods]) == 0 {
			continue
		}
		if !slices.Equal(buyers, e.Admitted[goods]) {
			c.add("goods %d: the users %s have orders, and Redis has let in %s", goods, join(buyers), join(e.Admitted[goods]))
		}
	}
	return c
}
