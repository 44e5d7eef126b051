// Command bench measures Paidui: against plain asynq in the same run, on a private Redis and MariaDB, one row for each
// kind of work. It needs redis-server, mariadbd and wrk.
//
//	go run ./deploy/bench --quick
//	go run ./deploy/bench --only run,enqueue --json result.json
//
// What serves in real life as a process of its own does so here: the program starts itself again as api, worker, empty
// Echo server or no-op worker.
//
// Begin with bench.go and row.go, the list of rows. measure_* measures a row each; lab_* are the servers, clients and loads that
// they share; queue_* are the two things compared, role_* the processes that the program starts of itself; result_* makes
// figures of what was measured.
package main

import "github.com/paidui/paidui/deploy/boot"

func main() { boot.Execute(command()) }
