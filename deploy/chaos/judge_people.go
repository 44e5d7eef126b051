package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks/sms"
)

func checkTexts(b *book, e *evidence) []string {
	var c complaints
	sent := make(map[string]shop.SMSMessage)
	for _, m := range e.Texts {
		sent[m.TaskID] = m
	}
	for _, t := range b.texts {
		m, found := sent[t.TaskID]
		if found && m.Code != "" && m.Error == "" || t.At.Before(e.lastWipe()) {
			continue
		}
		now := e.Tasks[t.TaskID]
		if now.State == stateFailure && !ended(now).Before(t.At.Add(sms.CodeTTL)) {
			continue // its code was of no use any more
		}
		c.add("the code for %s, accepted at %s: message %t (%s), task %s", t.Mobile, t.At.UTC().Format(clock), found, m.Error, now)
	}
	return c
}

// ended is when the last attempt did.
func ended(t task) time.Time {
	if len(t.Attempts) == 0 {
		return time.Time{}
	}
	return t.Attempts[len(t.Attempts)-1].EndedAt
}

func checkLogins(b *book, e *evidence) []string {
	var c complaints
	mobiles := make(map[int64]string)
	for _, u := range e.Users {
		mobiles[u.ID] = u.Mobile
	}
	for _, l := range b.logins {
		if mobiles[l.UserID] != l.Mobile {
			c.add("at %s %s logged in as user %d, whose number is %q", l.At.UTC().Format(clock), l.Mobile, l.UserID, mobiles[l.UserID])
		}
	}
	return c
}

// lateWrite is how long a request whose client has gone may take to be done all the same.
const lateWrite = time.Minute

// possible are the values that a key may have after its writes, which are in order. It is false when any will do.
func possible(writes []write) (values []string, known bool) {
	last := -1
	for i, w := range writes {
		if w.Verdict == accepted {
			last = i
		}
	}
	if last < 0 {
		return nil, false
	}
	values = []string{writes[last].Value}
	for i, w := range writes {
		if w.Verdict == unknown && (i > last || writes[last].Begun.Sub(w.Ended) < lateWrite) {
			values = append(values, w.Value)
		}
	}
	return values, true
}

// checkWrites compares what was written last with what is there.
func checkWrites(b *book, e *evidence) []string {
	var c complaints
	have := rowValues(e)
	byKey := make(map[string][]write)
	var order []string
	for _, w := range b.writes {
		if w.Kind == "article" {
			continue
		}
		key := w.Kind + " " + w.Key
		if byKey[key] == nil {
			order = append(order, key)
		}
		byKey[key] = append(byKey[key], w)
	}
	for _, key := range order {
		values, known := possible(byKey[key])
		if !known {
			continue
		}
		is := have[key]
		if strings.HasPrefix(key, "following ") && is == "" {
			is = "unfollow"
		}
		if !slices.Contains(values, is) {
			last := byKey[key][len(byKey[key])-1]
			c.add("%s is %q, and should be one of %q (last written at %s)", key, is, values, last.Begun.UTC().Format(clock))
		}
	}
	return c
}

// rowValues are what the database has of what was written.
func rowValues(e *evidence) map[string]string {
	have := make(map[string]string)
	for _, u := range e.Users {
		have[fmt.Sprintf("profile %d.name", u.ID)] = u.Name
		have[fmt.Sprintf("profile %d.intro", u.ID)] = u.Intro
	}
	for _, f := range e.Followings {
		have[fmt.Sprintf("following %d>%d", f.UserID, f.TargetID)] = "follow"
	}
	for _, row := range e.Banners {
		key := fmt.Sprintf("banner %d", row.ID)
		have[key] = bannerValue(row.Title, row.IsShow)
		if row.IsDelete {
			have[key] = deletedBanner
		}
	}
	return have
}

func checkArticles(b *book, e *evidence) []string {
	var c complaints
	authors := make(map[string][]string)
	for _, a := range e.Articles {
		authors[a.Title] = append(authors[a.Title], strconv.FormatInt(a.UserID, 10))
	}
	for _, w := range b.writes {
		if w.Kind != "article" {
			continue
		}
		rows := authors[w.Key]
		switch {
		case len(rows) > 1, len(rows) == 1 && rows[0] != w.Value, len(rows) == 0 && w.Verdict == accepted,
			len(rows) > 0 && w.Verdict == refused:
			c.add("the article %s of user %s was %s at %s, and is there %d times, by %s",
				w.Key, w.Value, w.Verdict, w.Begun.UTC().Format(clock), len(rows), join(rows))
		}
	}
	return c
}
