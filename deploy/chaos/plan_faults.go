package main

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// fault is one thing that the saboteur does.
type fault struct {
	at     time.Duration // since the act began
	kind   string
	target string        // a program, "redis", "mysql", or a program's way to one of them, as worker1-mysql
	length time.Duration // how long it lasts, or how long what was stopped stays away; 0 of what is done at once
}

func (f fault) String() string {
	if f.length == 0 {
		return f.kind + " " + f.target
	}
	return fmt.Sprintf("%s %s for %s", f.kind, f.target, f.length.Round(time.Millisecond))
}

// The kinds of faults.
const (
	faultKill      = "kill"      // SIGKILL
	faultBusyKill  = "busy-kill" // SIGKILL to a worker that has tasks in hand, which wait for the database
	faultFreeze    = "freeze"    // SIGSTOP, SIGCONT
	faultTerminate = "terminate" // SIGTERM
	faultCut       = "cut"       // connections end, new ones are let through
	faultAway      = "away"      // connections end, and new ones, too
	faultSilent    = "silent"    // bytes are held back
	faultSlow      = "slow"      // bytes are late
	faultFull      = "full"      // maxmemory is reached
	faultClients   = "clients"   // the server kills its clients' connections
	faultFlush     = "flush"     // FLUSHALL
	faultLose      = "lose"      // a server that comes back without its data
)

// The programs that run.
const (
	apis       = 2
	workers    = 3
	schedulers = 2
)

// programNames are those of all programs.
func programNames() (all []string) {
	for _, role := range []struct {
		name string
		n    int
	}{{"api", apis}, {"worker", workers}, {"scheduler", schedulers}} {
		for i := range role.n {
			all = append(all, fmt.Sprint(role.name, i))
		}
	}
	return all
}

// planFaults deals the kinds from a deck that is shuffled when it is used up, so that a short act has most of them.
func planFaults(r *rand.Rand, a act) (all []fault) {
	const (
		first = 2 * time.Second // requests flow by then
		last  = 2 * time.Second // before the end
	)
	longest := min(a.length/8, 20*time.Second)
	var deck []string
	for at := first; ; {
		if len(deck) == 0 {
			deck = deckOf(a.wipes)
			r.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
		}
		f := fault{at: at, kind: deck[0], length: time.Second + time.Duration(r.Int64N(int64(longest)))}
		deck = deck[1:]
		f.target = targetOf(r, f.kind)
		switch f.kind {
		case faultCut, faultClients, faultFlush:
			f.length = 0
		}
		if f.at+f.length > a.length-last {
			return all
		}
		all = append(all, f)
		// The next one may come before this one is over.
		at += time.Duration(r.Float64()*1.2*float64(f.length)) + time.Duration(r.ExpFloat64()*float64(2*time.Second))
	}
}

func deckOf(wipes bool) []string {
	if wipes {
		return []string{faultFlush, faultLose, faultFlush, faultKill, faultBusyKill, faultFreeze, faultAway}
	}
	return []string{
		faultKill, faultKill, faultKill, faultBusyKill, faultFreeze, faultFreeze, faultTerminate,
		faultCut, faultAway, faultAway, faultSilent, faultSlow, faultFull, faultClients,
	}
}

// targetOf draws what a fault of the kind is done to. Servers count as one program each.
func targetOf(r *rand.Rand, kind string) string {
	programs := programNames()
	store := []string{"redis", "mysql"}[r.IntN(2)]
	switch kind {
	case faultBusyKill:
		return fmt.Sprint("worker", r.IntN(workers))
	case faultKill, faultTerminate:
		all := append(programs, "redis", "mysql", "mysql")
		return all[r.IntN(len(all))]
	case faultFreeze:
		return programs[r.IntN(len(programs))]
	case faultClients:
		return store
	case faultFull, faultFlush, faultLose:
		return "redis"
	}
	all := append(programs, "all", "all")
	return all[r.IntN(len(all))] + "-" + store
}
