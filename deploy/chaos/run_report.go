package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// shownFindings is how many of a rule are shown; the file has all.
const shownFindings = 10

// report writes the figures and findings of a run.
func report(w io.Writer, o outcomes) {
	fmt.Fprintf(w, "\nseed %d, %s\n", o.plan.seed, o.plan.length)
	for _, r := range o.results {
		fmt.Fprintf(w, "\n%s (%s), quiet %.1f s after its faults\n", r.act.name, r.act.length, r.settled.Seconds())
		if last := r.evidence.LastRestless; last != "" {
			fmt.Fprintf(w, "  last: %s\n", last)
		}
		reportRequests(w, r.book)
		fmt.Fprintf(w, "  accepted: %d codes, %d tickets, %d tasks; %d orders of %d pieces; %d ticks\n", len(r.book.texts),
			len(r.book.tickets), len(r.book.calls), ordered(r), offered(r.book), len(r.evidence.Ticks))
		if n := failedTickets(r); n > 0 {
			fmt.Fprintf(w, "  of the tickets %d failed, and have no order\n", n)
		}
		for _, line := range r.repaired {
			fmt.Fprintf(w, "  %s\n", line)
		}
	}
	reportFaults(w, o)
	found := o.findings()
	fmt.Fprintf(w, "\n%d findings\n", len(found))
	byRule := make(map[string][]finding)
	var order []string
	for _, f := range found {
		key := f.Act + ": " + f.Rule
		if byRule[key] == nil {
			order = append(order, key)
		}
		byRule[key] = append(byRule[key], f)
	}
	for _, key := range order {
		fmt.Fprintf(w, "\n%s (%d)\n", key, len(byRule[key]))
		for _, f := range byRule[key][:min(len(byRule[key]), shownFindings)] {
			fmt.Fprintf(w, "  - %s\n", f.What)
		}
	}
	if len(found) > 0 {
		fmt.Fprint(w, "\nfaults as they were done (UTC)\n")
		for _, i := range o.timeline {
			fmt.Fprintf(w, "  %s to %s  %s %s\n", i.Begun.UTC().Format(clock), i.Ended.UTC().Format(clock), i.Fault, i.Note)
		}
	}
}

// reportRequests shows what came of the requests of each kind.
func reportRequests(w io.Writer, b *book) {
	for _, kind := range slices.Sorted(maps.Keys(b.counts)) {
		var parts []string
		sum := 0
		for _, what := range slices.Sorted(maps.Keys(b.counts[kind])) {
			sum += b.counts[kind][what]
			parts = append(parts, fmt.Sprintf("%s %d", what, b.counts[kind][what]))
		}
		fmt.Fprintf(w, "  %-10s %5d requests: %s\n", kind, sum, strings.Join(parts, ", "))
	}
}

func reportFaults(w io.Writer, o outcomes) {
	byKind := make(map[string]int)
	for _, i := range o.timeline {
		byKind[i.Fault.kind]++
	}
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(byKind)) {
		parts = append(parts, fmt.Sprintf("%s %d", kind, byKind[kind]))
	}
	fmt.Fprintf(w, "\nfaults: %s\n", strings.Join(parts, ", "))
	if n := len(o.takeovers); n > 0 {
		fmt.Fprintf(w, "tasks of killed workers that others began, through other faults too: %d, p50 %.1f s, max %.1f s\n", n,
			o.takeovers[n/2].Seconds(), o.takeovers[n-1].Seconds())
	}
	for _, name := range slices.Sorted(maps.Keys(o.exits)) {
		for _, e := range o.exits[name] {
			fmt.Fprintf(w, "%s ended at %s: %s\n", name, e.At.UTC().Format(clock), e.Status)
		}
	}
}

func ordered(r result) (n int) {
	for _, orders := range ordersOf(r.book, r.evidence) {
		n += len(orders)
	}
	return n
}

// failedTickets are those whose end is a failure of ours, and not that all is sold.
func failedTickets(r result) (n int) {
	for _, o := range r.evidence.Tickets {
		if o.Code == 101 && o.Reason == "failed" {
			n++
		}
	}
	return n
}

func offered(b *book) (n int64) {
	for _, s := range b.sales {
		n += s.Stock
	}
	return n
}

// writeFindings keeps all findings and the timeline with the logs.
func writeFindings(dir string, o outcomes) error {
	type line struct {
		Begun, Ended time.Time
		Fault, Note  string
	}
	var timeline []line
	for _, i := range o.timeline {
		timeline = append(timeline, line{i.Begun, i.Ended, i.Fault.String(), i.Note})
	}
	raw, err := json.MarshalIndent(map[string]any{"findings": o.findings(), "timeline": timeline}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "findings.json"), raw, 0o600)
}
