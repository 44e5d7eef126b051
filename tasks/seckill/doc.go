// Package seckill takes the orders of a flash sale (秒杀). Sales admits a user in Redis with one script and enqueues
// the order; a worker writes it to the database; a periodic task repairs what a dying process left half done.
//
// Two truths are kept apart. The database knows what is sold: goods.stock plus the number of orders is the sale's
// total, which no order changes, and its guards (stock > 0, one order a user and goods) are what makes overselling
// impossible. Redis knows who is in: the map of admitted users, whose size may not exceed the total. As no counter is
// decremented, a reservation can be given back any number of times, and the map can be rebuilt from the orders.
//
// # The files
//
//   - seckill.go has the definitions of the tasks, goods.go the goods, sales.go what the API calls.
//   - admission.go, ledger.go, scripts.go and lua/: who is in, in Redis. load.go brings a sale from the database to Redis.
//   - worker.go, batch.go, place.go, store.go: the order's transaction, many orders in one. outcome.go says what became of a
//     ticket, reconcile.go repairs, live.go lists the goods that Redis holds anything of.
//   - sold_out_: what a process knows of goods that are sold out, so that those who come too late cost Redis nothing.
//
// # What the memory of sold-out goods buys
//
// Of all who come to a flash sale most come too late. Without the memory each of them is a question to Redis, which one Redis
// must answer for all processes; with it none is, beyond two checks a second for the goods (go test -run none -bench SoldOut
// ./tasks/seckill, two cores, users who ask at once):
//
//	                              of one process     Redis
//	with the memory               90 ns a request    2 commands a second
//	with a question for each      14 µs a request    70,000 commands a second, and no more than that from all processes
//
// A plainer memory, that something is sold out and for whom it is not asked, does not do: a user who has bought must be given
// his ticket again, and a piece that is given back must be sold within a second. Hence the set of those who are in, and the
// version that Redis gives the sale.
package seckill
