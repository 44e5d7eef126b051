package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks/articles"
	"github.com/paidui/paidui/tasks/banners"
	"github.com/paidui/paidui/tasks/profiles"
)

// bannerCount is how many banners are shown.
const bannerCount = 3

// shownBanners are those that the database has for everybody to see.
func shownBanners(e *evidence) (shown []shop.Banner) {
	for _, b := range e.Banners {
		if b.IsShow && !b.IsDelete {
			shown = append(shown, b)
		}
	}
	slices.SortStableFunc(shown, func(x, y shop.Banner) int { return cmp.Or(cmp.Compare(x.Orders, y.Orders), cmp.Compare(x.ID, y.ID)) })
	return shown[:min(len(shown), bannerCount)]
}

// sameBanners tells whether a list is the database's.
func sameBanners(list []banners.Banner, rows []shop.Banner) bool {
	return slices.EqualFunc(list, rows, func(b banners.Banner, row shop.Banner) bool {
		return b.ID == row.ID && b.Title == row.Title && b.Orders == row.Orders && b.Link == row.Link
	})
}

func profileOf(u shop.User) profiles.Profile {
	return profiles.Profile{ID: u.ID, Name: u.Name, Mobile: u.Mobile, Photo: u.Photo, Intro: u.Intro, Certi: u.Certi}
}

func sameArticle(a articles.Article, row shop.Article) bool {
	return a.ID == row.ID && a.UserID == row.UserID && a.Title == row.Title && a.Content == row.Content && a.UpdatedAt.Equal(row.UpdatedAt)
}

// checkCached compares what Redis has cached with the database. What is not cached is right.
func checkCached(_ *book, e *evidence) []string {
	var c complaints
	if text, cached := e.Cached[banners.Key]; cached {
		var list []banners.Banner
		none, err := decodeCached(text, &list)
		if err != nil || none && len(shownBanners(e)) > 0 || !none && !sameBanners(list, shownBanners(e)) {
			c.add("%s is %s, and the database has %s", banners.Key, text, bannerTitles(shownBanners(e)))
		}
	}
	for _, u := range e.Users {
		if text, cached := e.Cached[profiles.Key(u.ID)]; cached {
			var p profiles.Profile
			if none, err := decodeCached(text, &p); none || err != nil || p != profileOf(u) {
				c.add("%s is %s, and the database has %+v", profiles.Key(u.ID), text, profileOf(u))
			}
		}
	}
	for _, row := range e.Articles {
		if text, cached := e.Cached[articles.Key(row.ID)]; cached {
			var a articles.Article
			if none, err := decodeCached(text, &a); none || err != nil || !sameArticle(a, row) {
				c.add("%s is %s, and the database has %s of %d", articles.Key(row.ID), text, row.Title, row.UserID)
			}
		}
	}
	return c
}

func bannerTitles(rows []shop.Banner) string {
	var all []string
	for _, b := range rows {
		all = append(all, fmt.Sprintf("%d %q at %d", b.ID, b.Title, b.Orders))
	}
	return join(all)
}

func checkViews(_ *book, e *evidence) []string {
	var c complaints
	for _, v := range e.Views {
		if !sameBanners(v.Banners, shownBanners(e)) {
			c.add("%s: the banners are %+v, and the database has %s", v.API, v.Banners, bannerTitles(shownBanners(e)))
		}
		for _, u := range e.Users {
			if p := v.Profiles[u.ID]; p != profileOf(u).Public() {
				c.add("%s: user %d is %+v, and the database has %+v", v.API, u.ID, p, profileOf(u).Public())
			}
		}
		for _, row := range e.Articles {
			if a := v.Articles[row.ID]; !sameArticle(a, row) {
				c.add("%s: article %d is %+v, and the database has %s of %d", v.API, row.ID, a, row.Title, row.UserID)
			}
		}
	}
	return c
}

func checkFollowings(_ *book, e *evidence) []string {
	var c complaints
	rows := make(map[int64]map[int64]time.Time)
	for _, f := range e.Followings {
		if rows[f.UserID] == nil {
			rows[f.UserID] = make(map[int64]time.Time)
		}
		rows[f.UserID][f.TargetID] = f.CreatedAt
	}
	for _, v := range e.Views {
		for _, id := range slices.Sorted(maps.Keys(v.Followings)) {
			list := v.Followings[id]
			if !maps.EqualFunc(list, rows[id], func(x, y time.Time) bool { return x.Equal(y) }) {
				c.add("%s: user %d follows %v, and the database has %v", v.API, id, list, rows[id])
			}
			if v.Totals[id] != len(rows[id]) {
				c.add("%s: user %d follows %d users, and the database has %d", v.API, id, v.Totals[id], len(rows[id]))
			}
		}
	}
	return c
}

// countRows counts what the database has.
func countRows(e *evidence) map[int64]counts {
	all := make(map[int64]counts)
	for _, a := range e.Articles {
		n := all[a.UserID]
		n.Articles++
		all[a.UserID] = n
	}
	for _, f := range e.Followings {
		n := all[f.UserID]
		n.Followings++
		all[f.UserID] = n
		n = all[f.TargetID]
		n.Followers++
		all[f.TargetID] = n
	}
	return all
}

// of is the count that a ranking goes by.
func (n counts) of(ranking string) int64 {
	switch ranking {
	case "articles":
		return n.Articles
	case "followings":
		return n.Followings
	}
	return n.Followers
}

// rank are the users with a count, in the order of a ranking.
func rank(all map[int64]counts, name string) (list []ranked) {
	for id, n := range all {
		if n.of(name) > 0 {
			r := ranked{Count: n.of(name)}
			r.User.ID = id
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(x, y ranked) int {
		return cmp.Or(cmp.Compare(y.Count, x.Count),
			cmp.Compare(strconv.FormatInt(y.User.ID, 10), strconv.FormatInt(x.User.ID, 10)))
	})
	return list
}

func checkCounts(_ *book, e *evidence) []string {
	var c complaints
	rows := countRows(e)
	for _, v := range e.Views {
		for _, u := range e.Users {
			if v.Counts[u.ID] != rows[u.ID] {
				c.add("%s: the counts of user %d are %+v, and the database has %+v", v.API, u.ID, v.Counts[u.ID], rows[u.ID])
			}
		}
		for _, name := range rankings {
			if want := rank(rows, name); !slices.Equal(v.Rankings[name], want) {
				c.add("%s: the ranking by %s is %v, and the database has %v", v.API, name, v.Rankings[name], want)
			}
		}
	}
	return c
}
