package main

import (
	"fmt"
	"strings"
)

// finding is something that does not fit.
type finding struct{ Act, Rule, What string }

// rule compares what clients were told with what the stores hold, and says what does not fit.
type rule struct {
	name  string
	check func(*book, *evidence) []string
}

// rules are all that the judge knows.
func rules() []rule {
	return []rule{
		{"stock and orders make the stock at the start", checkStock},
		{"one order a user and goods", checkOneOrder},
		{"a ticket has one final answer, which is true", checkTickets},
		{"nobody was told what is not so of a ticket", checkToldTickets},
		{"Redis and MySQL agree on who is in a sale", checkAdmitted},
		{"a code that was accepted was sent", checkTexts},
		{"who has logged in is a user", checkLogins},
		{"an accepted task ends as it should", checkCalls},
		{"nobody was told what is not so of a task", checkToldCalls},
		{"a task does not begin before its time", checkETA},
		{"the history says what became of tasks", checkRecords},
		{"what was written last is there", checkWrites},
		{"what is written once is there once", checkArticles},
		{"a cached value equals the database's", checkCached},
		{"an API answers what the database has", checkViews},
		{"followings are the database's", checkFollowings},
		{"counts and rankings are the database's", checkCounts},
		{"no tick is missing, and none is there twice", checkTicks},
		{"every task is in one list", func(_ *book, e *evidence) []string { return e.Strays }},
		{"what has committed is sent", checkOutbox},
		{"nothing waits for ever", func(_ *book, e *evidence) []string { return e.Restless }},
		{"no program breaks", func(_ *book, e *evidence) []string { return e.Trouble }},
		{"no internal errors", checkOdd},
	}
}

// judge applies all rules.
func judge(b *book, e *evidence) (all []finding) {
	for _, r := range rules() {
		for _, what := range r.check(b, e) {
			all = append(all, finding{e.Act, r.name, what})
		}
	}
	return all
}

// complaints collects what does not fit.
type complaints []string

func (c *complaints) add(format string, args ...any) { *c = append(*c, fmt.Sprintf(format, args...)) }

func checkOdd(b *book, _ *evidence) (found []string) {
	for _, o := range b.odd {
		found = append(found, o.At.UTC().Format(clock)+" "+o.What)
	}
	return found
}

func checkOutbox(_ *book, e *evidence) []string {
	var c complaints
	for _, row := range e.Outbox {
		switch {
		case row.FailedAt != nil:
			c.add("the row of task %s (%s) was given up: %s", row.TaskID, row.Task, row.Error)
		case row.SentAt == nil && row.CreatedAt.Before(e.Healed):
			c.add("the row of task %s (%s) of %s was not sent", row.TaskID, row.Task, row.CreatedAt.Format(clock))
		}
	}
	return c
}

// clock is how times are shown.
const clock = "15:04:05.000"

func join(texts []string) string { return strings.Join(texts, ", ") }
