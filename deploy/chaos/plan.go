package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"
)

// plan is what happens when. It is made of a seed and a length alone.
type plan struct {
	seed   uint64
	length time.Duration
	users  int
	acts   []act
}

// act is a time of faults, after which all is healed and judged.
type act struct {
	name     string
	length   time.Duration
	wipes    bool // Redis loses its data in it
	sales    []int
	requests []request // by time
	faults   []fault   // by time
}

// request is one thing that a client does.
type request struct {
	serial  int           // unique in a plan
	at      time.Duration // since the act began
	kind    string
	user    int    // who, an index
	target  int    // of what, an index
	variant string // which of a kind's ways
	value   int
}

const (
	actStorm = "storm"
	actWipes = "wipes"

	// saleTime is how long clients press for the same goods, and saleStock how many there are.
	saleTime  = 20 * time.Second
	saleStock = 15
	planUsers = 40
)

func newPlan(seed uint64, length time.Duration) plan {
	wipes := (length / 4).Round(time.Second)
	p := plan{seed: seed, length: length, users: planUsers, acts: []act{
		{name: actStorm, length: length - wipes},
		{name: actWipes, length: wipes, wipes: true},
	}}
	for i := range p.acts {
		a := &p.acts[i]
		for range a.length/saleTime + 1 {
			a.sales = append(a.sales, saleStock)
		}
		for _, k := range kinds {
			// A source of its own for each kind: a change of one leaves the others as they were.
			a.requests = append(a.requests, k.plan(p.source(a.name, k.name), p, *a)...)
		}
		slices.SortStableFunc(a.requests, func(x, y request) int { return int(x.at - y.at) })
		for j := range a.requests {
			a.requests[j].serial = i*1_000_000 + j
		}
		a.faults = planFaults(p.source(a.name, "faults"), *a)
	}
	return p
}

func (p plan) source(names ...string) *rand.Rand {
	h := uint64(14695981039346656037) // FNV-1a
	for _, name := range names {
		for _, b := range []byte(name + "/") {
			h = (h ^ uint64(b)) * 1099511628211
		}
	}
	return rand.New(rand.NewPCG(p.seed, h))
}

// kind is one sort of traffic.
type kind struct {
	name     string
	rate     float64 // requests a second, on average
	variants []string
}

// kinds are all traffic. A variant that is listed twice is twice as frequent.
var kinds = []kind{
	{"sms", 1.5, []string{"send", "login", "login"}},
	{"seckill", 4, []string{"press"}},
	{"banner", 0.5, []string{"create", "update", "update", "hide", "delete"}},
	{"profile", 1, []string{"name", "intro"}},
	{"following", 2, []string{"follow", "follow", "unfollow"}},
	{"article", 0.7, []string{"publish"}},
	{"task", 5, []string{
		"plain", "plain", "chosen", "chosen", "eta", "eta", "durable", "durable", "callback", "failing", "revoke", "expiring", "batch",
	}},
	{"read", 3, []string{"banners", "profile", "article", "count", "followings", "goods", "ranking", "history"}},
}

// plan draws the times of a kind's requests, and what each is about.
func (k kind) plan(r *rand.Rand, p plan, a act) (all []request) {
	for at := time.Duration(0); ; {
		at += time.Duration(r.ExpFloat64() / k.rate * float64(time.Second))
		if at >= a.length {
			return all
		}
		q := request{
			at: at, kind: k.name, user: r.IntN(p.users), target: r.IntN(p.users),
			variant: k.variants[r.IntN(len(k.variants))], value: r.IntN(1000),
		}
		if k.name == "seckill" {
			q.target = int(at / saleTime)
		}
		all = append(all, q)
	}
}

// printPlan writes the faults and how many requests there are.
func printPlan(w io.Writer, p plan) {
	for _, a := range p.acts {
		fmt.Fprintf(w, "%s: %s, %d requests, %d faults\n", a.name, a.length, len(a.requests), len(a.faults))
		for _, f := range a.faults {
			fmt.Fprintf(w, "  %7.1fs  %s\n", f.at.Seconds(), f)
		}
	}
}
