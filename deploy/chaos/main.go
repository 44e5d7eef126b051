// Command chaos tries the promises of Paidui: it runs the built programs on private servers, sends them traffic, breaks
// things by a plan that a seed makes, and then compares every answer with what Redis and MySQL hold.
//
//	make chaos SEED=7 MINUTES=10
//	go run ./deploy/chaos --help
//
// Start reading at run.go. A plan (plan.go) says what happens when. A lab (lab.go) has the servers and programs. Clients
// (traffic_*.go) write down in a book (traffic_book.go) what they asked and were told, while a saboteur (sabotage_*.go) does the
// plan's faults. When all is healed and quiet (run_settle.go), the evidence (evidence_*.go) is read from the stores, and the
// judge (judge_*.go), who sees nothing else, returns findings for the report (report.go).
package main

import "github.com/paidui/paidui/deploy/boot"

func main() { boot.Execute(command()) }
